"""The path of an optimizer on a loss with two parameters, drawn over the contours of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, new_figure

__all__ = ["show_paths"]

PANEL, LEFT, RIGHT, GAP, TOP, BOTTOM = 3.3, 0.6, 0.15, 0.25, 0.45, 0.55  # inches
GRID = 121  # points along each axis at which the function is evaluated


@both_themes
def show_paths(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    paths: Mapping[str, Any],
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    names: tuple[str, str] = ("a", "b"),
    lines: int = 14,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw one panel per path, each over the same contours; a ring marks the first point, and a square the last.

    `function` maps arrays a and b to heights of the same shape, some of them above 0. `paths` maps names to points
    (steps, 2). `x` and `y` are the limits of the panels; points outside are clipped. `names` are the names of the two
    parameters. `lines` is the number of contours, which are denser near the bottom. Raises ShapeError if there are no
    paths, or if points are not pairs.
    """
    points = {name: np.asarray(path, float) for name, path in paths.items()}
    if not points or any(path.ndim != 2 or path.shape[1] != 2 or not len(path) for path in points.values()):
        raise ShapeError("show_paths: give at least one path in a dict of names and points (steps, 2)")
    tall = PANEL * (y[1] - y[0]) / (x[1] - x[0])
    tall = min(max(tall, 0.6 * PANEL), 1.2 * PANEL)
    size = LEFT + len(points) * PANEL + (len(points) - 1) * GAP + RIGHT, TOP + tall + BOTTOM
    figure = new_figure(*size, theme)
    told = [f"{name} from ({path[0][0]:.3g}, {path[0][1]:.3g}) to ({path[-1][0]:.3g}, {path[-1][1]:.3g}) in "
            f"{len(path) - 1} steps" for name, path in points.items()]  # fmt: skip
    figure.alt = f"Paths over the contours of a function of {names[0]} and {names[1]}: {'; '.join(told)}"
    for number, (name, path) in enumerate(points.items()):
        left = LEFT + number * (PANEL + GAP)
        axes = figure.add_axes((left / size[0], BOTTOM / size[1], PANEL / size[0], tall / size[1]))
        _draw_valley(axes, function, x, y, lines, theme)
        _draw_path(axes, path, theme)
        _dress(axes, name, names, number == 0, theme)
        axes.set(xlim=x, ylim=y)
    return figure


def _draw_valley(axes: Axes, function: Callable, x: tuple[float, float], y: tuple[float, float], lines: int,
                 theme: Theme) -> None:  # fmt: skip
    a, b = np.meshgrid(np.linspace(*x, GRID), np.linspace(*y, GRID))
    heights = np.asarray(function(a, b), float)
    low, high = float(heights.min()), float(heights.max())
    levels = low + (high - low) * np.linspace(0, 1, lines + 1)[1:] ** 2.5
    shades = LinearSegmentedColormap.from_list("valley", (theme.paper, theme.grid))
    axes.contourf(a, b, heights, levels=[low, *levels], cmap=shades)
    axes.contour(a, b, heights, levels=levels, colors=[theme.muted], linewidths=0.5)


def _draw_path(axes: Axes, path: np.ndarray, theme: Theme) -> None:
    axes.plot(*path.T, color=theme.mIoU, linewidth=1.4, marker=".", markersize=5)
    style: dict[str, Any] = {"color": theme.G, "markersize": 8, "markeredgewidth": 2, "fillstyle": "none"}
    axes.plot(*path[0], marker="o", **style)
    axes.plot(*path[-1], marker="s", **style)


def _dress(axes: Axes, title: str, names: tuple[str, str], first: bool, theme: Theme) -> None:
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(title, (0, 1), (0, 8), color=theme.ink, fontsize=10, fontweight="bold", **where)
    axes.set_xlabel(names[0], fontsize=10, color=theme.muted)
    if first:
        axes.set_ylabel(names[1], fontsize=10, color=theme.muted)
    else:
        axes.set_yticklabels([])
    axes.tick_params(colors=theme.muted, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
