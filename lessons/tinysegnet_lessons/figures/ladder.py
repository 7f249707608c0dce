"""A figure that compares the times of several ways to do the same work, with the factor of each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure, shortened, style_axes

from .end_labels import PlainNumbers

__all__ = ["show_ladder"]

ROW, TOP, BOTTOM, RIGHT = 0.34, 0.2, 0.6, 0.3  # inches


@both_themes
def show_ladder(rungs: Sequence[tuple[str, float]], *, theme: Theme = LIGHT, width: float = 9.5) -> Figure:
    """Draw times of the same work as dots, one below the other, on a logarithmic axis with faster on the left.

    `rungs` are pairs (name, seconds), in the order of the ladder. Each dot is labelled with its milliseconds and how
    many times faster or slower it is than the rung above. `width` is in inches. Raises ShapeError if there are no
    rungs, or if a time is not above 0.
    """
    if not rungs or not all(math.isfinite(seconds) and seconds > 0 for _, seconds in rungs):
        raise ShapeError("show_ladder: give at least one rung (name, seconds), each with a time above 0")
    height = ROW * len(rungs) + TOP + BOTTOM
    figure = new_figure(width, height, theme)
    names = [shortened(name) for name, _ in rungs]
    left = 0.3 + max(inches(name, 9.5) for name in names)
    size = (width - left - RIGHT) / width, (height - TOP - BOTTOM) / height
    axes = figure.add_axes((left / width, BOTTOM / height, *size))
    times = [1e3 * seconds for _, seconds in rungs]
    words = [_words(times[max(0, row - 1) : row + 1]) for row in range(len(times))]
    figure.alt = "Times of the same work: " + "; ".join(map(" ".join, zip(names, words, strict=True)))
    room = max(inches(text, 9) for text in words) + 0.3
    _dress(axes, times, room / (width - left - RIGHT), theme)
    _draw(axes, names, words, times, theme)
    return figure


def _words(times: Sequence[float]) -> str:
    """Return a dot's label, given its time, preceded by the time of the dot above if there is one."""
    return _number(times[-1]) + " ms" + (f",  {_factor(*times)}" if len(times) > 1 else "")


def _dress(axes: Axes, times: Sequence[float], room: float, theme: Theme) -> None:
    """Set up the axis of milliseconds; `room` is the share of the axis for the label of the slowest dot."""
    style_axes(axes, theme, "")
    axes.grid(visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    span = max(math.log10(max(times) / min(times)), 1.0) / max(0.97 - room, 0.1)
    limits = min(times) / 10 ** (0.03 * span), max(times) * 10 ** (room * span)
    axes.set(xscale="log", xlim=limits, ylim=(len(times) - 0.4, -0.6), yticks=[])
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PlainNumbers())
    axes.set_xlabel("milliseconds; each grid line is ten times the one before", fontsize=9, color=theme.muted)


def _draw(axes: Axes, names: Sequence[str], words: Sequence[str], times: Sequence[float], theme: Theme) -> None:
    rows = range(len(times))
    axes.plot(times, rows, color=theme.mIoU, linewidth=1.2, alpha=0.45, zorder=2)
    axes.plot(times, rows, "o", color=theme.mIoU, markersize=7, zorder=3)
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "parse_math": False}
    box = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5}
    for row, (name, text, time) in enumerate(zip(names, words, times, strict=True)):
        axes.annotate(name, (0, row), (-8, 0), xycoords=("axes fraction", "data"), ha="right", fontsize=9.5,
                      color=theme.ink, **style)  # fmt: skip
        axes.annotate(text, (time, row), (9, 0), fontsize=9, color=theme.ink, bbox=box, zorder=2.5, **style)


def _factor(before: float, now: float) -> str:
    """Return "12 x faster" or "1.3 x slower"."""
    ratio, word = (before / now, "faster") if now <= before else (now / before, "slower")
    return f"{_number(ratio)} x {word}"


def _number(value: float) -> str:
    """Format with three digits: 0.0123, 1.23, 12.3, 1,234."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"
