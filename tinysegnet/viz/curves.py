"""Loss and scores over the epochs of a training run, and the loss of a range test, as matplotlib figures."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from .figures import LIGHT, Theme, both_themes, new_figure, shortened, style_axes

PANELS = ("loss", "scores", "rate")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))  # with a theme's four colours, 16 styles of curves
MAX_CURVES = 24  # of classes; those with the lowest IoU are drawn
LINE = 0.17  # inches, the height of an entry of the legend

History = Sequence[Mapping[str, Any]]


class Curve(NamedTuple):
    """A curve of a panel."""

    name: str
    epoch: np.ndarray
    values: np.ndarray  # one per epoch; NaN where unknown
    color: str = ""
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
    if "classes" in panels:
        return lines_figure(_classes(history), theme=theme, size=size)
    if not np.isfinite(column(history, "learning_rate")).any():
        panels = [panel for panel in panels if panel != "rate"]
    # Loss and scores are side by side, with the learning rate below the loss.
    left = [panel for panel in ("loss", "loss", "rate") if panel in panels]
    figure = new_figure(*size, theme, fit=True)
    places = figure.subplot_mosaic([[p for p in (panel, "scores") if p in panels] for panel in left or [""]])
    shown = {name: value for name, value in (baselines or {}).items() if math.isfinite(value)}
    told = [_draw_panel(places[name], _content(name, history, theme), shown if name == "scores" else {}, theme)
            for name in panels]  # fmt: skip
    figure.alt = ". ".join(told)
    return figure


def lines_figure(panel: Panel, *, theme: Theme = LIGHT, size: tuple[float, float]) -> Figure:
    """Draw one panel whose curves get their own colours and dashes; the figure is higher if it has many curves."""
    figure = new_figure(size[0], max(size[1], 0.5 + LINE * len(panel.curves)), theme, fit=True)
    colors = theme.mIoU, theme.G, theme.C, theme.loss
    curves = [curve._replace(color=colors[i % 4], dashes=DASHES[i // 4 % 4]) for i, curve in enumerate(panel.curves)]
    figure.alt = _draw_panel(figure.subplots(), panel._replace(curves=curves), {}, theme)
    return figure


@both_themes
def rate_curve_figure(rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, suggestion: float, *,
                      theme: Theme = LIGHT) -> Figure:  # fmt: skip
    """Draw the loss against the learning rate, on a logarithmic axis, and mark the suggested rate.

    Args:
        rates, losses, smoothed: (steps,) the rate of each step, the loss of its batch, and the smoothed loss.
    """
    figure = new_figure(7.0, 4.0, theme, fit=True)
    axes = figure.subplots()
    style_axes(axes, theme, "Learning-rate range test", f"{len(rates)} steps, suggested rate {suggestion:g}")
    lowest = rates[np.nanargmin(smoothed)]
    figure.alt = (f"Learning-rate range test: the loss against the learning rate, from {rates[0]:g} to {rates[-1]:g}. "
                  f"The smoothed loss is lowest at {lowest:.2g}, suggested: {suggestion:g}")  # fmt: skip
    axes.set_xscale("log")
    axes.tick_params(which="minor", length=0)
    axes.plot(rates, losses, color=theme.loss, linewidth=0.8, alpha=0.4)
    axes.plot(rates, smoothed, color=theme.loss, linewidth=2)
    axes.axvline(suggestion, color=theme.mIoU, linewidth=1.5, linestyle=(0, (3, 2)))
    axes.set_ylim(0, 1.2 * min(float(losses.max()), 2 * float(smoothed[0])))
    axes.set_xlim(rates[0], max(rates[-1], suggestion))
    axes.annotate(f"suggested: {suggestion:g}", (suggestion, 1), (5, -4), xycoords=("data", "axes fraction"),
                  textcoords="offset points", va="top", color=theme.mIoU, fontsize=9)  # fmt: skip
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.10f}".rstrip("0").rstrip(".")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate", fontsize=9, color=theme.muted, labelpad=2)
    axes.set_ylabel("loss of a batch (thin), smoothed (thick)", fontsize=9, color=theme.muted)
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
    curves = [Curve(name.removeprefix(prefix), epoch, column(history, name)) for name in names]
    known = [curve for curve in curves if np.isfinite(curve.values).any()]
    which = "each class" if len(known) <= MAX_CURVES else f"the {MAX_CURVES} lowest of {len(known)} classes"
    known.sort(key=lambda curve: curve.values[np.isfinite(curve.values)][-1])
    return Panel("Validation IoU", which, known[:MAX_CURVES])


def _draw_panel(axes: Axes, panel: Panel, baselines: Mapping[str, float], theme: Theme) -> str:
    """Draw curves that bridge epochs without a value, and baselines, with a legend of their last values.

    Returns what the panel shows.
    """
    style_axes(axes, theme, panel.title, panel.subtitle)
    digits, few = ".2g" if panel.title == "Learning rate" else ".3f", len(panel.curves) <= 4
    for name, value in baselines.items():
        label = f"{shortened(name)} {value:.3f}"
        axes.axhline(value, color=theme.mIoU, linewidth=1, linestyle=(0, (2, 2)), label=label)
    epochs, values = [np.zeros(0)], [np.zeros(0)]
    for name, epoch, y, color, dashes in panel.curves:
        known = np.isfinite(y)
        label = f"{shortened(name)} {y[known][-1]:{digits}}".strip() if known.any() else "_"  # not in the legend
        marker = "o" if known.sum() <= 12 else ""
        axes.plot(epoch[known], y[known], color=color, linewidth=2 if few else 1.5, linestyle=dashes, label=label,
                  marker=marker, markersize=4.5 if few else 3, clip_on=False, in_layout=False)  # fmt: skip
        epochs.append(epoch[np.isfinite(epoch)])
        values.append(y[known])
    _scale(axes, panel, np.concatenate(epochs), np.concatenate(values), theme)
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    lines.sort(key=lambda line: -np.asarray(line.get_ydata())[-1])  # in the order of the curves' ends
    if lines:
        legend = axes.legend(handles=lines, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9,
                             labelcolor="linecolor", labelspacing=0.15)  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
    ends = ", ".join(str(line.get_label()) for line in lines) or "no values yet"
    return f"{panel.title} by epoch{f' ({panel.subtitle})' if panel.subtitle else ''}, at the end: {ends}"


def _scale(axes: Axes, panel: Panel, epochs: np.ndarray, values: np.ndarray, theme: Theme) -> None:
    """Start the y axis at 0, so that heights can be compared; for scores, end it at 1, the best value."""
    top = float(values.max(initial=0)) or 1.0
    axes.set_ylim(0, panel.top or 1.06 * top)
    if panel.subtitle.startswith("peak"):
        axes.set_yticks([0, top], ["0", ""])  # the subtitle states the peak
    if not len(values):
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", color=theme.muted, fontsize=10)
    first, last = (epochs.min(), epochs.max()) if len(epochs) else (1, 1)
    axes.set_xlim((first, last) if last > first else (first - 1, first + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True) if last > first else FixedLocator(epochs[:1].tolist()))
    axes.set_xlabel("epoch", fontsize=9, color=theme.muted, labelpad=2)
