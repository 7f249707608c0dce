"""A strip plot: repeated measurements as dots in rows, and bars that show which means are tied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure

__all__ = ["show_strip_plot"]

ROW, ABOVE, TICKS, KEY, GAP, EDGE = 0.3, 0.5, 0.35, 0.35, 0.25, 0.15  # inches
Panels = Mapping[str, Mapping[str, Sequence[float]]]


@both_themes
def show_strip_plot(
    panels: Panels,
    *,
    ties: Mapping[str, float] | None = None,
    others: Mapping[str, Mapping[str, float]] | None = None,
    words: tuple[str, str, str] = ("one run", "overlapping bars: a tie", "elsewhere"),
    width: float = 10.5,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw panels side by side with the same rows and one dot per measurement.

    Args:
        panels: title -> row -> measurements, in the order of the rows; a row may have none.
        ties: title -> a difference that is too small to count. A bar of that width is drawn around each row's mean, so
            two bars overlap where the means differ by less.
        others: title -> row -> one value from another source, a hollow diamond.
        words: the texts of the key, for dots, bars and diamonds.
        width: inches.
        theme: colours.

    Raises:
        ShapeError: If there is no value, if one is not finite, or if `ties` or `others` has a title or row that
            `panels` does not have.
    """
    values = {title: {row: np.asarray(numbers, float).ravel() for row, numbers in rows.items()}
              for title, rows in panels.items()}  # fmt: skip
    names = list(dict.fromkeys(row for rows in values.values() for row in rows))
    ties, others = ties or {}, others or {}
    _check(values, names, ties, others)
    height = ABOVE + ROW * len(names) + TICKS + KEY
    figure = new_figure(width, height, theme)
    left = 0.25 + max(inches(name, 9) for name in names)
    each = (width - left - EDGE - GAP * (len(values) - 1)) / len(values)
    for number, (title, rows) in enumerate(values.items()):
        box = left + number * (each + GAP), KEY + TICKS, each, ROW * len(names)
        axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
        _dress(axes, title, names, number == 0, theme)
        _draw(axes, names, rows, ties.get(title, 0.0), others.get(title, {}), theme)
    told = (f"{title}: " + ", ".join(f"{row} {numbers.mean():.3g}" for row, numbers in rows.items() if numbers.size)
            for title, rows in values.items())  # fmt: skip
    figure.alt = f"Measurements as dots in rows, with means. {'. '.join(told)}"
    _draw_key(figure, left / width, [True, any(ties.values()), any(others.values())], words, theme)
    return figure


def _check(values: Mapping[str, Mapping[str, np.ndarray]], names: Sequence[str], ties: Mapping[str, float],
            others: Mapping[str, Mapping[str, float]]) -> None:  # fmt: skip
    numbers = [row for rows in values.values() for row in rows.values()]
    if not sum(row.size for row in numbers) or not all(np.isfinite(row).all() for row in numbers):
        raise ShapeError("show_strip_plot: panels must contain at least one number, and only finite numbers")
    rows = [row for found in others.values() for row in found]
    strange = [name for name in (*ties, *others) if name not in values] + [name for name in rows if name not in names]
    if strange:
        raise ShapeError(f"show_strip_plot: {strange[0]!r} is neither a panel nor a row")


def _dress(axes: Axes, title: str, names: Sequence[str], first: bool, theme: Theme) -> None:
    axes.set_facecolor(theme.paper)
    axes.annotate(title, (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points", fontsize=10,
                  fontweight="bold", color=theme.ink)  # fmt: skip
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names if first else [""] * len(names), parse_math=False)
    axes.tick_params(axis="x", colors=theme.muted, labelsize=8.5, length=0)
    axes.tick_params(axis="y", labelcolor=theme.ink, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw(axes: Axes, names: Sequence[str], rows: Mapping[str, np.ndarray], tie: float, others: Mapping[str, float],
          theme: Theme) -> None:  # fmt: skip
    for at, name in enumerate(names):
        if (numbers := rows.get(name, np.empty(0))).size:
            if tie:
                ends = numbers.mean() - tie / 2, numbers.mean() + tie / 2
                axes.plot(ends, (at, at), gid="bar", zorder=2, **_bar(theme))
            axes.plot(numbers, [at] * numbers.size, gid="dots", zorder=3, **_dot(theme))
        if name in others:
            axes.plot([others[name]], [at], gid="other", zorder=2.5, **_diamond(theme))
    axes.margins(x=0.08)
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high])
    axes.set_xlim(low, high)


def _dot(theme: Theme) -> dict[str, Any]:
    return {"marker": "o", "linestyle": "none", "color": theme.mIoU, "markersize": 6, "markeredgewidth": 0}


def _bar(theme: Theme) -> dict[str, Any]:
    return {"color": theme.mIoU, "alpha": 0.25, "linewidth": 7, "solid_capstyle": "butt"}


def _diamond(theme: Theme) -> dict[str, Any]:
    return {"marker": "D", "linestyle": "none", "markerfacecolor": "none", "markeredgecolor": theme.G, "markersize": 6}


def _draw_key(figure: Figure, left: float, shown: Sequence[bool], words: Sequence[str], theme: Theme) -> None:
    marks = [Line2D([], [], label=word, **style(theme))
             for word, style, there in zip(words, (_dot, _bar, _diamond), shown, strict=True) if there]  # fmt: skip
    figure.legend(handles=marks, loc="lower left", bbox_to_anchor=(left - 0.01, 0), ncols=len(marks), frameon=False,
                  fontsize=9, labelcolor=theme.ink, handlelength=1.6, borderaxespad=0.3)  # fmt: skip
