"""Curves of anything over whole numbers, such as layers or steps, with their names at their right ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..errors import ShapeError
from .curves import inches, spread
from .figures import LIGHT, Theme, new_figure

__all__ = ["show_lines"]

LEFT, TOP, BOTTOM = 0.85, 0.45, 0.55  # inches
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)))


def show_lines(
    lines: Mapping[str, Sequence[float]],
    x: str,
    y: str,
    *,
    first: int = 0,
    log: bool = False,
    size: tuple[float, float] = (8.5, 3.6),
    theme: Theme = LIGHT,
) -> Figure:
    """Curves by name over first, first + 1, ...; x, y: what the axes mean, y being the title. log: of the y axis.

    Colours repeat after the fourth curve with another dash. A value that is not finite, or not positive on a log axis,
    leaves a gap. Raises ShapeError for no lines, or for one that is no list of numbers.
    """
    arrays = {name: np.asarray(values, float) for name, values in lines.items()}
    if not arrays or any(values.ndim != 1 or not len(values) for values in arrays.values()):
        raise ShapeError("show_lines: lines are name -> list of numbers, at least one of each")
    figure = new_figure(*size, theme)
    right = 0.35 + max(inches(figure, name, 9) for name in arrays)
    width, height = size[0] - LEFT - right, size[1] - TOP - BOTTOM
    axes = figure.add_axes((LEFT / size[0], BOTTOM / size[1], width / size[0], height / size[1]))
    colors = (theme.mIoU, theme.G, theme.C, theme.loss)
    for k, (name, values) in enumerate(arrays.items()):
        shown = np.where(np.isfinite(values) & ((values > 0) | (not log)), values, np.nan)
        style: dict[str, Any] = {"color": colors[k % 4], "linestyle": DASHES[k // 4 % 3], "linewidth": 2}
        axes.plot(first + np.arange(len(values)), shown, label=name, clip_on=False, **style)
    _dress(axes, x, y, log, theme)
    _name_ends(axes, width, height, theme)
    return figure


def _dress(axes: Axes, x: str, y: str, log: bool, theme: Theme) -> None:
    axes.set_yscale("log" if log else "linear")
    axes.set_facecolor(theme.paper)
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(y, (0, 1), (0, 10), color=theme.ink, fontsize=11, fontweight="bold", **where)
    axes.set_xlabel(x, fontsize=9, color=theme.muted)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.margins(x=0)
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.tick_params(colors=theme.muted, labelsize=9, length=0, which="both")
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.grid)


def _name_ends(axes: Axes, width: float, height: float, theme: Theme) -> None:
    """Each curve's name right of its end, moved apart where two would touch; a thin line leads to it."""
    lines = [line for line in axes.get_lines() if np.isfinite(np.asarray(line.get_ydata(), float)).any()]
    heights = [_end_height(axes, line) for line in lines]
    for line, at, to in zip(lines, heights, spread(heights, gap=0.17 / height), strict=True):
        style: dict[str, Any] = {"transform": axes.transAxes, "color": line.get_color(), "clip_on": False}
        axes.add_artist(Line2D([1 + 0.04 / width, 1 + 0.18 / width], [at, to], linewidth=0.8, alpha=0.7, **style))
        axes.text(1 + 0.22 / width, to, str(line.get_label()), va="center", fontsize=9, parse_math=False, **style)


def _end_height(axes: Axes, line: Line2D) -> float:
    """Where a curve ends, as a share of the axes' height."""
    values = np.asarray(line.get_ydata(), float)
    end = values[np.isfinite(values)][-1]
    return float(axes.transAxes.inverted().transform(axes.transData.transform((0, end)))[1])
