"""A checked gradient as a picture: the result of backward, the finite differences, and disagreements in red.

Arrays of four axes are laid out as small maps: a kernel (KH, KW, C, F) as C rows of F maps, pictures (N, H, W, C) as N
rows of C maps. The cells show numbers if there is enough room.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tinysegnet.gradcheck.results import Report, TensorReport
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, new_figure, signed_colors

__all__ = ["show_gradient"]

WRONG, CROSSED, ON_WRONG = "#d62a1e", "#f0b429", "#ffffff"
MOST_COLUMNS, MOST_ROWS = 16, 20  # larger arrays are drawn without numbers in the cells
CELL = 0.44  # inches
GAP = 0.16  # between the panels, relative to the width of a panel
READABLE_COLUMNS = 8  # per panel; three wider panels do not fit side by side on a page


@both_themes
def show_gradient(report: Report, tensor: str, *, theme: Theme = LIGHT) -> Figure:
    """Draw one gradient of a report, such as "dweight": analytic, numeric, and which entries failed.

    If there are several cases, the figure shows the first that failed and is small enough to read. Raises KeyError for
    an unknown name.
    """
    name = tensor.removeprefix("d") if tensor not in {t.name for t in report.all_tensors()} else tensor
    first = report.tensor(name)
    likely = (t for t in report.all_tensors() if t.name == name and t.ok == first.ok and _is_readable(t))
    found = next(likely, first)
    return _draw(found, report.case_of(found), theme)


def _draw(found: TensorReport, title: str, theme: Theme) -> Figure:
    """Draw three panels side by side."""
    tiles = _Tiles(found.analytic.shape, kernel="weight" in found.name)
    rows, columns = tiles.size
    numbers = rows <= MOST_ROWS and columns <= MOST_COLUMNS
    width = CELL * columns if numbers else min(max(0.12 * columns, 2.0), 4.5)
    width = max(width, 2.3)
    height = (CELL * rows if numbers else min(max(0.12 * rows, 1.0), 6.0)) + 1.0
    figure = new_figure(3 * width + 1.0, height, theme)
    figure.set_layout_engine(ConstrainedLayoutEngine(wspace=GAP))
    left, middle, right = figure.subplots(1, 3)
    figure.alt = (f"Gradient d{found.name} {found.analytic.shape} {title}: backward beside finite differences. "
                  f"Refused: {found.count('wrong')} of {len(found.probes)} entries")  # fmt: skip
    limit = float(np.nanmax(np.abs([found.analytic, found.numeric]), initial=0)) or 1.0
    _show_values(left, tiles, found.analytic, limit, f"backward says d{found.name}", numbers, theme)
    _show_values(middle, tiles, found.numeric, limit, "differences say", numbers, theme)
    _show_verdicts(right, tiles, found, numbers, theme)
    figure.suptitle(f"d{found.name} {found.analytic.shape}{': ' if title else ''}{title}", fontsize=10, color=theme.ink)
    return figure


def _is_readable(tensor: TensorReport) -> bool:
    """Return whether the numbers are legible when three panels stand side by side on a page."""
    rows, columns = _Tiles(tensor.analytic.shape, kernel="weight" in tensor.name).size
    return columns <= READABLE_COLUMNS and rows <= MOST_ROWS


class _Tiles:
    """The positions of an array's entries: maps side by side, with one empty row or column between them."""

    def __init__(self, shape: tuple[int, ...], kernel: bool):
        self.shape, self.kernel = shape, kernel and len(shape) == 4
        down, H, W, across = self.split = self._split()
        self.size = down * (H + 1) - 1, across * (W + 1) - 1

    def _split(self) -> tuple[int, int, int, int]:
        """Return the number of maps down, H, W, and the number of maps across."""
        if len(self.shape) == 4:
            a, b, c, d = self.shape
            return (c, a, b, d) if self.kernel else (a, b, c, d)
        last = self.shape[-1] if self.shape else 1
        return 1, int(np.prod(self.shape)) // last, last, 1

    def lay_out(self, a: np.ndarray) -> np.ndarray:
        """Return a sheet (rows, columns) with NaN between the maps."""
        down, H, W, across = self.split
        maps = a.astype(float).reshape(H, W, down, across).transpose(2, 0, 1, 3) if self.kernel else a.astype(float)
        sheet = np.full(self.size, np.nan)
        for (i, j), map_ in self._maps(np.asarray(maps).reshape(down, H, W, across)):
            sheet[i : i + H, j : j + W] = map_
        return sheet

    def _maps(self, maps: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
        down, H, W, across = self.split
        for n in range(down):
            for c in range(across):
                yield (n * (H + 1), c * (W + 1)), maps[n, :, :, c]

    def name_axes(self, axes: Axes) -> None:
        """Label the maps: c=0 .. down the side, f=0 .. along the top."""
        if len(self.shape) != 4:
            return
        down, H, W, across = self.split
        side, top = ("c", "f") if self.kernel else ("n", "c")
        axes.set_yticks([n * (H + 1) + (H - 1) / 2 for n in range(down)], [f"{side}={n}" for n in range(down)])
        axes.set_xticks([c * (W + 1) + (W - 1) / 2 for c in range(across)], [f"{top}={c}" for c in range(across)])


def _show_values(axes: Axes, tiles: _Tiles, values: np.ndarray, limit: float, title: str, numbers: bool,
                 theme: Theme) -> None:  # fmt: skip
    sheet = tiles.lay_out(values)
    axes.imshow(sheet, cmap=signed_colors(theme), vmin=-1.4 * limit, vmax=1.4 * limit, interpolation="nearest")
    _finish(axes, tiles, title, theme)
    if numbers:
        _write(axes, sheet, theme.ink)


def _show_verdicts(axes: Axes, tiles: _Tiles, found: TensorReport, numbers: bool, theme: Theme) -> None:
    """Colour entries by verdict: 0 right, 1 wrong, 2 at a kink, NaN not measured."""
    verdicts = np.full(found.analytic.shape, np.nan)
    for probe in found.probes:
        if isinstance(probe.where, tuple):
            verdicts[probe.where] = {"ok": 0, "wrong": 1, "crossed": 2}[probe.status]
    sheet = tiles.lay_out(verdicts)
    axes.imshow(sheet, cmap=ListedColormap([theme.grid, WRONG, CROSSED]), vmin=0, vmax=2, interpolation="nearest")
    measured = "\nnumbers: differences - backward" if numbers else ""
    _finish(axes, tiles, f"refused: {found.count('wrong')} of {len(found.probes)} (red){measured}", theme)
    if numbers:
        difference = tiles.lay_out(found.numeric - found.analytic)
        _write(axes, np.where(sheet == 1, difference, np.nan), ON_WRONG, "bold")


def _finish(axes: Axes, tiles: _Tiles, title: str, theme: Theme) -> None:
    axes.set_title(title, fontsize=9, color=theme.ink)
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(theme.paper)
    rows, columns = tiles.size
    for at in range(1, rows):
        axes.axhline(at - 0.5, color=theme.paper, linewidth=0.8)
    for at in range(1, columns):
        axes.axvline(at - 0.5, color=theme.paper, linewidth=0.8)
    tiles.name_axes(axes)
    axes.tick_params(length=0, labelsize=8, labelcolor=theme.muted)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write(axes: Axes, sheet: np.ndarray, color: str, weight: str = "normal") -> None:
    """Write each number into its cell, with two decimal places."""
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": color, "fontweight": weight}
    for (row, column), value in np.ndenumerate(sheet):
        if not np.isnan(value):
            axes.text(column, row, _short(float(value)), **style)


def _short(value: float) -> str:
    if abs(value) < 1e-9:
        return "0"
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
    return text.replace("-0.00", "0.00")
