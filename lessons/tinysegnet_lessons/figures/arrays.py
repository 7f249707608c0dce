"""Small arrays with their numbers written in the cells, for the examples of the lessons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import LIGHT, Theme, both_themes

from .grid import CELL, Grid, as_numbers, box_of, inches, number_texts, rounded_path

__all__ = ["frame_colors", "largest", "show_array", "show_arrays"]

# The colour of 255 in a channel of bytes; slightly darkened, so that numbers in white are readable.
CHANNELS = {"red": (0.85, 0, 0), "green": (0, 0.85, 0), "blue": (0, 0, 1)}
EDGE, ABOVE, GAP, SIGN = 0.35, 0.7, 0.9, 1.1  # in cells: margin, height of a title, gap between arrays, width of a sign


@dataclass
class _Panel:
    """An array with its name, or a sign. The position is set later."""

    title: str
    array: np.ndarray | None
    x: float = 0.0
    y: float = 0.0


@both_themes
def show_array(
    array: Any,
    title: str | None = None,
    *,
    highlight: Any = None,
    indices: bool = False,
    decimals: int | None = None,
    scale: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw a small array (H, W) with its numbers in the cells, orange above zero and blue below.

    `highlight` frames cells, given as indices such as (1, 2) or np.s_[0:2, 2:4], or as a list of indices. `indices`
    numbers the rows and columns. `decimals` is the number of decimal places, by default as few as necessary.
    `scale` is the absolute value that gets the strongest colour, by default the largest in the array. Raises ShapeError
    if the array is not (H, W).
    """
    name = title or "array"
    boxes = None if highlight is None else {name: highlight}
    panels = [(name, array)]
    return _draw(panels, boxes, (), indices, decimals, scale, theme, titles=title is not None)


