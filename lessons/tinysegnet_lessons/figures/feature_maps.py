"""The channels of a layer side by side, on one colour scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, new_figure, signed_colors

__all__ = ["show_feature_maps"]

WIDE, GAP, EDGE, TITLE = 10.0, 0.1, 0.2, 0.24  # inches


@both_themes
def show_feature_maps(
    maps: Any,
    titles: Sequence[str] | None = None,
    *,
    title: str | None = None,
    columns: int | None = None,
    most: int = 32,
    scale: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the channels of maps (H, W, C) as pictures on one colour scale, orange above zero and blue below.

    `titles` has one title per channel, by default the channel's number; `title` is the heading. `columns` is the number
    of pictures per row, by default as many as fit well. `most` limits the number of channels. `scale` is the absolute
    value that gets the strongest colour, by default the 99.5th percentile of the absolute values, so that one outlier
    does not make all others pale. Raises ShapeError if maps are not (H, W, C).
    """
    maps = np.asarray(maps)
    if maps.ndim != 3 or 0 in maps.shape or maps.dtype.kind not in "iufb":
        raise ShapeError(f"maps must be (H, W, C), got {maps.dtype} {maps.shape}. Take one sample of (N, H, W, C)")
    maps = maps[:, :, :most].astype(float)
    H, W, C = maps.shape
    finite = np.abs(maps[np.isfinite(maps)])
    scale = scale or float(np.percentile(finite, 99.5) if finite.size else 0) or float(finite.max(initial=0)) or 1.0
    columns = min(C, columns or _columns(C, H, W))
    rows = math.ceil(C / columns)
    side = min((WIDE - GAP * (columns - 1)) / columns, 2.4)
    tall, head = side * H / W, 0.4 if title else 0.1
    size = 2 * EDGE + columns * (side + GAP) + 0.75, head + rows * (tall + TITLE + GAP) + EDGE
    figure = new_figure(*size, theme)
    colors = ScalarMappable(Normalize(-scale, scale), signed_colors(theme))
    for channel in range(C):
        row, column = divmod(channel, columns)
        left, top = EDGE + column * (side + GAP), head + row * (tall + TITLE + GAP) + TITLE
        axes = figure.add_axes((left / size[0], 1 - (top + tall) / size[1], side / size[0], tall / size[1]))
        axes.imshow(
            maps[:, :, channel], cmap=colors.cmap, vmin=-scale, vmax=scale, interpolation="nearest", aspect="auto"
        )
        _bare(axes, theme)
        name = str(channel) if titles is None else titles[channel]
        figure.text(left / size[0], 1 - (top - 0.06) / size[1], name, fontsize=9, color=theme.muted, parse_math=False)
    names = [str(channel) for channel in range(C)] if titles is None else list(titles)[:C]
    extremes = f"from {np.nanmin(maps):.3g} to {np.nanmax(maps):.3g}" if finite.size else "without finite numbers"
    figure.alt = (f"{title or 'Feature maps'}: {C} of {H} x {W} numbers {extremes}, orange above zero and blue below: "
                  f"{', '.join(names)}")  # fmt: skip
    if title:
        figure.text(EDGE / size[0], 1 - 0.27 / size[1], title, fontsize=11, fontweight="bold", color=theme.ink)
    _scale_bar(
        figure, colors, min(tall * rows, 2.2), head + TITLE, theme, signed=bool(finite.size and np.nanmin(maps) < 0)
    )
    return figure


def _columns(C: int, H: int, W: int) -> int:
    """Choose columns so that the whole is about twice as wide as high, with a full last row if possible."""
    about = math.ceil(math.sqrt(2 * C * H / W))
    likely = range(max(1, min(about - 1, 7)), min(C, 8, about + 1) + 1)
    return min(likely, key=lambda columns: (-C % columns, abs(columns - about)), default=1)


def _bare(axes: Any, theme: Theme) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(theme.grid)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)


def _scale_bar(
    figure: Figure, colors: ScalarMappable, height: float, top: float, theme: Theme, *, signed: bool
) -> None:
    W, H = figure.get_size_inches()
    axes = figure.add_axes(((W - 0.75) / W, 1 - (top + height) / H, 0.12 / W, height / H))
    bar = figure.colorbar(colors, cax=axes)
    bar.outline.set_edgecolor(theme.grid)  # type: ignore[operator]
    axes.tick_params(colors=theme.muted, labelsize=8, length=0)
    if not signed:
        axes.set_ylim(0, colors.get_clim()[1])
