"""Loss and scores over the epochs of a training run, as a matplotlib figure.

Names at the right ends of curves and baselines replace a legend.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from .figures import LIGHT, Theme, both_themes, new_figure, style_axes

PANELS = ("loss", "scores", "rate")
LEFT, RIGHT, TOP, BOTTOM = 0.55, 0.45, 0.65, 0.5  # inches around a panel's axes; the names are to their right
GAP = 0.17  # inches between the names of curves
SAMPLE = 0.36  # inches of a curve's dashes before its name
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))  # with a theme's four colours, 16 styles of curves
MAX_CURVES = 24  # of classes; those with the lowest IoU are drawn

Cell = tuple[float, float, float, float]  # x, y, width, height in inches
EndLabel = tuple[float, str, str, Any]  # y in data units, text, colour, dashes to show or None
History = Sequence[Mapping[str, Any]]


class Curve(NamedTuple):
    """A curve of a panel."""

    name: str
    epoch: np.ndarray
    values: np.ndarray  # one per epoch; NaN where unknown
    color: str
    dashes: Any = "-"  # matplotlib's line style


class Panel(NamedTuple):
    """The content of a panel; the most important curve is last and therefore on top."""

    title: str
    subtitle: str
    curves: Sequence[Curve]
    top: float | None = 1.005  # the largest y; None: a little above the largest value. 1.005 shows a whole line at 1


@both_themes
def curves_figure(
    history: History,
    baselines: Mapping[str, float] | None = None,
    *,
    panels: Sequence[str] = PANELS,
    theme: Theme = LIGHT,
    size: tuple[float, float] = (11.0, 4.6),
) -> Figure:
    """Draw loss, scores with their baselines, and learning rate over the epochs.

    Args:
        history: one row per epoch, with the columns of metrics.csv; missing, empty and non-finite values are skipped.
        baselines: the mIoU of each no-network baseline, by name.
        panels: any of "loss", "scores", "rate" and "classes", the IoU of each class, which is drawn alone. "rate" is
            left out if no learning rate is known.
        size: width and height in inches. Many classes need a larger height.
    """
    width, height = size
    if "classes" in panels:
        return lines_figure(_classes(history), theme=theme, size=size)
    if not np.isfinite(column(history, "learning_rate")).any():
        panels = [panel for panel in panels if panel != "rate"]
    # Loss and scores are side by side, with the learning rate below the loss. The scores need room for their labels.
    middle = width if "scores" not in panels else 0.44 * width if len(panels) > 1 else 0.0
    low = height if "loss" not in panels else 0.37 * height if "rate" in panels else 0.0
    cells = {"loss": (0.0, low, middle, height - low), "scores": (middle, 0.0, width - middle, height),
             "rate": (0.0, 0.0, middle, low)}  # fmt: skip
    figure = new_figure(width, height, theme)
    shown = {name: value for name, value in (baselines or {}).items() if math.isfinite(value)}
    told = [_draw_panel(figure, _content(name, history, theme), cells[name], shown if name == "scores" else {}, theme)
            for name in panels]  # fmt: skip
    figure.alt = ". ".join(told)
    return figure


def lines_figure(panel: Panel, *, theme: Theme = LIGHT, size: tuple[float, float]) -> Figure:
    """Draw one panel whose curves get their own colours and dashes; the figure is higher if it has many curves."""
    width, height = size[0], max(size[1], TOP + BOTTOM + GAP * len(panel.curves))
    colors = theme.mIoU, theme.G, theme.C, theme.loss
    curves = [curve._replace(color=colors[i % 4], dashes=DASHES[i // 4 % 4]) for i, curve in enumerate(panel.curves)]
    figure = new_figure(width, height, theme)
    figure.alt = _draw_panel(figure, panel._replace(curves=curves), (0.0, 0.0, width, height), {}, theme)
    return figure


def column(history: History, name: str) -> np.ndarray:
    """Return one column of the history, (epochs,) float64; values that are missing or not finite numbers become NaN."""
    return np.array([_finite(row.get(name)) for row in history], np.float64)


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _draw_panel(figure: Figure, panel: Panel, cell: Cell, baselines: Mapping[str, float], theme: Theme) -> str:
    """Draw one panel in its cell, with room for the names of its curves, and return what it shows."""
    digits = ".2g" if panel.title == "Learning rate" else ".3f"
    dashed = any(curve.dashes != "-" for curve in panel.curves)
    lasts = [(c, c.values[np.isfinite(c.values)][-1]) for c in panel.curves if np.isfinite(c.values).any()]
    ends = [(last, f"{shortened(c.name)} {last:{digits}}".strip(), c.color, c.dashes if dashed else None)
            for c, last in lasts]  # fmt: skip
    ends += [(value, f"{shortened(name)} {value:.3f}", theme.mIoU, None) for name, value in baselines.items()]
    # The room is at least as wide as "1.25e-05", so that the panels of loss and learning rate are equally wide.
    room = max(inches(figure, text, 9) for text in ["1.25e-05", *(text for _, text, *_ in ends)]) + SAMPLE * dashed
    x, y, width, height = cell
    W, H = figure.get_size_inches()
    inner_width, inner_height = max(0.5, width - LEFT - RIGHT - room), max(0.3, height - TOP - BOTTOM)
    axes = figure.add_axes(((x + LEFT) / W, (y + BOTTOM) / H, inner_width / W, inner_height / H))
    style_axes(axes, theme, panel.title, panel.subtitle)
    for value in baselines.values():
        axes.axhline(value, color=theme.mIoU, linewidth=1, linestyle=(0, (2, 2)))
    _draw_curves(axes, panel.curves, theme)
    _scale(axes, panel, theme)
    _label_ends(axes, ends, inner_width, inner_height)
    subtitle = f" ({panel.subtitle})" if panel.subtitle else ""
    return f"{panel.title} by epoch{subtitle}, at the end: {', '.join(text for _, text, *_ in ends) or 'no values yet'}"


def _content(panel: str, history: History, theme: Theme) -> Panel:
    epoch = column(history, "epoch")
    if panel == "loss":
        plural, curve = "s" * (len(history) != 1), Curve("", epoch, column(history, "train_loss"), theme.loss)
        return Panel("Training loss", f"{len(history)} epoch{plural}", [curve], None)
    if panel == "rate":
        rate = column(history, "learning_rate")
        return Panel("Learning rate", f"peak {np.nanmax(rate):.3g}", [Curve("", epoch, rate, theme.muted)], None)
    scores = [Curve(name, epoch, column(history, f"val_{name}"), getattr(theme, name)) for name in ("G", "C", "mIoU")]
    mIoU, where = scores[-1].values, ""
    if np.isfinite(mIoU).any():
        best = int(np.nanargmax(mIoU))
        where = f"best mIoU {mIoU[best]:.3f} in epoch {epoch[best]:.0f}"
    return Panel("Validation scores", where, scores)


def _classes(history: History) -> Panel:
    """Return the panel of the IoU of each class that was ever validated."""
    epoch, prefix = column(history, "epoch"), "IoU "
    names = dict.fromkeys(name for row in history for name in row if name.startswith(prefix))
    curves = [Curve(name.removeprefix(prefix), epoch, column(history, name), "") for name in names]
    known = [curve for curve in curves if np.isfinite(curve.values).any()]
    which = "each class" if len(known) <= MAX_CURVES else f"the {MAX_CURVES} lowest of {len(known)} classes"
    known.sort(key=lambda curve: curve.values[np.isfinite(curve.values)][-1])
    return Panel("Validation IoU", which, known[:MAX_CURVES])


def _scale(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Start the y axis at 0, so that heights can be compared; for scores, end it at 1, the best value."""
    values = np.concatenate([np.zeros(0), *(curve.values for curve in panel.curves)])
    values = values[np.isfinite(values)]
    top = float(values.max(initial=0)) or 1.0
    axes.set_ylim(0, panel.top or 1.06 * top)
    if panel.subtitle.startswith("peak"):
        axes.set_yticks([0, top], ["0", ""])  # the subtitle states the peak
    if not len(values):
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", color=theme.muted, fontsize=10)


