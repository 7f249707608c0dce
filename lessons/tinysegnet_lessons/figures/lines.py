"""Curves on one pair of axes, each labelled at its end instead of in a legend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure, style_axes

from .end_labels import SAMPLE, PlainNumbers, label_end, spread

__all__ = ["show_plot"]

LEFT, TOP, BOTTOM = 0.85, 0.65, 0.55  # inches
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)))
Curve = tuple[np.ndarray, np.ndarray]


@both_themes
def show_plot(
    curves: Mapping[str, Any],
    *,
    title: str = "",
    x: str = "",
    y: str = "",
    log: bool | Literal["x", "y"] = False,
    first: int = 0,
    marks: Mapping[str, tuple[float, float]] | None = None,
    size: tuple[float, float] = (8.5, 3.9),
    theme: Theme = LIGHT,
) -> Figure:
    """Draw curves by name, each a pair (x values, y values), or only y values at first, first + 1, ...

    The curves differ in colour and dashes; the names on the right come after a sample of these.

    `title`, `x` and `y` label the figure and its axes. `log` makes both axes (True) or one axis ("x" or "y")
    logarithmic. `marks` maps a name to a labelled point (x, y). `size` is in inches. A value that is not finite, or not
    positive on a logarithmic axis, leaves a gap. Raises ShapeError if there are no curves, or if one is not a list of
    numbers.
    """
    points = {name: _points(name, values, first) for name, values in curves.items()}
    if not points:
        raise ShapeError("show_plot: give at least one curve in a dict of names and lists of numbers")
    figure = new_figure(*size, theme)
    room = 0.35 + SAMPLE + max(inches(name, 9) for name in points)
    width, height = size[0] - LEFT - room, size[1] - TOP - BOTTOM
    axes = figure.add_axes((LEFT / size[0], BOTTOM / size[1], width / size[0], height / size[1]))
    style_axes(axes, theme, title, y)
    axes.tick_params(which="both", length=0, colors=theme.muted, labelsize=9)  # an axis of few decades has minor labels
    axes.set_xlabel(x, fontsize=9, color=theme.muted)
    axes.set(xscale="log" if log in (True, "x") else "linear", yscale="log" if log in (True, "y") else "linear")
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter(PlainNumbers())
            axis.set_minor_formatter(PlainNumbers(labelOnlyBase=False))
    for k, (name, (xs, ys)) in enumerate(points.items()):
        _draw(axes, k, name, _with_gaps(xs, log in (True, "x")), _with_gaps(ys, log in (True, "y")), theme)
    if all(np.ndim(values[0]) == 0 for values in curves.values()):
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.margins(x=0)
    for name, at in (marks or {}).items():
        axes.plot(*([c] for c in at), "o", color=theme.ink, markersize=6, zorder=3)
        axes.annotate(name, at, (0, 10), textcoords="offset points", fontsize=9, ha="center", color=theme.ink)
    axes.autoscale_view()  # needed before the ends of the curves can be located
    _name_ends(axes, list(axes.get_lines())[: len(points)], width, height, theme)
    told = [f"{name} {_course(*curve)}" for name, curve in points.items()]
    told += [f"{name} marked at ({at[0]:.3g}, {at[1]:.3g})" for name, at in (marks or {}).items()]
    over = " against ".join(filter(None, (y, x)))
    figure.alt = f"{': '.join(filter(None, (title, over))) or 'Plot'}. {'; '.join(told)}"
    return figure


def _course(xs: np.ndarray, ys: np.ndarray) -> str:
    """Return where a curve begins and ends, and its extremes where these are elsewhere."""
    known = np.isfinite(xs) & np.isfinite(ys)
    if not known.any():
        return "has no finite number"
    xs, ys = xs[known], ys[known]
    extremes = {"lowest": int(ys.argmin()), "highest": int(ys.argmax())}
    more = [f", {word} {ys[k]:.4g} at {xs[k]:.4g}" for word, k in extremes.items() if ys[k] not in (ys[0], ys[-1])]
    return f"from {ys[0]:.4g} at {xs[0]:.4g} to {ys[-1]:.4g} at {xs[-1]:.4g}{''.join(more)}"


def _points(name: str, values: Any, first: int) -> Curve:
    """Return a curve's x and y values as two arrays of the same length."""
    pair = len(values) == 2 and np.ndim(values[0]) == 1
    ys = np.asarray(values[1] if pair else values, float)
    xs = np.asarray(values[0], float) if pair else first + np.arange(float(ys.size))
    if ys.ndim != 1 or not ys.size or xs.shape != ys.shape:
        raise ShapeError(f"show_plot: {name!r} must be a list of numbers, or two lists of the same length")
    return xs, ys


def _with_gaps(values: np.ndarray, log: bool) -> np.ndarray:
    return np.where(np.isfinite(values) & ((values > 0) | (not log)), values, np.nan)


def _draw(axes: Axes, k: int, name: str, xs: np.ndarray, ys: np.ndarray, theme: Theme) -> None:
    """Draw the k-th curve. After four curves the colours repeat with other dashes."""
    colors = (theme.mIoU, theme.G, theme.C, theme.loss)
    axes.plot(xs, ys, label=name, color=colors[k % len(colors)], linestyle=_dashes(k), linewidth=2)


def _dashes(k: int) -> Any:
    """Return the k-th curve's dashes; the first 16 curves have different pairs of colour and dashes."""
    return DASHES[(k + k // 4) % len(DASHES)]


def _name_ends(axes: Axes, lines: list[Line2D], width: float, height: float, theme: Theme) -> None:
    """Label each curve to the right of its end; move labels apart where they would touch, and draw thin lines to them.

    A curve that ends well before the right edge is labelled next to its last point.
    """
    dashes = {line: _dashes(k) for k, line in enumerate(lines)}
    ends = {line: _end(axes, line) for line in lines if np.isfinite(np.asarray(line.get_ydata(), float)).any()}
    outside = [line for line, (at, _) in ends.items() if at > 0.97]
    for line in ends.keys() - set(outside):
        axes.annotate(str(line.get_label()), ends[line], (5, 0), xycoords="axes fraction", textcoords="offset points",
                      va="center", fontsize=9, color=line.get_color(), parse_math=False,
                      bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1})  # fmt: skip
    heights = [ends[line][1] for line in outside]
    for line, at, to in zip(outside, heights, spread(heights, gap=0.17 / height), strict=True):
        label_end(axes, str(line.get_label()), line.get_color(), at, to, width, dashes[line])


def _end(axes: Axes, line: Line2D) -> tuple[float, float]:
    """Return where a curve ends, as fractions of the axes' width and height."""
    points = np.asarray(line.get_xydata(), float)
    last = points[np.isfinite(points).all(1)][-1]
    at, up = axes.transAxes.inverted().transform(axes.transData.transform(last))
    return float(at), float(up)
