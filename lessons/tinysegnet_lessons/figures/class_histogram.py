"""A histogram of the pixels per class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinysegnet.data.palette import Palette
from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure, shortened, write_title
from tinysegnet.viz.legend import class_name, percent

__all__ = ["class_histogram_figure"]


@both_themes
def class_histogram_figure(
    counts: np.ndarray, palette: Palette, *, sort: bool = True, theme: Theme = LIGHT, width: float = 7.5
) -> Figure:
    """Draw the pixels per class as bars in the class colours, with shares, largest first unless sort=False.

    `counts` has the shape (K,), such as `count_pixels(data).pixels` or `scores.pixels`; `width` is in inches. Raises
    ShapeError if there is not one count per class.
    """
    counts = np.asarray(counts)
    if counts.shape != (palette.num_classes,):
        raise ShapeError(f"counts {counts.shape}: there must be one number per class, {palette.num_classes} in all")
    order = np.argsort(-counts, kind="stable") if sort else np.arange(len(counts))
    names = [shortened(class_name(palette, int(k))) for k in order]
    figure = new_figure(width, 0.3 * len(order) + 0.95, theme)
    axes = _bar_axes(figure, names, theme)
    write_title(axes, theme, "Pixels per class", f"{int(counts.sum()):,} labelled pixels")
    told = (f"{name} {percent(counts[k] / max(counts.sum(), 1))}" for name, k in zip(names, order, strict=True))
    figure.alt = f"Bars of the pixels per class: {', '.join(told)}"
    for row, k in enumerate(order):
        _histogram_bar(axes, row, names[row], int(counts[k]), counts, palette.colors[k], theme)
    axes.set(xlim=(0, max(float(counts.max(initial=0)), 1.0)), ylim=(len(order) - 0.4, -0.6))
    return figure


def _bar_axes(figure: Figure, names: list[str], theme: Theme) -> Axes:
    """Return axes for horizontal bars with names on their left and numbers on their right."""
    W, H = figure.get_size_inches()
    left = 0.35 + max(inches(name, 10) for name in names)
    right = 0.3 + inches("100.0 %  000,000,000,000", 10)
    axes = figure.add_axes((left / W, 0.2 / H, max(0.5, W - left - right) / W, (H - 0.9) / H))
    axes.set_facecolor(theme.paper)
    axes.set(xticks=[], yticks=[])
    for name, spine in axes.spines.items():
        spine.set_visible(name == "left")
        spine.set_color(theme.grid)
    return axes


def _histogram_bar(
    axes: Axes, row: int, name: str, count: int, counts: np.ndarray, color: tuple[int, int, int], theme: Theme
) -> None:
    fill = np.array(color) / 255
    axes.barh(row, count, height=0.66, color=fill, edgecolor=theme.muted, linewidth=0.5)
    style: dict[str, Any] = {"va": "center", "fontsize": 10, "parse_math": False, "textcoords": "offset points"}
    axes.annotate(name, (0, row), (-8, 0), ha="right", color=theme.ink, **style)
    share, slant = (percent(count / counts.sum()), "normal") if count else ("absent", "italic")
    ink = theme.ink if count else theme.muted
    text = axes.annotate(share, (count, row), (6, 0), color=ink, style=slant, **style)
    if count:
        axes.annotate(f"{count:,}", (1, 0.5), (8, 0), xycoords=text, color=theme.muted, **style)
