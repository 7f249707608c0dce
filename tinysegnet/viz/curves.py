"""How training went, loss and scores over epochs, as a matplotlib figure.

Curves and baselines carry their names at their right ends, where the eye arrives; there is no legend to look up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from .figures import LIGHT, Theme, new_figure, style_axes

__all__ = ["PANELS", "column", "curves_figure", "inches", "shortened", "spread"]

PANELS = ("loss", "scores", "rate")
EndLabel = tuple[float, str, str]  # y in data units, text, colour
LEFT, RIGHT, TOP, BOTTOM = 0.55, 0.2, 0.65, 0.5  # inches around a panel's axes


def curves_figure(
    history: Sequence[Mapping[str, Any]],
    baselines: Mapping[str, float] | None = None,
    *,
    panels: Sequence[str] = PANELS,
    theme: Theme = LIGHT,
    size: tuple[float, float] = (11.0, 4.6),
) -> Figure:
    """Loss, scores with their baselines, and learning rate over epochs.

    Args:
        history: one row per epoch, with the columns of metrics.csv and perhaps learning_rate; a value that is missing,
            empty or not finite leaves a gap.
        baselines: mIoU of what needs no network, by name.
        panels: which of "loss", "scores" and "rate".
        theme: colours.
        size: width and height in inches.
    """
    with_rate = "rate" in panels and np.isfinite(column(history, "learning_rate")).any()
    panels = [panel for panel in panels if panel != "rate" or with_rate]
    figure = new_figure(*size, theme)
    for panel, cell in _cells(panels, size).items():
        _draw_panel(figure, panel, cell, history, dict(baselines or {}), theme)
    return figure


def column(history: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """One column of the history, (epochs,) float64; NaN where it is absent, empty, no number or not finite."""
    return np.array([_finite(row.get(name)) for row in history], np.float64)


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _cells(panels: Sequence[str], size: tuple[float, float]) -> dict[str, tuple[float, float, float, float]]:
    """Where each panel lies, (x, y, width, height) in inches: side by side, the learning rate low under the loss."""
    width, height = size
    columns = [panel for panel in panels if panel != "rate"] or list(panels)
    # The scores get the wider column: the baselines' names stand in it.
    shares = (0.44, 0.56) if len(columns) == 2 else (1.0,)
    cells = {panel: (i * shares[0] * width, 0.0, shares[i] * width, height) for i, panel in enumerate(columns)}
    if "rate" in panels and columns != ["rate"]:
        x, _, share, _ = cells[columns[0]]
        cells["rate"] = (x, 0.0, share, low := 0.37 * height)
        cells[columns[0]] = (x, low, share, height - low)
    return cells


def _draw_panel(
    figure: Figure,
    panel: str,
    cell: tuple[float, float, float, float],
    history: Sequence[Mapping[str, Any]],
    baselines: dict[str, float],
    theme: Theme,
) -> None:
    """One panel: decide what its curves are, make room for their names, draw both."""
    curves = _curves(history, panel, theme)
    baselines = {name: value for name, value in baselines.items() if panel == "scores" and math.isfinite(value)}
    digits = ".2g" if panel == "rate" else ".3f"
    ends = [(_last(y), f"{name} {_last(y):{digits}}".strip(), color) for name, y, color in curves]
    ends = [end for end in ends if math.isfinite(end[0])]
    ends += [(value, f"{shortened(name)} {value:.3f}", theme.muted) for name, value in baselines.items()]
    # "1.25e-05": at least that much, so that loss and learning rate, one below the other, end at the same place
    room = max(inches(figure, text, 9) for text in ["1.25e-05"] + [text for _, text, _ in ends])
    axes = _axes(figure, cell, right=RIGHT + 0.25 + room)
    style_axes(axes, theme, *_titles(panel, history))
    for value in baselines.values():
        axes.axhline(value, color=theme.muted, linewidth=1, linestyle=(0, (2, 2)))
    _draw_curves(axes, column(history, "epoch"), [(y, color) for _, y, color in curves], theme)
    _scale(axes, panel, np.concatenate([y for _, y, _ in curves]), theme)
    _label_ends(axes, ends, cell[3] - TOP - BOTTOM)


def _scale(axes: Axes, panel: str, values: np.ndarray, theme: Theme) -> None:
    """The y axis begins at 0, so that heights can be compared; scores end at 1, the best there is."""
    values = values[np.isfinite(values)]
    top = float(values.max(initial=0)) or 1.0
    axes.set_ylim(0, 1.005 if panel == "scores" else 1.06 * top)  # 1.005: the whole line at 1
    if panel == "rate":
        axes.set_yticks([0, top], ["0", ""])  # the subtitle says how high the peak is
    if not len(values):
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", color=theme.muted, fontsize=10)


def _curves(history: Sequence[Mapping[str, Any]], panel: str, theme: Theme) -> list[tuple[str, np.ndarray, str]]:
    """Name, values and colour of a panel's curves, the most important last, so that it lies on top."""
    if panel == "scores":
        return [(name, column(history, f"val_{name}"), getattr(theme, name)) for name in ("G", "C", "mIoU")]
    name = {"loss": "train_loss", "rate": "learning_rate"}[panel]
    return [("", column(history, name), theme.loss if panel == "loss" else theme.muted)]


