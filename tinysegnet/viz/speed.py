"""How fast things are: a roofline of the machine with a dot for each work, and the layers of a step as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from .curves import inches, shortened
from .figures import LIGHT, Theme, new_figure, style_axes

__all__ = ["Dot", "profile_figure", "roofline_figure"]

WINOGRAD = 4  # F(4x4, 3x3) multiplies 36 times where the definition does 144 times
FAR = 14  # pixels from a dot to its name that need a line
ANGLES = np.radians([0, 180, 25, -25, 155, -155, 50, -50, 130, -130, 70, -70, 110, -110, 90, -90])
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)
KINDS = {"convolution": "mIoU", "network": "loss", "memory": "G"}  # the theme's colour of each


@dataclass(frozen=True)
class Dot:
    """A work: flops for each byte of its least traffic, flops a second; peer: another implementation's, or None."""

    name: str
    intensity: float
    rate: float
    kind: str
    peer: float | None = None


def roofline_figure(
    dots: Sequence[Dot], product: float, copy: float, subtitle: str = "", *, theme: Theme = LIGHT,
    size: tuple[float, float] = (11.5, 7.0),
) -> Figure:  # fmt: skip
    """What the machine can do at most (roofs), and what works reach (dots), by arithmetic intensity.

    product: flops a second of matrix products; copy: bytes a second of memory. A hollow dot is the peer's. Above the
    roof of products lies what Winograd's way may reach, which multiplies less than is counted.
    """
    figure = new_figure(*size, theme)
    axes = figure.add_axes((0.07, 0.1, 0.9, 0.77))
    style_axes(axes, theme, "Roofline", subtitle)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    xs = [dot.intensity for dot in dots] or [1.0]
    limits = (min(0.25, min(xs) / 1.7), max(200.0, max(xs) * 2))
    _scale_logarithmically(axes, limits, _heights(dots, product, copy), theme)
    taken = _draw_roofs(axes, product / 1e9, copy / 1e9, limits, theme)
    for dot in dots:
        _draw_dot(axes, dot, theme)
    _draw_names(axes, dots, taken, theme)
    _explain_marks(axes, dots, theme)
    return figure


def _heights(dots: Sequence[Dot], product: float, copy: float) -> tuple[float, float]:
    rates = [rate / 1e9 for dot in dots for rate in (dot.rate, dot.peer) if rate]
    top = max([WINOGRAD * product / 1e9, *rates])
    return min([copy / 4e9, *rates]) / 2, top * 2


def _scale_logarithmically(axes: Axes, x: tuple[float, float], y: tuple[float, float], theme: Theme) -> None:
    axes.set(xscale="log", yscale="log", xlim=x, ylim=y)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(plain)
        axis.set_minor_locator(NullLocator())
    style: dict[str, Any] = {"fontsize": 9, "color": theme.muted}
    axes.set_xlabel("operations for each byte of the least traffic (flop/B)", labelpad=2, **style)
    axes.set_ylabel("GFLOP/s", labelpad=2, **style)


def _draw_roofs(axes: Axes, product: float, copy: float, x: tuple[float, float], theme: Theme) -> list[Bbox]:
    """-> what they and their names cover."""
    for roof, dashes in ((product, "solid"), (WINOGRAD * product, (0, (5, 3)))):
        ridge = roof / copy
        axes.plot([ridge, x[1]], [roof, roof], color=theme.muted, linewidth=1.4, linestyle=dashes, zorder=1)
    axes.plot([x[0], WINOGRAD * product / copy], [x[0] * copy, WINOGRAD * product], color=theme.muted, linewidth=1.4,
              zorder=1)  # fmt: skip
    style: dict[str, Any] = {"fontsize": 9, "color": theme.muted, "textcoords": "offset points", "va": "bottom"}
    names = [
        axes.annotate(f"products {product:.0f} GFLOP/s", (product / copy, product), (28, 3), **style),
        axes.annotate(f"Winograd F(4x4,3x3): 4 times as much, {WINOGRAD * product:.0f}", (x[1], WINOGRAD * product),
                      (-4, 3), ha="right", **style),
        _along_the_slope(axes, f"memory {copy:.1f} GB/s", x[0] * 1.6, copy, style),
    ]  # fmt: skip
    lines = [axes.transData.transform(np.asarray(line.get_xydata())) for line in axes.lines]
    return [*(name.get_window_extent() for name in names), *(box for line in lines for box in _points(*line))]


def _along_the_slope(axes: Axes, text: str, x: float, copy: float, style: dict[str, Any]) -> Any:
    (x0, y0), (x1, y1) = axes.transData.transform([(x, x * copy), (2 * x, 2 * x * copy)])
    angle = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
    return axes.annotate(text, (x, x * copy), (-3, 4), rotation=angle, rotation_mode="anchor", **style)


def _draw_dot(axes: Axes, dot: Dot, theme: Theme) -> None:
    color = getattr(theme, KINDS[dot.kind])
    if dot.peer:
        axes.plot([dot.intensity] * 2, [dot.rate / 1e9, dot.peer / 1e9], color=color, linewidth=1, alpha=0.5, zorder=2)
        axes.plot(dot.intensity, dot.peer / 1e9, "o", markersize=6, color=color, markerfacecolor=theme.paper, zorder=3)
    axes.plot(dot.intensity, dot.rate / 1e9, "o", markersize=6.5, color=color, zorder=4)


