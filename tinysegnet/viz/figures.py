"""The basis of all figures: they need no pyplot, are shown by any notebook, and have a light or a dark theme."""

import functools
import html
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..files import write_atomically
from .image_bytes import data_uri
from .themes import DARK, LIGHT, Theme

Drawing = TypeVar("Drawing", bound=Callable[..., Figure])


def on_dark_pages(selector: str, rule: str) -> str:
    """Return CSS for parts of dark pages of JupyterLab, VS Code and Colab, and of sites made with furo."""
    pages = 'body[data-jp-theme-light="false"],body[data-theme="dark"],body.vscode-dark,html[theme="dark"]'
    automatic = f'@media (prefers-color-scheme:dark){{body[data-theme="auto"] {selector}{{{rule}}}}}'
    return f"@media screen{{:is({pages}) {selector}{{{rule}}}{automatic}}}"


# One <img> with its text; on dark pages a second picture in the background covers it. A viewer that removes styles, or
# a printer, shows the light picture.
_SWITCH = on_dark_pages(".tinysegnet-figure[style]", "object-position:-9999px 0;background:var(--dark) 0 0/100% 100%")


class NotebookFigure(Figure):
    """A figure that a notebook shows without `%matplotlib inline`, and that needs neither pyplot nor closing.

    `alt` says what the figure shows, for readers who do not see it. `dark` draws the same figure for dark pages.
    """

    alt = ""
    dark: Callable[[], Figure] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        return figure_bytes(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        png = self._repr_png_()
        dark = f' style="--dark:url({data_uri("png", figure_bytes(self.dark()))})"' if self.dark else ""
        image = f'<img class="tinysegnet-figure" alt="{html.escape(self.alt)}" src="{data_uri("png", png)}"{dark}>'
        return {"text/html": f"<style>{_SWITCH}</style>{image}", "image/png": png}


def both_themes(function: Drawing) -> Drawing:
    """Let notebooks show the figures of a function in the page's theme, unless its `theme` is other than LIGHT."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        figure: Any = function(*args, **kwargs)
        if kwargs.get("theme", LIGHT) == LIGHT:
            figure.dark = functools.partial(function, *args, **{**kwargs, "theme": DARK})
        return figure

    return cast(Drawing, draw)


def new_figure(width: float, height: float, theme: Theme, *, fit: bool = False) -> NotebookFigure:
    """Create an empty figure of width x height inches. fit: shrink its axes until all texts have room."""
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12) if fit else None
    return NotebookFigure(figsize=(width, height), dpi=120, facecolor=theme.paper, layout=layout)


@functools.cache  # a figure is drawn twice, for light and for dark pages
def inches(text: str, fontsize: float) -> float:
    """Return the width of a text in a figure, in inches."""
    figure = new_figure(1, 1, LIGHT)
    return figure.text(0, 0, text, fontsize=fontsize, parse_math=False).get_window_extent().width / figure.dpi


def shortened(name: str, longest: int = 34) -> str:
    """Return the name on one line, without its middle if it has more than `longest` characters."""
    name = " ".join(name.split())
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"


def figure_bytes(figure: Figure, format: str = "png") -> bytes:
    """Return the figure as a PNG or SVG file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # By default an SVG contains the date and random ids, so that two runs of one command would differ.
    metadata = {"Date": None, "Creator": None} if format == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "tinysegnet", "svg.fonttype": "path"}), warnings.catch_warnings():
        # Characters that the font lacks appear as boxes; a warning for each would not help.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=format, metadata=metadata)
    return buffer.getvalue()


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write the figure to `path` (.png or .svg) atomically."""
    write_atomically(path, figure_bytes(figure, Path(path).suffix.lstrip(".").lower() or "png"))


def style_axes(axes: Axes, theme: Theme, title: str, subtitle: str = "") -> None:
    """Style a panel: title and subtitle above its left edge, horizontal grid lines, and no box."""
    axes.set_facecolor(theme.paper)
    write_title(axes, theme, title, subtitle)
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.muted, labelsize=9, length=0)
    axes.tick_params(axis="x", pad=6)  # otherwise the first epoch's number touches the y axis's zero
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.grid)


def write_title(axes: Axes, theme: Theme, title: str, subtitle: str = "") -> None:
    """Write title and subtitle above the left edge of the axes."""
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(title, (0, 1), (0, 24), color=theme.ink, fontsize=11, fontweight="bold", **where)
    axes.annotate(subtitle, (0, 1), (0, 9), color=theme.muted, fontsize=9, **where)


def signed_colors(theme: Theme) -> LinearSegmentedColormap:
    """Return a colour map from blue through the paper's colour to orange, with the most contrast at both ends."""
    light = ("#14468a", "#4d8fd1", "#c9dff4", theme.paper, "#fcdcb4", "#ee8f31", "#a84c00")
    dark = ("#a5d0ff", "#3f82cc", "#1f3e63", theme.paper, "#5b3614", "#cf741f", "#ffc27d")
    return LinearSegmentedColormap.from_list("signed", dark if theme == DARK else light)


# One colour per pooling window, for its cells and its arrow.
LIGHT_WINDOWS = ("#0b62a8", "#c4520a", "#0a7f5f", "#a3357c", "#8a6a00", "#5a46b8")
DARK_WINDOWS = ("#6fb4ee", "#f09048", "#4cc9a0", "#e58bc4", "#e3c14d", "#a99bf5")
