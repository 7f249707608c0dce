"""What pages share: templates, styles and scripts, drawings in both themes, and panels of pictures."""

import math
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from ..data.palette import Palette
from ..viz import DARK, LIGHT, Theme, picture_bytes
from ..viz.figures import figure_bytes
from ..viz.image_bytes import data_uri
from ..viz.legend import class_name, percent
from ..viz.panels import HEADINGS, Compared, caption, compared_panels

PANEL_SIZE = 400, 480  # maximum width and height in pixels
DRAWING_SIZE = 4.8, 3.6  # inches
THEMES = {"light": LIGHT, "dark": DARK}


def render(template: str, **values: Any) -> bytes:
    """Render a page of this folder."""
    templates = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                            trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    templates.filters |= {"duration": _duration, "percent": percent}
    return templates.get_template(template).render(values).encode(errors="backslashreplace")


def render_script_page(package: str, modules: Mapping[str, Traversable], style: str, **values: Any) -> str:
    """Render page.html of a package's folder page_source: a page of ES modules that makes no requests.

    Args:
        package: the name of the package.
        modules: the scripts by the names under which they import each other. The page runs the last one.
        style: the name of the page's own CSS file.
        values: the values of the template.

    Raises ValueError if a script or a style would end its element early.
    """
    loader = ChoiceLoader([PackageLoader(package, "page_source"), PackageLoader(__package__, "")])
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    templates.filters["inline"] = inline
    templates.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    shared, own = files(__package__), files(package) / "page_source"
    colors = [f"--{theme}-{name}: {color};" for theme, each in THEMES.items() for name, color in vars(each).items()]
    styles = [":root {", *colors, "}", *(path.read_text(encoding="utf-8") for path in
                                         (shared / "script_page.css", own / style))]  # fmt: skip
    modules = {"report/dom.js": shared / "dom.js", **modules}
    texts = {name: path.read_text(encoding="utf-8") for name, path in modules.items()}
    page = templates.get_template("page.html")
    return page.render(modules=texts, entry=list(texts)[-1], styles="\n".join(styles), **values)


def inline(text: str) -> Markup:
    """Mark code as safe for a `<script>` or `<style>` element, where characters cannot be escaped.

    Raises ValueError if the code would end its element early, or make the browser read past its end.
    """
    found = re.search(r"<(?:!--|/?script|/?style)", text, re.IGNORECASE)
    if found:
        raise ValueError(f"a script or style in a page cannot contain {found[0]}. Split it into two strings")
    return Markup(text)


def classes_of(palette: Palette) -> list[dict[str, str]]:
    """Return name and CSS colour of each class."""
    colors = ("rgb({} {} {})".format(*map(int, color)) for color in palette.colors)
    return [{"name": class_name(palette, k), "color": color} for k, color in enumerate(colors)]


def in_both_themes(shows: str, draw: Callable[[Theme], Figure]) -> dict[str, str]:
    """Return a drawing in light and in dark colours, as data URIs."""
    uris = {name: data_uri("svg+xml", figure_bytes(draw(theme), "svg")) for name, theme in THEMES.items()}
    return {"shows": shows, **uris}


def sample_of(sample: Compared, palette: Palette) -> dict[str, Any]:
    """Return name, caption, and the panels image, ground truth, prediction and errors for a template."""
    panels = compared_panels(sample, palette, *PANEL_SIZE)
    shown = [
        {"heading": heading, "uri": _picture_uri(panel), "width": panel.width, "height": panel.height}
        for heading, panel in zip(HEADINGS, panels, strict=True)
    ]
    return {"name": sample[3], "caption": caption(sample, palette), "panels": shown}


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings: {"recipe": {"epochs": 3}} becomes {"recipe.epochs": "3"}."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = _written(value)
    return flat


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value))
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_written(item)}" for name, item in value.items() if item is not None)
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    """Format 107.4 as "1 min 47 s", and an unknown duration (NaN) as ""."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _picture_uri(picture: Image.Image) -> str:
    """Encode a picture as PNG if that is small (drawings), otherwise as JPEG (photographs)."""
    png, jpeg = picture_bytes(picture), picture_bytes(picture, "JPEG", quality=90, subsampling=0)
    return data_uri("png", png) if len(png) <= 1.5 * len(jpeg) else data_uri("jpeg", jpeg)
