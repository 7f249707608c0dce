"""The confusion matrix as a coloured table."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..data.palette import Palette
from ..metrics import Scores
from .figures import LIGHT, NotebookFigure, Theme, both_themes, inches, new_figure, shortened
from .legend import class_name, percent
from .themes import readable

MAX_NUMBERED = 24  # with more classes, cells are too small for numbers


@both_themes
def confusion_figure(scores: Scores, palette: Palette, *, theme: Theme = LIGHT) -> Figure:
    """Draw the confusion matrix with one row per true class and one column per predicted class.

    A cell shows its share of the row's pixels in percent (blank below 0.5), so that every row adds up to 100 and the
    diagonal shows each class's accuracy. With more than 24 classes, cells show colours only. To the right of a row is
    its share of all labelled pixels. The row of a class that does not occur is empty and marked absent.
    """
    K = len(scores.pixels)
    cell = 0.44 if K <= MAX_NUMBERED else 0.23  # inches
    names = [shortened(class_name(palette, k), 24) for k in range(K)]
    shares = scores.confusion / np.maximum(scores.pixels, 1)[:, None]
    figure, axes = _square_axes(names, cell, theme)
    right = [f"{name} {100 * shares[k, k]:.0f}" for k, name in enumerate(names) if scores.pixels[k]]
    wrong = np.where(np.eye(K, dtype=bool), 0, shares)
    row, column = np.unravel_index(int(wrong.argmax()), shares.shape)
    figure.alt = (f"Confusion matrix, right in % of each true class: {', '.join(right)}. Most often wrong: "
                  f"{100 * wrong[row, column]:.0f} % of {names[row]}, predicted as {names[column]}")  # fmt: skip
    shades = _shades(theme)
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    away = -0.5 - 9 / (72 * cell)  # the centres of the colours beside the names
    colors: dict[str, Any] = {"c": np.array(palette.colors) / 255, "edgecolors": theme.muted, "linewidths": 0.5}
    for x, y in ((range(K), [away] * K), ([away] * K, range(K))):
        axes.scatter(x, y, 49, marker="s", clip_on=False, **colors)
    for at in np.arange(K + 1) - 0.5:
        axes.axhline(at, color=theme.grid, linewidth=0.6, clip_on=False)
        axes.axvline(at, color=theme.grid, linewidth=0.6, clip_on=False)
    total = max(int(scores.pixels.sum()), 1)
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "annotation_clip": False}
    axes.annotate("of all pixels", (K - 0.5, -0.5), (8, 6), va="bottom", color=theme.muted, **style)
    for k, name in enumerate(names):
        axes.annotate(name, (-0.5, k), (-18, 0), ha="right", va="center", color=theme.ink, parse_math=False, **style)
        axes.annotate(name, (k, -0.5), (0, 18), ha="center", va="bottom", rotation=90, color=theme.ink,
                      parse_math=False, **style)  # fmt: skip
        pixels, diagonal = scores.pixels[k], (k - 0.5, k - 0.5)  # where predictions are correct
        axes.add_patch(Rectangle(diagonal, 1, 1, fill=False, edgecolor=theme.muted, clip_on=False, zorder=2.5))
        text, slant = (percent(pixels / total), "normal") if pixels else ("absent", "italic")
        axes.annotate(text, (K - 0.5, k), (8, 0), va="center", style=slant, color=theme.muted, **style)
    for (row, column), share in np.ndenumerate(shares):
        if K <= MAX_NUMBERED and share >= 0.005:
            color, weight = readable(shades(share)[:3], theme), "bold" if row == column else "normal"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=9, color=color,
                      weight=weight)  # fmt: skip
    return figure


def _square_axes(names: list[str], cell: float, theme: Theme) -> tuple[NotebookFigure, Axes]:
    """Create a figure with a K x K table of cells, names to the left and above, and room for notes on the right."""
    label = max(inches(name, 9) for name in names) + 0.5
    title, notes, edge = 0.8, 1.0, 0.25  # inches, like all sizes below
    side = cell * len(names)
    W = max(edge + label + side + notes, 5.6)  # wide enough for title and subtitle
    H = title + label + side + edge
    figure = new_figure(W, H, theme)
    axes = figure.add_axes(((edge + label) / W, edge / H, side / W, side / H))
    where: dict[str, Any] = {"xycoords": "figure points", "ha": "left"}
    left, top = 72 * edge, 72 * H
    axes.annotate("Confusion matrix", (left, top - 24), color=theme.ink, fontsize=11, fontweight="bold", **where)
    text = "rows: true classes, columns: predicted classes, in % of each row"
    axes.annotate(text, (left, top - 39), color=theme.muted, fontsize=9, **where)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_frame_on(False)
    return figure, axes


def _shades(theme: Theme) -> LinearSegmentedColormap:
    """Return a colour map from paper to the theme's mIoU colour, with large first steps, so that 5 % is visible."""
    paper, full = np.array(to_rgb(theme.paper)), np.array(to_rgb(theme.mIoU))
    stops = [(x, tuple(paper + (full - paper) * x**0.6)) for x in np.linspace(0, 1, 17)]
    return LinearSegmentedColormap.from_list("tinysegnet", stops)