def _draw_curves(axes: Axes, curves: Sequence[Curve], theme: Theme) -> None:
    """Draw lines that bridge epochs without a value; with few values, also draw dots."""
    for _, epoch, y, color, dashes in curves:
        known = np.isfinite(y)
        marker = "o" if known.sum() <= 12 else ""
        axes.plot(epoch[known], y[known], color=color, linewidth=2 if len(curves) <= 4 else 1.5, linestyle=dashes,
                  marker=marker, markersize=4.5 if len(curves) <= 4 else 3, clip_on=False)  # fmt: skip
    known = np.concatenate([np.zeros(0), *(curve.epoch[np.isfinite(curve.epoch)] for curve in curves)])
    first, last = (known.min(), known.max()) if len(known) else (1, 1)
    axes.set_xlim((first, last) if last > first else (first - 1, first + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True) if last > first else FixedLocator(known[:1].tolist()))
    axes.set_xlabel("epoch", fontsize=9, color=theme.muted, labelpad=2)


def _label_ends(axes: Axes, ends: Sequence[EndLabel], width: float, height: float) -> None:
    """Write each label to the right of the axes (width x height inches), as near to its value's height as possible."""
    heights = [y / axes.get_ylim()[1] for y, *_ in ends]
    for (_, text, color, dashes), at, to in zip(ends, heights, spread(heights, gap=GAP / height), strict=True):
        label_end(axes, text, color, at, to, width, dashes)


