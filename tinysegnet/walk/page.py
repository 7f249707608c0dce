"""The page: one HTML file with the arrays, the style and the scripts inside, which asks no server for anything."""

from __future__ import annotations

import base64
import re
from importlib.resources import files
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from ..data import Palette
from ..errors import SettingError
from .payload import MOST_BYTES, PLANS, Blobs, TooLarge
from .steps import Story

__all__ = ["MARK", "build_page"]

# how every page begins, so that it is known again
MARK = "<!doctype html>\n<!-- a walk of tinysegnet -->\n"
SOURCE = files(__package__) / "page_source"  # template, style and scripts, which are ES modules


def build_page(story: Story, about: dict[str, Any], images: dict[str, np.ndarray], palette: Palette) -> str:
    """about: title, facts and whatever else the page is told. images: by name, (H, W, 3) uint8.

    Raises SettingError if even the smallest plan makes a page of more than 25 MB.
    """
    room = 300_000 + sum(image.size for image in images.values())  # style, scripts, words, pictures
    for plan in PLANS:
        blobs = Blobs(plan.most - room)
        try:
            data = story.pack(plan, blobs)
        except TooLarge:
            continue
        page = _page({**about, **_colours(palette), "pictures": _uris(images), **data}, blobs)
        if len(page.encode()) <= plan.most:
            return page
    H, W = story.trace.x.shape[1:3]
    raise SettingError(f"a walk of {H}x{W} pixels makes a page of more than {MOST_BYTES / 1e6:.0f} MB. Choose a "
                       "smaller size, such as 96x128")  # fmt: skip


def _page(data: dict[str, Any], blobs: Blobs) -> str:
    """The template with everything in it."""
    import jinja2  # here, since few programs write a page

    from ..viz import DARK, LIGHT  # and since matplotlib takes as long as all the rest

    templates = jinja2.Environment(loader=jinja2.PackageLoader(__package__, SOURCE.name), autoescape=True,
                                   undefined=jinja2.StrictUndefined, trim_blocks=True)  # fmt: skip
    templates.filters["inline"] = inline
    templates.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    texts = {file.name: file.read_text(encoding="utf-8") for file in SOURCE.iterdir()}
    return MARK + templates.get_template("page.html").render(
        data=data,
        blobs=blobs.texts,
        modules={name: texts[name] for name in sorted(texts) if name.endswith(".js")},
        style=texts["walk.css"],
        themes={"light": vars(LIGHT), "dark": vars(DARK)},
    )


def inline(text: str) -> Markup:
    """Code for a `<script>` or a `<style>`, where no escape is possible: it stands there as it is.

    Raises:
        ValueError: for code that would end its element, or make the browser read on behind its end.
    """
    found = re.search(r"<(?:!--|/?script|/?style)", text, re.IGNORECASE)
    if found:
        raise ValueError(f"{found[0]} cannot stand in a script or style of a page. Write it in two parts")
    return Markup(text)


def _colours(palette: Palette) -> dict[str, Any]:
    """What the scripts paint with: 255 shades for -127..127, colours of arrows, colours of classes."""
    from ..viz import DARK, LIGHT
    from ..viz.figures import DARK_WINDOWS, LIGHT_WINDOWS, signed_colors

    steps = np.arange(-127, 128) / 127
    strength = 0.5 + 0.5 * np.sign(steps) * np.abs(steps) ** 0.7  # as on squared paper: small numbers already show
    shades = {
        name: (255 * signed_colors(theme)(strength)[:, :3]).round().astype(int).ravel().tolist()
        for name, theme in (("light", LIGHT), ("dark", DARK))
    }
    classes = [{"name": name, "colour": "rgb({} {} {})".format(*map(int, colour))}
               for name, colour in zip(palette.names, palette.colors, strict=True)]  # fmt: skip
    return {"colours": shades, "arrows": {"light": LIGHT_WINDOWS, "dark": DARK_WINDOWS}, "classes": classes}


def _uris(images: dict[str, np.ndarray]) -> dict[str, str]:
    from ..viz import picture_bytes

    return {name: "data:image/png;base64," + base64.b64encode(picture_bytes(Image.fromarray(image))).decode()
            for name, image in images.items()}  # fmt: skip
