"""Names at the ends of curves instead of in a legend, and plain numbers on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation

SAMPLE = 0.36  # inches of a curve's dashes before its name


def label_end(axes: Axes, text: str, color: Any, at: float, to: float, width: float, dashes: Any = None) -> None:
    """Write a text at the height `to` beside the axes, with a line to it from the height `at`, and show the dashes."""
    style: dict[str, Any] = {"transform": axes.transAxes, "color": color, "clip_on": False}
    axes.add_artist(Line2D([1 + 0.04 / width, 1 + 0.18 / width], [at, to], linewidth=0.8, alpha=0.7, **style))
    if dashes is not None:
        ends = [1 + 0.22 / width, 1 + (0.16 + SAMPLE) / width]
        axes.add_artist(Line2D(ends, [to, to], linewidth=1.5, linestyle=dashes, gid="sample", **style))
    x = 1 + (0.22 + SAMPLE * (dashes is not None)) / width
    axes.text(x, to, text, va="center", fontsize=9, parse_math=False, **style)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights in 0..1 at least `gap` apart, each as little as possible, and keep their order.

    >>> [round(h, 2) for h in spread([0.5, 0.1, 0.5], gap=0.1)]
    [0.45, 0.1, 0.55]
    """
    from scipy.optimize import isotonic_regression  # imported here because it is slow to import

    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(order))
    # Gaps of at least `gap` between heights are gaps of at least 0 between heights - steps.
    starts = isotonic_regression(np.asarray(heights, np.float64)[order] - steps).x
    moved = np.empty(len(order))
    moved[order] = np.clip(starts, 0, max(0.0, 1 - gap * (len(order) - 1))) + steps
    return moved.tolist()


class PlainNumbers(LogFormatterSciNotation):
    """Labels of a logarithmic axis as plain numbers such as 0.001, or as powers of ten if that needs many zeros."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = super().__call__(x, pos)  # empty where a label would be too close to others
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        if not text or low < 10**-4.5 or high > 10**5.5:
            return text
        return f"{x:,.6f}".rstrip("0").rstrip(".") if x < 1 else f"{x:,g}"
