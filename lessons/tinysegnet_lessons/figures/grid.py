"""A grid: a figure measured in cells, which may contain numbers, frames around cells, and arrows.

The lessons draw all small arrays on such a grid, with x to the right and y downwards as in an array. Colours show the
sign: orange above zero, blue below, the background colour at zero. Readers with any common kind of colour blindness can
tell orange from blue. In one grid the same colour always stands for the same number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import Stroke, withStroke

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import Theme, inches, new_figure, signed_colors
from tinysegnet.viz.themes import readable

__all__ = ["MINUS", "MOST_CELLS", "TIMES", "Grid", "as_numbers", "box_of", "cell_size", "number_texts", "rounded_path",
           "tint"]  # fmt: skip

MINUS, TIMES, ASTERISK = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{ASTERISK OPERATOR}"
MOST_CELLS = 24  # per side, because larger arrays are illegible
CELL, WIDEST = 0.5, 11.0  # inches
LARGEST, SMALLEST = 12.0, 5.5  # font size of a number, in points


class Grid:
    """A figure of width x height cells. A cell is half an inch, or less if the figure would be too wide for a page.

    `scale` is the number that gets the strongest colour; its negative gets the strongest opposite colour. `top` is the
    y coordinate of the figure's upper edge.
    """

    def __init__(self, width: float, height: float, theme: Theme, scale: float = 1.0, top: float = 0.0) -> None:
        self.cell = cell_size(width)
        self.theme, self.shades, self.scale = theme, signed_colors(theme), scale
        self.figure = new_figure(width * self.cell, (height - top) * self.cell, theme)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, top))
        self.axes.set_axis_off()

    def color(self, value: float) -> Any:
        """Return the colour of a number; the strength rises fast at first, so that small numbers are visible."""
        strength = min(abs(value) / self.scale, 1.0) ** 0.7 if self.scale > 0 and np.isfinite(value) else 0.0
        if np.isinf(value):
            strength = 1.0
        return self.shades(0.5 + 0.5 * strength * float(np.sign(value) if not np.isnan(value) else 0))[:3]

    def array(self, x: float, y: float, array: np.ndarray, name: str, *, texts: np.ndarray | None = None,
              shown: np.ndarray | None = None, color: Any = None) -> None:  # fmt: skip
        """Draw cells with numbers, with the upper left corner at (x, y).

        Where `shown` (H, W) is False, a cell stays empty. `color(value, row, column)` replaces the signed colours.
        """
        texts = number_texts(array) if texts is None else texts
        size = self.fitting_size([str(text) for text in texts.flat])
        for (row, column), value in np.ndenumerate(array):
            visible = shown is None or shown[row, column]
            fill = self.theme.paper if not visible else (color or self._signed)(value, row, column)
            self.square(x + column, y + row, fill, gid=f"{name}[{row}, {column}]", hatched=bool(np.isnan(value)))
            if visible:
                quiet = value == 0 and color is None
                ink = self.theme.muted if quiet else readable(fill, self.theme)
                self.text(x + column + 0.5, y + row + 0.5, str(texts[row, column]), size, ink)

    def _signed(self, value: float, row: int, column: int) -> Any:
        return self.color(value)

    def square(self, x: float, y: float, fill: Any, *, side: float = 1.0, edge: Any = None, width: float = 0.8,
               dashed: bool = False, hatched: bool = False, gid: str | None = None) -> None:  # fmt: skip
        """Draw a cell."""
        edge = self.theme.grid if edge is None else edge
        style: dict[str, Any] = {
            "linestyle": (0, (2, 1.6)) if dashed else "solid",
            "hatch": "////" if hatched else None,
        }
        patch = Rectangle((x, y), side, side, facecolor=fill, edgecolor=edge, linewidth=width, zorder=1, **style)
        patch.set_gid(gid)
        self.axes.add_patch(patch)

    def frame(self, x: float, y: float, width: float, height: float, color: Any, *, line: float = 2.2,
              gid: str | None = None) -> None:  # fmt: skip
        """Draw a line around cells, with a thin halo in the background colour so that it stands out."""
        patch = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.09", facecolor="none",
                               edgecolor=color, linewidth=line, zorder=4)  # fmt: skip
        patch.set_path_effects([withStroke(linewidth=line + 1.6, foreground=self.theme.paper)])
        patch.set_gid(gid)
        self.axes.add_patch(patch)

    def text(self, x: float, y: float, text: str, size: float, color: Any, *, ha: str = "center", va: str = "center",
             bold: bool = False) -> None:  # fmt: skip
        """Write text or a number at a point in cell coordinates."""
        style: dict[str, Any] = {"ha": ha, "va": va, "fontweight": "bold" if bold else "normal", "zorder": 5}
        if va == "center":
            style["va"] = "center_baseline"
        self.axes.text(x, y, text, fontsize=size, color=color, parse_math=False, **style)

    def sign(self, x: float, y: float, text: str) -> None:
        """Write a sign between two arrays: +, ×, =."""
        text = {"*": ASTERISK, "-": MINUS}.get(text, text)
        self.axes.text(x, y, text, fontsize=15, color=self.theme.ink, parse_math=False, ha="center", va="center")

    def title(self, x: float, y: float, text: str) -> None:
        """Write a title with its lower edge at y."""
        self.text(x, y, text, 11, self.theme.ink, ha="left", va="baseline", bold=True)

    def note(self, x: float, y: float, text: str, *, ha: str = "left") -> None:
        """Write a smaller, muted line."""
        self.text(x, y, text, 9, self.theme.muted, ha=ha, va="baseline")

    def path(self, path: Path, color: Any, *, line: float = 1.6, head: bool = True, gid: str | None = None,
             dashed: bool = False) -> None:  # fmt: skip
        """Draw a line with an arrowhead at its end; crossing lines pass over one another like bridges."""
        style = "-|>,head_length=5,head_width=2.6" if head else "-"
        arrow = FancyArrowPatch(path=path, arrowstyle=style, color=color, linewidth=line, mutation_scale=1, zorder=3,
                                joinstyle="miter", capstyle="butt",
                                linestyle=(0, (3, 2)) if dashed else "solid")  # fmt: skip
        if not dashed:
            arrow.set_path_effects([Stroke(linewidth=line + 2.4, foreground=self.theme.paper), withStroke(linewidth=0)])
        arrow.set_gid(gid)
        self.axes.add_patch(arrow)

    def words(self, text: str, size: float = 11) -> float:
        """Return the width of a text in cells."""
        return inches(text, size) / self.cell

    def fitting_size(self, texts: list[str], room: float = 0.84) -> float:
        """Return the size in points at which each text fits into `room` cells."""
        widest = max((self.words(text, 10) for text in set(texts)), default=0.0)
        return float(np.clip(10 * room / max(widest, 1e-9), SMALLEST, min(LARGEST, 24 * self.cell)))


def cell_size(width: float) -> float:
    """Return the inches per cell of a grid with that many cells across."""
    return min(CELL, WIDEST / width)


def tint(color: Any, theme: Theme, strength: float = 0.22) -> tuple[float, ...]:
    """Return a pale version of a colour on the background."""
    return tuple(strength * np.array(to_rgb(color)) + (1 - strength) * np.array(to_rgb(theme.paper)))


def as_numbers(array: Any, name: str) -> np.ndarray:
    """Return numbers as an array (H, W), a vector as one row. Raises ShapeError for anything else."""
    array = np.asarray(array)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "iufb":
        hint = "; show one channel of one sample, such as x[0, :, :, 0]" if array.ndim > 2 else ""
        raise ShapeError(f"{name}: the array must be (H, W), got {array.dtype} {array.shape}{hint}")
    if max(array.shape) > MOST_CELLS:
        raise ShapeError(f"{name}: {array.shape[0]} x {array.shape[1]} numbers are illegible. Show at most "
                         f"{MOST_CELLS} per side, or use figures.show_feature_maps")  # fmt: skip
    return array.astype(np.int64) if array.dtype == bool else array


def number_texts(array: np.ndarray, decimals: int | None = None) -> np.ndarray:
    """Return each number as the text for its cell, as an (H, W) array of str.

    `decimals` is the number of decimal places; None uses as few as necessary, or 2 if more than 3 are necessary.
    """
    finite = array[np.isfinite(array)].astype(float)
    if decimals is None:
        decimals = next((d for d in (0, 1, 2, 3) if np.allclose(finite, finite.round(d), rtol=0, atol=1e-9)), 2)
    return np.array([[_number_text(value, decimals) for value in row] for row in array], dtype=object)


def _number_text(value: float, decimals: int) -> str:
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    if abs(value) < 0.5 * 10**-decimals:
        return "≈0"
    return f"{value:.{decimals}f}".replace("-", MINUS)


def box_of(where: Any, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (row, column, rows, columns) of `array[where]` for numbers and slices such as np.s_[0:2, 3]."""
    if not isinstance(where, tuple) or len(where) != 2:
        raise ShapeError(f"highlight: {where!r} must be (row, column), each a number or a slice, such as np.s_[0:2, 3]")
    spans = [
        range(n)[w] if isinstance(w, slice) else range(n)[w : w + 1 or None] for w, n in zip(where, shape, strict=True)
    ]
    if not all(spans):
        raise ShapeError(f"highlight: {where!r} is outside an array {shape}")
    (row, *_), (column, *_) = spans
    return row, column, len(spans[0]), len(spans[1])


def rounded_path(points: list[tuple[float, float]], radius: float = 0.14) -> Path:
    """Return a path through points with rounded corners."""
    corners = [np.array(point, float) for point in points]
    vertices, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        for end in (before, after):
            length = float(np.linalg.norm(end - corner))
            reach = min(radius, length / 2)
            near = corner + (end - corner) * (reach / length if length else 0)
            if end is before:
                vertices += [near, corner]
                codes += [Path.LINETO, Path.CURVE3]
            else:
                vertices.append(near)
                codes.append(Path.CURVE3)
    vertices.append(corners[-1])
    codes.append(Path.LINETO)
    return Path(np.array(vertices), codes)
