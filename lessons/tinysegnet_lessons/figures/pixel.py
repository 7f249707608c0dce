"""A network's prediction at one pixel: the picture with the pixel marked, and bars for all classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinysegnet.data.palette import Palette
from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure, shortened
from tinysegnet.viz.legend import class_name
from tinysegnet.viz.overlay import as_uint8

__all__ = ["show_pixel"]

PICTURE, PANEL, ROW, TOP, EDGE, NUMBER = 3.6, 2.5, 0.27, 0.45, 0.2, 0.55  # inches


@both_themes
def show_pixel(
    image: np.ndarray,
    at: tuple[int, int],
    bars: Mapping[str, np.ndarray],
    palette: Palette,
    *,
    label: int | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw a picture (H, W, 3) with the pixel `at` (row, column) marked, and next to it bars in the class colours.

    `bars` maps a title to one number per class (K,), such as logits or probabilities; each title is a panel with its
    own axis. `label` is the pixel's class, whose name is marked. Raises ShapeError if there is not one number per
    class.
    """
    K, image = palette.num_classes, as_uint8(image)
    values = {title: np.asarray(numbers, float) for title, numbers in bars.items()}
    for title, numbers in values.items():
        if numbers.shape != (K,):
            raise ShapeError(f"{title} {numbers.shape}: there must be one number per class, {K} in all")
    names = [shortened(class_name(palette, k), 22) + ("  (label)" if k == label else "") for k in range(K)]
    told = [f"{title}: " + ", ".join(f"{name} {number:.2f}" for name, number in zip(names, numbers, strict=True))
            for title, numbers in values.items()]  # fmt: skip
    words = max(inches(name, 9.5) for name in names) + 0.15
    tall = max(ROW * K, PICTURE * image.shape[0] / image.shape[1])
    size = 2 * EDGE + PICTURE + 0.3 + words + (PANEL + 0.25) * len(values), TOP + tall + EDGE
    figure = new_figure(*size, theme)
    figure.alt = f"A picture with pixel ({at[0]}, {at[1]}) marked, and a bar per class. {'. '.join(told)}"
    _draw_picture(_place(figure, EDGE, TOP, PICTURE, PICTURE * image.shape[0] / image.shape[1]), image, at, theme)
    left = EDGE + PICTURE + 0.3 + words
    for number, (title, numbers) in enumerate(values.items()):
        axes = _place(figure, left + number * (PANEL + 0.25), TOP, PANEL, ROW * K)
        _draw_bars(axes, title, numbers, palette, theme)
        for k, name in enumerate(names if number == 0 else ()):
            style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 9.5, "annotation_clip": False}
            weight = "bold" if k == label else "normal"
            axes.annotate(name, (0, k), (-6, 0), color=theme.ink, fontweight=weight, parse_math=False,
                          xycoords=axes.get_yaxis_transform(), textcoords="offset points", **style)  # fmt: skip
    return figure


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes at a position in inches from the upper left corner."""
    W, H = figure.get_size_inches()
    axes = figure.add_axes((left / W, 1 - (top + height) / H, width / W, height / H))
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(figure.get_facecolor())
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _draw_picture(axes: Axes, image: np.ndarray, at: tuple[int, int], theme: Theme) -> None:
    axes.imshow(image, interpolation="nearest", aspect="auto")
    row, column = at
    for color, width in ((theme.paper, 3.5), (theme.ink, 1.5)):
        axes.plot(column, row, "o", markersize=13, markerfacecolor="none", markeredgecolor=color, markeredgewidth=width)
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(f"pixel ({row}, {column})", (0, 1), (0, 8), fontsize=11, fontweight="bold", color=theme.ink, **where)


def _draw_bars(axes: Axes, title: str, numbers: np.ndarray, palette: Palette, theme: Theme) -> None:
    """Draw horizontal bars from 0, each with its number at the end; negative bars extend to the left."""
    low, high = min(float(numbers.min()), 0.0), max(float(numbers.max()), 0.0)
    room = (NUMBER if low < 0 else 0.0, NUMBER)  # inches, for the numbers at the ends
    inch = ((high - low) or 1.0) / (PANEL - sum(room))
    axes.set(xlim=(low - room[0] * inch, high + room[1] * inch), ylim=(len(numbers) - 0.5, -0.5))
    for k, value in enumerate(numbers):
        fill = np.array(palette.colors[k]) / 255
        axes.barh(k, value, height=0.68, color=fill, edgecolor=theme.muted, linewidth=0.6)
        text, away, ha = (
            f"{value:.2f}".replace("-", "\N{MINUS SIGN}"),
            4 if value >= 0 else -4,
            "left" if value >= 0 else "right",
        )
        axes.annotate(text, (value, k), (away, 0), textcoords="offset points", ha=ha, va="center", fontsize=8.5,
                      color=theme.ink)  # fmt: skip
    axes.axvline(0, color=theme.muted, linewidth=0.8)
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(title, (0, 1), (0, 8), fontsize=11, fontweight="bold", color=theme.ink, **where)
