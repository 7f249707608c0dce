"""The page: one HTML file with the arrays, the style and the scripts inside, which asks no server for anything."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from ..data import Palette
from ..errors import SettingError
from .payload import MOST_BYTES, PLANS, Blobs, TooLarge
from .steps import Story

__all__ = ["MARK", "build_page"]

# how every page begins, so that it is known again
MARK = "<!doctype html>\n<!-- a walk of tinysegnet -->\n"
SCRIPTS = ("store.js", "sums.js", "kinds.js", "view.js", "channels.js", "made.js", "arrows.js", "app.js")


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
    """The template with everything in it. Data is JSON without a `<`, so that nothing in it can end its element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    elements = (
        f'<script type="text/plain" id="blob{number}">{text}</script>' for number, text in enumerate(blobs.texts)
    )
    parts = {
        "title": escape(data["title"]),
        "style": _style(),
        "script": "".join(_read(name) for name in SCRIPTS),
        "data": text,
        "blobs": "\n".join(elements),
    }
    head, *rest = (MARK + _read("page.html")).split("[")
    # every [name] of the template once; what stands in the parts themselves is left alone
    return head + "".join(parts[name] + after for name, after in (piece.split("]", 1) for piece in rest))


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _style() -> str:
    """The style in the colours of the diagrams."""
    from ..viz import DARK, LIGHT  # here, since matplotlib takes as long as all the rest

    style = _read("walk.css")
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        for part, colour in vars(theme).items():
            style = style.replace(f"[{name}.{part}]", colour)
    return style


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
