"""A bar chart of the IoU per class."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..data.palette import Palette
from ..metrics import Scores
from .curves import inches, shortened
from .figures import LIGHT, Theme, new_figure, style_axes
from .legend import class_name


def per_class_figure(scores: Scores, palette: Palette, *, theme: Theme = LIGHT) -> Figure:
    """Draw the IoU per class as bars in the class colours, best first, and mark classes without pixels as absent."""
    order = np.argsort(-np.nan_to_num(scores.IoU, nan=-1), kind="stable")
    figure, axes = _bar_axes([class_name(palette, int(k)) for k in order], theme)
    hiding: dict[str, Any] = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5}  # the lines behind a value
    for row, k in enumerate(order):
        end = np.nan_to_num(scores.IoU[k])
        axes.barh(row, end, height=0.66, color=np.array(palette.colors[k]) / 255, edgecolor=theme.muted, linewidth=0.5)
        text, color, slant = f"{end:.3f}", theme.ink, "normal"
        if not scores.pixels[k]:
            text = "absent" if math.isnan(scores.IoU[k]) else "absent, but predicted"
            color, slant = theme.muted, "italic"
        axes.annotate(text, (end, row), (6, 0), textcoords="offset points", va="center", bbox=hiding, parse_math=False,
                      fontsize=10, color=color, style=slant)  # fmt: skip
    axes.set(xlim=(0, 1.08), xticks=np.linspace(0, 1, 6))
    if math.isfinite(scores.mIoU):
        axes.axvline(scores.mIoU, color=theme.muted, linewidth=1, linestyle=(0, (4, 3)), zorder=0.9)
        axes.annotate(f"mean {scores.mIoU:.3f}", (scores.mIoU, 1), (0, 5), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", fontsize=9, color=theme.muted)  # fmt: skip
    return figure


def _bar_axes(names: Sequence[str], theme: Theme) -> tuple[Figure, Axes]:
    """Create a figure with axes for bars and the names on their left."""
    names = [shortened(name) for name in names]
    width = 7.5  # inches; the height depends on the number of classes
    figure = new_figure(width, height := 0.3 * len(names) + 1.15, theme)
    left = 0.3 + max(inches(figure, name, 10) for name in names)
    axes = figure.add_axes((left / width, 0.5 / height, max(0.5, width - left - 0.2) / width, 1 - 1.15 / height))
    style_axes(axes, theme, "IoU per class")
    axes.grid(visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set(ylim=(len(names) - 0.4, -0.6), yticks=[])
    for number, name in enumerate(names):
        axes.annotate(name, (0, number), (-8, 0), textcoords="offset points", ha="right", va="center",
                      fontsize=10, color=theme.ink, parse_math=False)  # fmt: skip
    return figure, axes
