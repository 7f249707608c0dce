"""The curve of a learning-rate range test."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .figures import LIGHT, Theme, both_themes, new_figure, style_axes


@both_themes
def rate_curve_figure(rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, suggestion: float, *,
                      theme: Theme = LIGHT) -> Figure:  # fmt: skip
    """Draw the loss against the learning rate, on a logarithmic axis, and mark the suggested rate.

    Args:
        rates, losses, smoothed: (steps,) the rate of each step, the loss of its batch, and the smoothed loss.
    """
    figure = new_figure(7.0, 4.0, theme)
    axes = figure.add_axes((0.09, 0.14, 0.87, 0.66))
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
