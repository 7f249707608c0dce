"""The page: a single HTML file that contains arrays, style and scripts and makes no requests."""

from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from ..data import Palette
from ..errors import SettingError
from ..models import Network
from ..report.page_parts import THEMES, render_script_page
from ..viz import colour_map, error_picture, picture_bytes
from ..viz.figures import DARK_WINDOWS, LIGHT_WINDOWS, signed_colors
from ..viz.image_bytes import data_uri
from .payload import MAX_BYTES, PLANS, Blobs, TooLarge
from .steps import build_steps
from .trace import Trace
from .what_if import FORWARD, pack_network

SOURCE = files(__package__) / "page_source"  # template, style and ES modules


def build_page(model: Network, trace: Trace, about: dict[str, Any], prediction: np.ndarray, palette: Palette) -> str:
    """Build the page with the largest plan that fits. `about` has title, notice, weighting and overview.

    Raises:
        SettingError: if even the smallest plan produces a page of more than 25 MB.
    """
    images = _images(trace, prediction, palette)
    about = {
        **about,
        "labelled": trace.loss is not None,
        "void": trace.loss is not None and bool((trace.loss.labels < 0).any()),
        "oneLogit": trace.logits.shape[3] == 1,
        **_colours(palette),
        "pictures": {name: data_uri("png", picture_bytes(Image.fromarray(image))) for name, image in images.items()},
    }
    rest = 300_000 + sum(image.size for image in images.values())  # bytes of style, scripts, texts, pictures
    for plan in PLANS:
        blobs = Blobs(plan.max_bytes - rest)
        try:
            data = about | build_steps(trace, list(palette.names), plan, blobs)
        except TooLarge:
            continue
        data["live"] = pack_network(model, palette, blobs)
        page = _render(data, blobs)
        if len(page.encode()) <= plan.max_bytes:
            return page
    H, W = trace.x.shape[1:3]
    raise SettingError(f"a walk of {H}x{W} pixels needs a page of more than {MAX_BYTES / 1e6:.0f} MB. Choose a "
                       "smaller size, such as 96x128")  # fmt: skip


def _render(data: dict[str, Any], blobs: Blobs) -> str:
    """Render the template with data, scripts and style."""
    names = sorted(file.name for file in SOURCE.iterdir() if file.name.endswith(".js") and file.name != "main.js")
    modules = {f"walk/{name}": SOURCE / name for name in [*names, "main.js"]}
    modules = {"walk/forward.js": FORWARD / "forward.js", **modules}
    return render_script_page(__package__, modules, "walk.css", data=data, blobs=blobs.texts)


def _colours(palette: Palette) -> dict[str, Any]:
    """Return the scripts' colours: 255 shades for -127..127, and the colours of arrows and classes."""
    steps = np.arange(-127, 128) / 127
    strength = 0.5 + 0.5 * np.sign(steps) * np.abs(steps) ** 0.7  # makes small numbers visible
    shades = {
        name: (255 * signed_colors(theme)(strength)[:, :3]).round().astype(int).ravel().tolist()
        for name, theme in THEMES.items()
    }
    classes = [{"name": name, "colour": "rgb({} {} {})".format(*map(int, colour))}
               for name, colour in zip(palette.names, palette.colors, strict=True)]  # fmt: skip
    return {"colours": shades, "arrows": {"light": LIGHT_WINDOWS, "dark": DARK_WINDOWS}, "classes": classes}


def _images(trace: Trace, prediction: np.ndarray, palette: Palette) -> dict[str, np.ndarray]:
    """Return the pictures of the first step by name, (H, W, 3) uint8."""
    image = trace.x[0].astype(np.uint8)
    images = {"picture": image, "prediction": colour_map(prediction, palette)}
    if trace.loss is not None:
        images["labels"] = colour_map(trace.loss.labels, palette)
        images["error"] = error_picture(image, trace.loss.labels, prediction, palette)
    return images