@both_themes
def show_arrays(
    panels: Sequence[Any],
    *,
    highlight: Mapping[str, Any] | None = None,
    arrows: Sequence[tuple[tuple[str, int, int], tuple[str, int, int]]] = (),
    indices: bool = False,
    decimals: int | None = None,
    scale: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw small arrays side by side, on one colour scale.

        show_arrays([("x", x), "+", ("y", y), "=", ("out", x + y)])

    `panels` are pairs (title, array (H, W)), with signs between them. `highlight` maps a title to cells to frame, as in
    `show_array`. `arrows` lead from one cell to another, such as (("x", 0, 1), ("out", 2, 2)). The other arguments are
    those of `show_array`. Arrays of uint8 called "red", "green" and "blue" are shown in their own colours, from black.
    """
    return _draw(panels, highlight, arrows, indices, decimals, scale, theme)


def frame_colors(theme: Theme) -> tuple[str, ...]:
    """Return colours for successive frames; orange and blue are left out because they stand for numbers."""
    return (theme.ink, theme.loss, theme.C, theme.muted)


def largest(arrays: list[np.ndarray]) -> float:
    """Return the largest absolute value of the finite numbers, or 1 if all are zero."""
    finite = np.concatenate([array[np.isfinite(array)].astype(float).ravel() for array in arrays])
    return float(np.abs(finite).max(initial=0)) or 1.0


def _draw(panels: Any, highlight: Any, arrows: Any, indices: bool, decimals: int | None, scale: float | None,
          theme: Theme, titles: bool = True) -> Figure:  # fmt: skip
    laid = [_Panel(p, None) if isinstance(p, str) else _Panel(p[0], as_numbers(p[1], p[0])) for p in panels]
    arrays = [panel.array for panel in laid if panel.array is not None]
    if not arrays:
        raise ShapeError("show_arrays: give at least one array")
    width, height = _lay_out(laid, indices, titles, theme)
    signed = [panel.array for panel in laid if panel.array is not None and not _is_channel(panel)]
    grid = Grid(width, height, theme, largest(signed or arrays) if scale is None else scale)
    by_title = {panel.title: panel for panel in laid if panel.array is not None}
    for panel in laid:
        if panel.array is None:
            grid.sign(panel.x, panel.y, panel.title)
        else:
            _draw_panel(grid, panel, indices, decimals, titles)
    told = [_told(panel, decimals) for panel in laid]
    for title, where in (highlight or {}).items():
        told.append(f"Framed in {title}: {_frame(grid, _named(by_title, title), where)}")
    for start, end in arrows:
        _join(grid, *((_named(by_title, title), row, column) for title, row, column in (start, end)))
    grid.figure.alt = ". ".join(told)
    return grid.figure


def _is_channel(panel: _Panel) -> bool:
    return panel.title in CHANNELS and panel.array is not None and panel.array.dtype == np.uint8


def _told(panel: _Panel, decimals: int | None) -> str:
    """Return a panel as a text: x (2 x 2): 1 2; 3 4."""
    if panel.array is None:
        return panel.title
    rows = shorten("; ".join(" ".join(row) for row in number_texts(panel.array, decimals)), 400, placeholder=" …")
    return f"{panel.title} ({' x '.join(map(str, panel.array.shape))}): {rows}"


def _lay_out(laid: list[_Panel], indices: bool, titles: bool, theme: Theme) -> tuple[float, float]:
    """Place the panels in a row, centred vertically; return the grid's width and height."""
    tallest = max(panel.array.shape[0] for panel in laid if panel.array is not None)
    top = EDGE + (ABOVE if titles else 0) + (0.5 if indices else 0)
    x, after_array = EDGE, False
    for panel in laid:
        if panel.array is None:
            panel.x, panel.y = x + SIGN / 2, top + tallest / 2
            x, after_array = x + SIGN, False
            continue
        H, W = panel.array.shape
        panel.x, panel.y = x + (GAP if after_array else 0) + (0.5 if indices else 0), top + (tallest - H) / 2
        words = inches(panel.title, 11.5) / CELL if titles else 0
        x, after_array = panel.x + max(W, words), True
    return x + EDGE, top + tallest + EDGE


def _draw_panel(grid: Grid, panel: _Panel, indices: bool, decimals: int | None, titles: bool) -> None:
    assert panel.array is not None
    own = np.array(CHANNELS.get(panel.title, (0, 0, 0)))
    color = (lambda value, row, column: own * value / 255) if _is_channel(panel) else None
    grid.array(panel.x, panel.y, panel.array, panel.title, texts=number_texts(panel.array, decimals), color=color)
    if titles:
        grid.title(panel.x, panel.y - (0.75 if indices else 0.28), panel.title)
    if indices:
        H, W = panel.array.shape
        for row in range(H):
            grid.text(panel.x - 0.3, panel.y + row + 0.5, str(row), 8.5, grid.theme.muted)
        for column in range(W):
            grid.text(panel.x + column + 0.5, panel.y - 0.3, str(column), 8.5, grid.theme.muted)


def _named(by_title: dict[str, _Panel], title: str) -> _Panel:
    if title not in by_title:
        raise ShapeError(f"no array is called {title!r}. Use one of {', '.join(by_title)}")
    return by_title[title]


def _frame(grid: Grid, panel: _Panel, where: Any) -> str:
    """Frame cells, and return their places."""
    assert panel.array is not None
    colors, places = frame_colors(grid.theme), []
    for number, one in enumerate(where if isinstance(where, list) else [where]):
        row, column, rows, columns = box_of(one, panel.array.shape)
        place = (panel.x + column, panel.y + row, columns, rows)
        grid.frame(*place, colors[number % len(colors)], gid=f"frame {panel.title}[{row}, {column}]")
        more = f" to ({row + rows - 1}, {column + columns - 1})" if rows * columns > 1 else ""
        places.append(f"({row}, {column}){more}")
    return ", ".join(places)


def _join(grid: Grid, start: tuple[_Panel, int, int], end: tuple[_Panel, int, int]) -> None:
    """Draw an arrow from the right side of a cell to the left side of another, or the reverse."""
    (a, a_row, a_column), (b, b_row, b_column) = start, end
    forward = b.x + b_column >= a.x + a_column
    begin = (a.x + a_column + (0.86 if forward else 0.14), a.y + a_row + 0.5)
    finish = (b.x + b_column + (0.04 if forward else 0.96), b.y + b_row + 0.5)
    gid = f"{a.title}[{a_row}, {a_column}] -> {b.title}[{b_row}, {b_column}]"
    grid.path(rounded_path([begin, finish]), grid.theme.loss, gid=gid)