def _titles(panel: str, history: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Title and subtitle of a panel."""
    mIoU, loss = column(history, "val_mIoU"), column(history, "train_loss")
    if panel == "loss":
        return "Training loss", f"{len(loss)} epoch" + "s" * (len(loss) != 1)
    if panel == "rate":
        return "Learning rate", f"peak {np.nanmax(column(history, 'learning_rate')):.3g}"
    if not np.isfinite(mIoU).any():
        return "Validation scores", ""
    best = int(np.nanargmax(mIoU))
    return "Validation scores", f"best mIoU {mIoU[best]:.3f} in epoch {column(history, 'epoch')[best]:.0f}"


def _draw_curves(axes: Axes, epoch: np.ndarray, curves: list[tuple[np.ndarray, str]], theme: Theme) -> None:
    """Lines from value to value, across epochs that have none; dots as well where values are few."""
    for y, color in curves:
        known = np.isfinite(y)
        marker = "o" if known.sum() <= 12 else ""
        axes.plot(epoch[known], y[known], color=color, linewidth=2, marker=marker, markersize=4.5, clip_on=False)
    known = epoch[np.isfinite(epoch)]
    first, last = (known.min(), known.max()) if len(known) else (1, 1)
    axes.set_xlim((first, last) if last > first else (first - 1, first + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True) if last > first else FixedLocator(known[:1]))
    axes.set_xlabel("epoch", fontsize=9, color=theme.muted, labelpad=2)


def _label_ends(axes: Axes, ends: list[EndLabel], height: float) -> None:
    """Write each label right of the axes at its value's height, moved apart where two would touch."""
    low, high = axes.get_ylim()
    heights = [(y - low) / (high - low) for y, _, _ in ends]
    figure = axes.figure.get_figure(root=True)
    # x in inches from the right edge of the axes, so that the connecting line is as long in every figure
    inch = 1 / (axes.get_position().width * figure.get_figwidth()) if figure else 0.1
    for (_, text, color), at, to in zip(ends, heights, spread(heights, gap=0.17 / height), strict=True):
        style: dict[str, Any] = {"transform": axes.transAxes, "color": color, "clip_on": False}
        link = Line2D([1 + 0.04 * inch, 1 + 0.18 * inch], [at, to], linewidth=0.8, alpha=0.7, **style)
        axes.add_artist(link)
        axes.text(1 + 0.22 * inch, to, text, va="center", fontsize=9, parse_math=False, **style)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights in 0..1 apart to be at least `gap` from each other, none further than it must, order kept.

    >>> [round(h, 2) for h in spread([0.5, 0.1, 0.5], gap=0.1)]
    [0.45, 0.1, 0.55]
    """

    def inside(centre: float, size: int) -> float:
        half = gap * (size - 1) / 2
        return min(max(centre, half), max(1 - half, half))

    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[tuple[float, int]] = []  # centre and size of labels that touch, from below
    for i in order:
        centre, size = inside(heights[i], 1), 1
        while groups and centre - groups[-1][0] < gap * (size + groups[-1][1]) / 2:
            other, count = groups.pop()
            centre, size = (centre * size + other * count) / (size + count), size + count
            centre = inside(centre, size)  # which may push it into the next group below
        groups.append((centre, size))
    flat = [centre + gap * (j - (size - 1) / 2) for centre, size in groups for j in range(size)]
    return [flat[order.index(i)] for i in range(len(heights))]


def _axes(figure: Figure, cell: tuple[float, float, float, float], *, left: float = LEFT, right: float = RIGHT) -> Axes:
    """Axes inside a cell given in inches, with that much margin; never narrower than half an inch."""
    x, y, width, height = cell
    W, H = figure.get_size_inches()
    inner = max(0.5, width - left - right)
    return figure.add_axes(
        ((x + left) / W, (y + BOTTOM) / H, inner / W, max(0.3, height - TOP - BOTTOM) / H),
        label=f"{len(figure.axes)}",
    )


def inches(figure: Figure, text: str, fontsize: float) -> float:
    """How wide a text will be in this figure."""
    artist = figure.text(0, 0, text, fontsize=fontsize, parse_math=False)
    width = artist.get_window_extent().width / figure.dpi
    artist.remove()
    return width


def _last(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else math.nan


def shortened(name: str, longest: int = 34) -> str:
    """The name on one line of at most `longest` letters, its middle left out if it is longer."""
    name = " ".join(name.split())
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"
