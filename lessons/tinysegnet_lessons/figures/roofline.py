"""A roofline of the machine with one dot per workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure, style_axes

from .end_labels import PlainNumbers, spread

__all__ = ["RooflineDot", "roofline_figure"]

WINOGRAD = 4  # F(4x4, 3x3) needs 36 multiplications where the definition needs 144
KINDS = {"convolution": "mIoU", "network": "loss", "memory": "G"}  # kind and its colour in the theme


@dataclass(frozen=True)
class RooflineDot:
    """One workload: flops per byte of its minimum traffic, flops per second, and a peer's rate or None."""

    name: str
    intensity: float
    rate: float
    kind: str
    peer: float | None = None


@both_themes
def roofline_figure(
    dots: Sequence[RooflineDot], product: float, copy: float, subtitle: str = "", *, theme: Theme = LIGHT,
    size: tuple[float, float] = (11.5, 7.0),
) -> Figure:  # fmt: skip
    """Draw the machine's limits (roofs) and the workloads' rates (dots) by arithmetic intensity.

    Winograd's algorithm can exceed the roof of products, because it performs fewer multiplications than are counted.

    Args:
        dots: the workloads; a hollow dot is the peer's.
        product: flops per second of matrix products.
        copy: bytes per second of memory.
        subtitle: a muted line below the title.
        theme: colours.
        size: width and height in inches.
    """
    figure = new_figure(*size, theme)
    told = (f"{dot.name} {dot.rate / 1e9:.3g} at {dot.intensity:.3g} flop/B" for dot in dots)
    figure.alt = (f"Roofline: memory {copy / 1e9:.3g} GB/s, products {product / 1e9:.3g} GFLOP/s. "
                  f"GFLOP/s of {len(dots)} workloads: {'; '.join(told)}")  # fmt: skip
    axes = figure.add_axes((0.07, 0.1, 0.9, 0.77))
    style_axes(axes, theme, "Roofline", subtitle)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    xs = [dot.intensity for dot in dots] or [1.0]
    limits = (min(0.25, min(xs) / 1.7), max(200.0, max(xs) * 2.8, 8 * product / copy))
    _scale_logarithmically(axes, limits, _heights(dots, product, copy), theme)
    _draw_roofs(axes, product / 1e9, copy / 1e9, limits, theme)
    for dot in dots:
        _draw_dot(axes, dot, theme)
    for memory in (True, False):
        _hang_names(axes, [dot for dot in dots if (dot.kind == "memory") == memory], theme)
    _explain_marks(axes, dots, theme)
    return figure


def _heights(dots: Sequence[RooflineDot], product: float, copy: float) -> tuple[float, float]:
    rates = [rate / 1e9 for dot in dots for rate in (dot.rate, dot.peer) if rate]
    top = max([WINOGRAD * product / 1e9, *rates])
    return min([copy / 4e9, *rates]) / 20, top * 1.6  # leaves room for names below


def _scale_logarithmically(axes: Axes, x: tuple[float, float], y: tuple[float, float], theme: Theme) -> None:
    axes.set(xscale="log", yscale="log", xlim=x, ylim=y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PlainNumbers())
        axis.set_minor_locator(NullLocator())
    style: dict[str, Any] = {"fontsize": 9, "color": theme.muted}
    axes.set_xlabel("operations per byte of the minimum traffic (flop/B)", labelpad=2, **style)
    axes.set_ylabel("GFLOP/s", labelpad=2, **style)


def _draw_roofs(axes: Axes, product: float, copy: float, x: tuple[float, float], theme: Theme) -> None:
    top = WINOGRAD * product
    line: dict[str, Any] = {"color": theme.muted, "linewidth": 1.4, "zorder": 1}
    axes.plot([x[0], top / copy], [x[0] * copy, top], **line)
    axes.plot([product / copy, x[1]], [product, product], **line)
    axes.plot([top / copy, x[1]], [top, top], linestyle=(0, (5, 3)), **line)
    style: dict[str, Any] = {"fontsize": 9, "color": theme.muted, "textcoords": "offset points", "va": "bottom"}
    # At the right end, both labels are far from the sloping line and above a dot on their own line.
    axes.annotate(f"products {product:.0f} GFLOP/s", (x[1], product), (-4, 9), ha="right", **style)
    axes.annotate(
        f"Winograd F(4x4,3x3), a quarter of the products: {top:.0f}", (x[1], top), (-4, 9), ha="right", **style
    )
    (x0, y0), (x1, y1) = axes.transData.transform([(1, copy), (2, 2 * copy)])
    angle = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
    slope = x[0] * 1.6
    axes.annotate(
        f"memory {copy:.1f} GB/s", (slope, slope * copy), (-3, 4), rotation=angle, rotation_mode="anchor", **style
    )


def _draw_dot(axes: Axes, dot: RooflineDot, theme: Theme) -> None:
    color = getattr(theme, KINDS[dot.kind])
    if dot.peer:
        axes.plot([dot.intensity] * 2, [dot.rate / 1e9, dot.peer / 1e9], color=color, linewidth=1, alpha=0.5, zorder=2)
        axes.plot(dot.intensity, dot.peer / 1e9, "o", markersize=6, color=color, markerfacecolor=theme.paper, zorder=3)
    axes.plot(dot.intensity, dot.rate / 1e9, "o", markersize=6.5, color=color, zorder=4)


def _hang_names(axes: Axes, dots: Sequence[RooflineDot], theme: Theme) -> None:
    """Write the names in a row below the dots, in their order and far enough apart that no lines cross."""
    if not dots:
        return
    dots = sorted(dots, key=lambda dot: dot.intensity)
    to_inches = axes.transData + axes.get_figure(root=True).dpi_scale_trans.inverted()  # type: ignore[union-attr]
    lowest = to_inches.transform([(dot.intensity, min(dot.rate, dot.peer or dot.rate) / 1e9) for dot in dots])
    row, width = lowest[:, 1].min() - 0.3, axes.get_figure(root=True).get_figwidth()  # type: ignore[union-attr]
    for dot, (x, y), to in zip(dots, lowest, spread(list(lowest[:, 0] / width), 0.19 / width), strict=True):
        color, to = getattr(theme, KINDS[dot.kind]), to * width
        line = to_inches.inverted().transform([(x, y - 0.05), (x, row + 0.16), (to, row)])
        axes.plot(*line.T, color=color, linewidth=0.6, alpha=0.5, zorder=1)
        axes.annotate(dot.name, line[-1], (1, -4), textcoords="offset points", rotation=-50, rotation_mode="anchor",
                      va="center", fontsize=8.5, color=color, parse_math=False)  # fmt: skip


def _explain_marks(axes: Axes, dots: Sequence[RooflineDot], theme: Theme) -> None:
    """Explain the colours and hollow dots at the upper right, next to the title."""
    named = [(f"● {kind}", getattr(theme, color)) for kind, color in KINDS.items() if any(d.kind == kind for d in dots)]
    named += [("○ PyTorch", theme.muted)] if any(dot.peer for dot in dots) else []
    right = 0.0
    for text, color in reversed(named):
        axes.annotate(text, (1, 1), (-right, 9), xycoords="axes fraction", textcoords="offset points", ha="right",
                      fontsize=9, color=color)  # fmt: skip
        right += 72 * inches(text, 9) + 14
