"""The scores of the classes: the IoU as bars, and the confusion matrix as a coloured table."""

import math
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..data.palette import Palette
from ..metrics import Scores
from .figures import LIGHT, Theme, both_themes, new_figure, shortened, style_axes
from .legend import class_name, percent
from .themes import readable

MAX_NUMBERED = 24  # with more classes, cells of the confusion matrix are too small for numbers


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


@both_themes
def confusion_figure(scores: Scores, palette: Palette, *, theme: Theme = LIGHT) -> Figure:
    """Draw the confusion matrix with one row per true class and one column per predicted class.

    A cell shows its share of the row's pixels in percent (blank below 0.5), so that every row adds up to 100 and the
    diagonal shows each class's accuracy. With more than 24 classes, cells show colours only. To the right of a row is
    its share of all labelled pixels. The row of a class that does not occur is empty and marked absent.
    """
    K = len(scores.pixels)
    names = [shortened(class_name(palette, k), 24) for k in range(K)]
    shares = scores.confusion / np.maximum(scores.pixels, 1)[:, None]
    right = [f"{name} {100 * shares[k, k]:.0f}" for k, name in enumerate(names) if scores.pixels[k]]
    wrong = np.where(np.eye(K, dtype=bool), 0, shares)
    row, column = np.unravel_index(int(wrong.argmax()), shares.shape)
    side = (0.44 if K <= MAX_NUMBERED else 0.23) * K  # inches
    figure = new_figure(max(side + 3.2, 5.6), side + 2.7, theme, fit=True)
    figure.alt = (f"Confusion matrix, right in % of each true class: {', '.join(right)}. Most often wrong: "
                  f"{100 * wrong[row, column]:.0f} % of {names[row]}, predicted as {names[column]}")  # fmt: skip
    axes, shades = figure.subplots(), _shades(theme)
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1, interpolation="nearest")
    axes.set_frame_on(False)
    axes.set_title("Confusion matrix", loc="left", color=theme.ink, fontsize=11, fontweight="bold", pad=12)
    axes.set_xlabel("columns: predicted classes, in % of each row", fontsize=9, color=theme.muted)
    axes.set_ylabel("rows: true classes", fontsize=9, color=theme.muted)
    axes.xaxis.tick_top()
    axes.set_xticks(range(K), names, rotation=90, parse_math=False)
    axes.set_yticks(range(K), names, parse_math=False)
    axes.tick_params(length=0, pad=18, labelsize=9, labelcolor=theme.ink)  # the pad has room for the class's colour
    colors: dict[str, Any] = {"c": np.array(palette.colors) / 255, "edgecolors": theme.muted, "linewidths": 0.5}
    away = -0.5 - 9 / (72 * side / K)  # the centres of the colours beside the names, if the cells have their full size
    for x, y in ((range(K), [away] * K), ([away] * K, range(K))):
        axes.scatter(x, y, 49, marker="s", clip_on=False, **colors)
    axes.set(xlim=(-0.5, K - 0.5), ylim=(K - 0.5, -0.5))
    for at in np.arange(K + 1) - 0.5:
        axes.axhline(at, color=theme.grid, linewidth=0.6, clip_on=False)
        axes.axvline(at, color=theme.grid, linewidth=0.6, clip_on=False)
    total = max(int(scores.pixels.sum()), 1)
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "annotation_clip": False}
    axes.annotate("of all pixels", (K - 0.5, -0.5), (8, 6), va="bottom", color=theme.muted, **style)
    for k, pixels in enumerate(scores.pixels):
        diagonal = k - 0.5, k - 0.5  # where predictions are correct
        axes.add_patch(Rectangle(diagonal, 1, 1, fill=False, edgecolor=theme.muted, clip_on=False, zorder=2.5))
        text, slant = (percent(pixels / total), "normal") if pixels else ("absent", "italic")
        axes.annotate(text, (K - 0.5, k), (8, 0), va="center", style=slant, color=theme.muted, **style)
    for (row, column), share in np.ndenumerate(shares):
        if K <= MAX_NUMBERED and share >= 0.005:
            color, weight = readable(shades(share)[:3], theme), "bold" if row == column else "normal"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=9, color=color,
                      weight=weight)  # fmt: skip
    return figure


def _shades(theme: Theme) -> LinearSegmentedColormap:
    """Return a colour map from paper to the theme's mIoU colour, with large first steps, so that 5 % is visible."""
    paper, full = np.array(to_rgb(theme.paper)), np.array(to_rgb(theme.mIoU))
    stops = [(x, tuple(paper + (full - paper) * x**0.6)) for x in np.linspace(0, 1, 17)]
    return LinearSegmentedColormap.from_list("tinysegnet", stops)
