"""A map of non-negative numbers, such as the loss of each pixel, next to its picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, new_figure
from tinysegnet.viz.overlay import as_uint8, hatch

__all__ = ["show_heat"]

PANEL, TOP, EDGE, GAP, BAR = 4.2, 0.42, 0.2, 0.25, 0.8  # inches


@both_themes
def show_heat(
    values: np.ndarray, title: str, *, image: np.ndarray | None = None, scale: float | None = None, theme: Theme = LIGHT
) -> Figure:
    """Draw a map (H, W) of numbers >= 0 with its scale, darker for larger numbers and hatched for NaN.

    `image` is the picture (H, W, 3), shown on the left. `scale` is the value that gets the darkest colour, by default
    the 99th percentile. Raises ShapeError for other shapes.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or not values.size or (image is not None and np.shape(image)[:2] != values.shape):
        raise ShapeError(f"the map must be (H, W) and its picture (H, W, 3), got {values.shape}"
                         + ("" if image is None else f" and {np.shape(image)}"))  # fmt: skip
    known = values[np.isfinite(values)]
    scale = scale or float(np.percentile(known, 99) if known.size else 0) or float(known.max(initial=0)) or 1.0
    colors = ScalarMappable(Normalize(0, scale), _shades(theme))
    painted = colors.to_rgba(np.nan_to_num(values), bytes=True)[:, :, :3]
    painted = np.where(np.isnan(values)[..., None], hatch(*values.shape, period=6), painted)
    panels = [(title, painted)] if image is None else [("", as_uint8(image)), (title, painted)]
    tall = PANEL * values.shape[0] / values.shape[1]
    size = 2 * EDGE + len(panels) * (PANEL + GAP) + BAR, TOP + tall + EDGE
    figure = new_figure(*size, theme)
    at = np.unravel_index(int(np.nan_to_num(values, nan=-np.inf).argmax()), values.shape)
    told = f"median {np.median(known):.3g}, largest {known.max():.3g}" if known.size else "no finite number"
    figure.alt = (f"{'Map' if image is None else 'Picture and map'} of {title}, {values.shape[0]} x {values.shape[1]}: "
                  f"{told} at row {at[0]}, column {at[1]}")  # fmt: skip
    for number, (name, picture) in enumerate(panels):
        left = (EDGE + number * (PANEL + GAP)) / size[0]
        axes = figure.add_axes((left, EDGE / size[1], PANEL / size[0], tall / size[1]))
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(name, (0, 1), (0, 8), fontsize=11, fontweight="bold", color=theme.ink, **where)
    bar = figure.add_axes(((size[0] - BAR - EDGE / 2) / size[0], EDGE / size[1], 0.14 / size[0], tall / size[1]))
    figure.colorbar(colors, cax=bar, extend="max").outline.set_edgecolor(theme.grid)  # type: ignore[operator]
    bar.tick_params(colors=theme.muted, labelsize=9, length=0)
    return figure


def _shades(theme: Theme) -> LinearSegmentedColormap:
    """Return shades from the background to dark violet, which are ordered by lightness for colour-blind readers."""
    return LinearSegmentedColormap.from_list("heat", (theme.paper, theme.loss, theme.ink))