def _draw_names(axes: Axes, dots: Sequence[Dot], taken: list[Bbox], theme: Theme) -> None:
    """Each name beside its dot, at the nearest place where nothing else is; a thin line to it where that is far."""
    taken, written = [*taken, *(box for dot in dots for box in _marks(axes, dot))], []
    for dot in sorted(dots, key=lambda dot: -dot.rate):
        style: dict[str, Any] = {"transform": None, "color": getattr(theme, KINDS[dot.kind])}
        at = axes.transData.transform((dot.intensity, dot.rate / 1e9))
        text = axes.text(0, 0, dot.name, fontsize=8.5, va="bottom", parse_math=False, zorder=5, **style)
        box, line = _free_place(at, text.get_window_extent(), taken, written, axes.get_window_extent())
        text.set_position((box.x0, box.y0))
        if line:
            axes.add_artist(
                Line2D(*zip(at, np.clip(at, box.min, box.max), strict=True), linewidth=0.7, alpha=0.7, **style)
            )
        written += [box, *line]


def _marks(axes: Axes, dot: Dot) -> list[Bbox]:
    """What a dot, its peer and the line between them cover."""
    rates = [rate / 1e9 for rate in (dot.rate, dot.peer) if rate]
    ends = axes.transData.transform([(dot.intensity, rate) for rate in rates])
    return [*(Bbox([end - 6, end + 6]) for end in ends), Bbox([ends.min(0) - 2, ends.max(0) + 2])]


def _points(begin: np.ndarray, end: np.ndarray) -> list[Bbox]:
    """Small boxes along a line."""
    steps = np.linspace(0, 1, 2 + int(np.hypot(*(end - begin)) / 5))
    return [Bbox([begin + t * (end - begin) - 1, begin + t * (end - begin) + 1]) for t in steps]


def _free_place(
    at: np.ndarray, box: Bbox, taken: Sequence[Bbox], written: Sequence[Bbox], inside: Bbox
) -> tuple[Bbox, list[Bbox]]:
    """Where a name of the size of `box` fits, and the line to it, empty if it is near; tries all around, near first.

    taken: what the name must not cover; written: names and lines, which the line must not cross either.
    """
    for radius in range(9, 260, 6):
        for x, y in at + radius * DIRECTIONS:
            left = x if x > at[0] - 1 else x - box.width
            place = Bbox.from_bounds(left, y - box.height / 2, box.width, box.height)
            end = np.clip(at, place.min, place.max)
            line = _points(at, end)[3:] if np.hypot(*(end - at)) > FAR else []
            within = (place.min > inside.min).all() and (place.max < inside.max).all()
            crossed = any(point.count_overlaps(written) for point in line)
            if within and not crossed and not place.padded(1.5).count_overlaps([*taken, *written]):
                return place, line
    return Bbox.from_bounds(at[0] + 9, at[1] - box.height / 2, box.width, box.height), []


def _explain_marks(axes: Axes, dots: Sequence[Dot], theme: Theme) -> None:
    """What colours and hollow dots mean, at the upper right, beside the title."""
    named = [(f"● {kind}", getattr(theme, color)) for kind, color in KINDS.items() if any(d.kind == kind for d in dots)]
    named += [("○ PyTorch", theme.muted)] if any(dot.peer for dot in dots) else []
    figure, right = axes.get_figure(root=True), 0.0
    for text, color in reversed(named):
        axes.annotate(text, (1, 1), (-right, 9), xycoords="axes fraction", textcoords="offset points", ha="right",
                      fontsize=9, color=color)  # fmt: skip
        right += 72 * inches(figure, text, 9) + 14  # type: ignore[arg-type]


def profile_figure(
    bars: Sequence[tuple[str, float, float]],
    title: str,
    subtitle: str = "",
    *,
    theme: Theme = LIGHT,
    width: float = 8.0,
) -> Figure:
    """Layers as bars, first layer at the top. bars: (name, forward, backward), in milliseconds."""
    figure = new_figure(width, height := 0.22 * len(bars) + 1.25, theme)
    names = [shortened(name) for name, _, _ in bars]
    left = 0.3 + max(inches(figure, name, 9) for name in names)
    axes = figure.add_axes((left / width, 0.5 / height, (width - left - 0.3) / width, 1 - 1.25 / height))
    style_axes(axes, theme, title, subtitle)
    axes.grid(visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    longest = max(forward + backward for _, forward, backward in bars)
    for row, (name, (_, forward, backward)) in enumerate(zip(names, bars, strict=True)):
        _draw_bar(axes, row, name, forward, backward, theme)
    axes.set(xlim=(0, 1.12 * longest), ylim=(len(bars) - 0.4, -0.6), yticks=[])
    axes.set_xlabel("milliseconds", fontsize=9, color=theme.muted, labelpad=2)
    for i, (text, color) in enumerate((("■ backward", theme.loss), ("■ forward", theme.mIoU))):
        axes.annotate(text, (1, 1), (-70 * i, 9), xycoords="axes fraction", textcoords="offset points", ha="right",
                      fontsize=9, color=color)  # fmt: skip
    return figure


def _draw_bar(axes: Axes, row: int, name: str, forward: float, backward: float, theme: Theme) -> None:
    axes.barh(row, forward, height=0.72, color=theme.mIoU)
    axes.barh(row, backward, left=forward, height=0.72, color=theme.loss)
    style: dict[str, Any] = {"va": "center", "parse_math": False, "textcoords": "offset points"}
    axes.annotate(name, (0, row), (-6, 0), ha="right", fontsize=9, color=theme.ink, **style)
    box = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1}
    total = forward + backward
    axes.annotate(
        f"{total:.2f}" if total < 10 else f"{total:.1f}",
        (total, row),
        (4, 0),
        fontsize=8.5,
        color=theme.muted,
        bbox=box,
        **style,
    )
