"""A bar chart of the IoU per class."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..data.palette import Palette
from ..metrics import Scores
from .figures import LIGHT, Theme, both_themes, new_figure, shortened, style_axes
from .legend import class_name


@both_themes
def per_class_figure(scores: Scores, palette: Palette, *, theme: Theme = LIGHT) -> Figure:
    """Draw the IoU per class as bars in the class colours, best first, and mark classes without pixels as absent."""
    order = np.argsort(-np.nan_to_num(scores.IoU, nan=-1), kind="stable")
    names = [shortened(class_name(palette, int(k))) for k in order]
    figure = new_figure(7.5, 0.3 * len(names) + 1.15, theme, fit=True)
    axes = figure.subplots()
    style_axes(axes, theme, "IoU per class")
    axes.grid(visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set(xlim=(0, 1.08), xticks=np.linspace(0, 1, 6), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), names, va="center", parse_math=False)
    axes.tick_params(axis="y", labelsize=10, labelcolor=theme.ink, pad=8)
    hiding: dict[str, Any] = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5}  # the lines behind a value
    told = []
    for row, k in enumerate(order):
        end = np.nan_to_num(scores.IoU[k])
        axes.barh(row, end, height=0.66, color=np.array(palette.colors[k]) / 255, edgecolor=theme.muted, linewidth=0.5)
        text, color, slant = f"{end:.3f}", theme.ink, "normal"
        if not scores.pixels[k]:
            text = "absent" if math.isnan(scores.IoU[k]) else "absent, but predicted"
            color, slant = theme.muted, "italic"
        told.append(f"{names[row]} {text}")
        axes.annotate(text, (end, row), (6, 0), textcoords="offset points", va="center", bbox=hiding, fontsize=10,
                      color=color, style=slant)  # fmt: skip
    figure.alt = f"IoU per class, best first: {', '.join(told)}. Mean {scores.mIoU:.3f}"
    if math.isfinite(scores.mIoU):
        axes.axvline(scores.mIoU, color=theme.muted, linewidth=1, linestyle=(0, (4, 3)), zorder=0.9)
        axes.annotate(f"mean {scores.mIoU:.3f}", (scores.mIoU, 1), (0, 5), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", fontsize=9, color=theme.muted)  # fmt: skip
    return figure
