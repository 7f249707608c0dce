"""Small pictures in rows, each with its text above it, as a figure without pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, new_figure, signed_colors

__all__ = ["show_gallery"]


@both_themes
def show_gallery(
    panels: Sequence[tuple[str, Any]],
    *,
    columns: int = 6,
    scale: float | None = None,
    width: float = 10.5,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw small pictures in rows, each with its text above it.

    `panels` are pairs (text, picture); a text may have several lines. A picture is a uint8 array (H, W, 3), shown
    unchanged, or an array of numbers (H, W), shown in orange above zero and in blue below. `scale` is the absolute
    value that gets the strongest colour, by default the largest in each picture. `width` is in inches. Raises
    ShapeError for other pictures.
    """
    pictures = [_as_picture(picture) for _, picture in panels]
    H, W = max(p.shape[0] / p.shape[1] for p in pictures), 1.0
    lines = max(text.count("\n") + 1 for text, _ in panels)
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    cell = width / columns
    height = cell * H / W + 0.17 * lines + 0.16
    figure = new_figure(width, rows * height, theme)
    figure.alt = f"{len(panels)} small pictures: " + ", ".join(" ".join(text.split()) for text, _ in panels)
    for k, ((text, _), picture) in enumerate(zip(panels, pictures, strict=True)):
        row, column = divmod(k, columns)
        left, bottom = column * cell, (rows - 1 - row) * height
        box = (left + 0.05) / width, (bottom + 0.05) / (rows * height), (cell - 0.1) / width, cell * H / (rows * height)
        axes = figure.add_axes(box)
        _draw(axes, picture, scale, theme)
        style: dict[str, Any] = {"fontsize": 8, "color": theme.ink, "va": "bottom", "linespacing": 1.2}
        axes.annotate(text, (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", **style)
    return figure


def _as_picture(picture: Any) -> np.ndarray:
    picture = np.asarray(picture)
    if (picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8) or picture.ndim == 2:
        return picture
    raise ShapeError(f"show_gallery needs uint8 (H, W, 3) or numbers (H, W), got {picture.dtype} {picture.shape}")


def _draw(axes: Axes, picture: np.ndarray, scale: float | None, theme: Theme) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if picture.ndim == 3:
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        return
    values = np.where(np.isfinite(picture), picture, 0)
    limit = scale or float(np.abs(values).max(initial=0)) or 1.0
    strength = np.sign(values) * np.minimum(np.abs(values) / limit, 1) ** 0.6  # makes small numbers visible
    axes.imshow(strength, cmap=signed_colors(theme), vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