def label_end(axes: Axes, text: str, color: Any, at: float, to: float, width: float, dashes: Any = None) -> None:
    """Write a text at the height `to` beside the axes, with a line to it from the height `at`, and show the dashes."""
    style: dict[str, Any] = {"transform": axes.transAxes, "color": color, "clip_on": False}
    axes.add_artist(Line2D([1 + 0.04 / width, 1 + 0.18 / width], [at, to], linewidth=0.8, alpha=0.7, **style))
    if dashes is not None:
        ends = [1 + 0.22 / width, 1 + (0.16 + SAMPLE) / width]
        axes.add_artist(Line2D(ends, [to, to], linewidth=1.5, linestyle=dashes, gid="sample", **style))
    x = 1 + (0.22 + SAMPLE * (dashes is not None)) / width
    axes.text(x, to, text, va="center", fontsize=9, parse_math=False, **style)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights in 0..1 at least `gap` apart, each as little as possible, and keep their order.

    >>> [round(h, 2) for h in spread([0.5, 0.1, 0.5], gap=0.1)]
    [0.45, 0.1, 0.55]
    """
    from scipy.optimize import isotonic_regression  # imported here because it is slow to import

    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(order))
    # Gaps of at least `gap` between heights are gaps of at least 0 between heights - steps.
    starts = isotonic_regression(np.asarray(heights, np.float64)[order] - steps).x
    moved = np.empty(len(order))
    moved[order] = np.clip(starts, 0, max(0.0, 1 - gap * (len(order) - 1))) + steps
    return moved.tolist()


def inches(figure: Figure, text: str, fontsize: float) -> float:
    """Return the width of a text in this figure, in inches."""
    return _inches(text, fontsize, figure.dpi)


@lru_cache(maxsize=4096)  # a figure is drawn twice, for light and for dark pages
def _inches(text: str, fontsize: float, dpi: float) -> float:
    artist = new_figure(1, 1, LIGHT, dpi=dpi).text(0, 0, text, fontsize=fontsize, parse_math=False)
    return artist.get_window_extent().width / dpi


def shortened(name: str, longest: int = 34) -> str:
    """Return the name on one line, without its middle if it has more than `longest` characters."""
    name = " ".join(name.split())
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[-longest // 2 + 1 :]}"
