"""The arrows picture: every maximum goes to the pooled map, and unpooled numbers return along the same arrows.

The decoder gets only these arrows from a pool, two bits per window, which say at which of the four pixels the arrow
began (Badrinarayanan et al. 2017, section 3 and figure 3).

The arrows run in gaps between the windows, so that no arrow crosses a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.ops.indices import unpack_indices
from tinysegnet.ops.pool import max_pool2d_forward, max_unpool2d_forward
from tinysegnet.viz.figures import DARK, DARK_WINDOWS, LIGHT, LIGHT_WINDOWS, Theme, both_themes
from tinysegnet.viz.themes import readable

from .grid import Grid, as_numbers, cell_size, number_texts, rounded_path, tint

__all__ = ["show_pool_arrows"]

MOST = 8  # rows or columns
EDGE, TOP, BETWEEN = 0.4, 3.0, 2.3  # in cells
HEAD, LINE = 0.62, 0.27  # inches: the titles' height, a remark's height
ALLEY, STREET = 0.55, 1.6  # gaps between columns of windows (empty) and between rows
NEAREST, FARTHEST = 0.36, 0.6  # distances of the arrows' lanes from their windows

Cell = tuple[int, int]


@dataclass(frozen=True)
class _Pooling:
    """The picture, its pooled map, the positions of the maxima, a map to unpool, and its unpooled result."""

    x: np.ndarray
    out: np.ndarray
    position: np.ndarray
    decoder_map: np.ndarray
    unpooled: np.ndarray

    def source(self, window: Cell) -> Cell:
        """Return the pixel of the picture at which a window's arrow begins."""
        i, j = divmod(int(self.position[window]), 2)
        return 2 * window[0] + i, 2 * window[1] + j

    def ties(self, window: Cell) -> list[Cell]:
        """Return the pixels that equal the maximum but come later in the window."""
        H, W = self.x.shape
        r, c = window
        pixels = [(y, x) for y in (2 * r, 2 * r + 1) for x in (2 * c, 2 * c + 1) if y < H and x < W]
        return [p for p in pixels if p > self.source(window) and _same(self.x[p], self.out[window])]


@both_themes
def show_pool_arrows(x: Any, *, decoder_map: Any = None, theme: Theme = LIGHT) -> Figure:
    """Draw 2x2 max-pooling of a small picture x (H, W) and unpooling with its indices, arrow by arrow.

    From left to right are the windows and their maxima, the pooled map, the map that the decoder unpools, and the
    result. Below is the position of each maximum in its window, 0..3 and as two bits. `decoder_map` (h, w) is the map
    to unpool, by default the pooled map itself. With odd sizes some windows are clipped. If several numbers equal the
    maximum, the first in reading order is used and the others are dashed. Raises ShapeError if x is not a small (H, W),
    or if decoder_map and the pooled map differ in size.
    """
    pooling = _pool(x, decoder_map)
    (h, w), columns = pooling.out.shape, _columns(*pooling.out.shape)
    band = TOP + 2 * h + (h - 1) * STREET + 2.2  # where the table of indices begins
    cell, remarks = cell_size(columns["end"]), _remarks(pooling)
    below = max(h + 0.5, 2.5, 0.25 + LINE / cell * len(remarks))
    grid = Grid(columns["end"], band + below, theme, top=TOP - FARTHEST - HEAD / cell)
    sides = {"pool": (columns["x"], columns["out"]), "unpool": (columns["map"], columns["unpooled"])}
    for window in np.ndindex(h, w):
        _draw_window(grid, columns["x"], pooling.x, pooling, window, "x")
        _draw_window(grid, columns["unpooled"], pooling.unpooled, pooling, window, "unpooled")
        _draw_pooled(grid, columns["out"], pooling.out, window, "out")
        _draw_pooled(grid, columns["map"], pooling.decoder_map, window, "map")
    _draw_arrows(grid, pooling, *sides["pool"], into_windows=False)
    _draw_arrows(grid, pooling, *sides["unpool"], into_windows=True)
    _write_titles(grid, pooling, columns, changed=decoder_map is not None)
    _draw_indices(grid, pooling, columns, band)
    arrays = {"x": pooling.x, "max_pool2d": pooling.out, "positions": pooling.position.astype(float),
              "the decoder's map": pooling.decoder_map, "max_unpool2d": pooling.unpooled}  # fmt: skip
    told = (f"{name}: " + "; ".join(" ".join(row) for row in number_texts(array)) for name, array in arrays.items())
    grid.figure.alt = f"Max-pooling in windows of 2 x 2, and unpooling along the same arrows. {'. '.join(told)}"
    return grid.figure


def _pool(x: Any, decoder_map: Any) -> _Pooling:
    x = as_numbers(x, "show_pool_arrows").astype(float)
    if max(x.shape) > MOST:
        raise ShapeError(f"show_pool_arrows: {x.shape[0]} x {x.shape[1]} has too many arrows to follow. Use at most "
                         f"{MOST} per side")  # fmt: skip
    (out, indices), _ = max_pool2d_forward(x[None, ..., None])
    out = out[0, ..., 0]
    decoder_map = out if decoder_map is None else as_numbers(decoder_map, "decoder_map").astype(float)
    if decoder_map.shape != out.shape:
        raise ShapeError(f"show_pool_arrows: decoder_map is {decoder_map.shape}, but the pooled map is {out.shape}")
    unpooled, _ = max_unpool2d_forward(decoder_map[None, ..., None], indices, output_size=x.shape)
    return _Pooling(x, out, unpack_indices(indices, 1)[0, ..., 0], decoder_map, unpooled[0, ..., 0])


def _same(a: float, b: float) -> bool:
    return bool(a == b or (np.isnan(a) and np.isnan(b)))


def _columns(h: int, w: int) -> dict[str, float]:
    """Return where the four arrays, the table of indices and the remarks begin, and where the grid ends."""
    wide, narrow = max(2 * w + (w - 1) * ALLEY, 3.9), max(w + (w - 1) * ALLEY, 2.6)  # minimum for the titles
    x = EDGE
    out = x + wide + 1.0
    decoder_map = out + narrow + BETWEEN
    unpooled = decoder_map + narrow + 1.0
    table = (out + decoder_map + w + (w - 1) * ALLEY) / 2 - w / 2  # the table of indices is below the middle
    remarks = table + max(w, 2) + 0.9
    end = max(unpooled + wide, remarks + 7.7) + EDGE
    return {
        "x": x,
        "out": out,
        "map": decoder_map,
        "unpooled": unpooled,
        "table": table,
        "remarks": remarks,
        "end": end,
    }


def _window_at(x0: float, window: Cell) -> tuple[float, float]:
    """Return the upper left corner of a window of the picture."""
    return x0 + window[1] * (2 + ALLEY), TOP + window[0] * (2 + STREET)


def _pixel_at(x0: float, pixel: Cell) -> tuple[float, float]:
    left, top = _window_at(x0, (pixel[0] // 2, pixel[1] // 2))
    return left + pixel[1] % 2, top + pixel[0] % 2


def _pooled_at(x0: float, window: Cell) -> tuple[float, float]:
    """Return the upper left corner of a pixel of the pooled map, level with the middle of its window."""
    return x0 + window[1] * (1 + ALLEY), TOP + window[0] * (2 + STREET) + 0.5


def _color(grid: Grid, window: Cell, w: int) -> str:
    """Return a window's colour, which differs from the colours of its neighbours."""
    colors = DARK_WINDOWS if grid.theme == DARK else LIGHT_WINDOWS
    return colors[(window[0] * (w + (w % 6 == 0)) + window[1]) % len(colors)]


def _draw_window(grid: Grid, x0: float, array: np.ndarray, pooling: _Pooling, window: Cell, name: str) -> None:
    """Draw the cells of a window that lie inside the picture, with the maximum in full colour."""
    color, texts = _color(grid, window, pooling.out.shape[1]), number_texts(array)
    ties = pooling.ties(window) if name == "x" else []
    for i, j in np.ndindex(2, 2):
        pixel = (2 * window[0] + i, 2 * window[1] + j)
        left, top = _pixel_at(x0, pixel)
        if pixel[0] >= array.shape[0] or pixel[1] >= array.shape[1]:
            grid.square(left, top, "none", edge=grid.theme.grid, dashed=True)
            continue
        chosen = pixel == pooling.source(window)
        fill = color if chosen else (tint(color, grid.theme, 0.13) if name == "x" else grid.theme.paper)
        edge = grid.theme.paper if name == "x" else grid.theme.grid
        grid.square(left, top, fill, edge=edge, width=1.0, gid=f"{name}[{pixel[0]}, {pixel[1]}]")
        if pixel in ties:
            gid = f"tie[{pixel[0]}, {pixel[1]}]"
            grid.square(left + 0.1, top + 0.1, "none", side=0.8, edge=color, width=1.4, dashed=True, gid=gid)
        quiet = name == "unpooled" and not chosen
        ink = grid.theme.muted if quiet else readable(fill, grid.theme)
        size = grid.fitting_size(list(texts.flat))
        grid.text(left + 0.5, top + 0.5, texts[pixel], size, ink, bold=chosen)
    left, top = _window_at(x0, window)
    H, W = array.shape
    inside = min(2, W - 2 * window[1]), min(2, H - 2 * window[0])
    grid.frame(left, top, *inside, color, line=1.2, gid=f"{name} window[{window[0]}, {window[1]}]")


def _draw_pooled(grid: Grid, x0: float, array: np.ndarray, window: Cell, name: str) -> None:
    color, texts = _color(grid, window, array.shape[1]), number_texts(array)
    left, top = _pooled_at(x0, window)
    grid.square(left, top, color, edge=color, gid=f"{name}[{window[0]}, {window[1]}]")
    size = grid.fitting_size(list(texts.flat))
    grid.text(left + 0.5, top + 0.5, texts[window], size, readable(color, grid.theme), bold=True)


def _draw_arrows(grid: Grid, pooling: _Pooling, x0: float, x1: float, *, into_windows: bool) -> None:
    """Draw arrows that leave a cell up or down into the gap, run along it, and turn into the other cell."""
    h, w = pooling.out.shape
    for window in np.ndindex(h, w):
        pixel, upwards = pooling.source(window), pooling.position[window] < 2
        wide_x0, narrow_x0 = (x1, x0) if into_windows else (x0, x1)
        wide, narrow = _pixel_at(wide_x0, pixel), _pooled_at(narrow_x0, window)
        lane = _lane(window, bool(upwards), w)
        ends = [(left + 0.5, top + (0.0 if upwards else 1.0)) for left, top in (wide, narrow)]
        start, end = reversed(ends) if into_windows else ends
        away = -0.05 if upwards else 0.05  # distance between the arrow's head and the cell
        points = [start, (start[0], lane), (end[0], lane), (end[0], end[1] + away)]
        names = [f"[{pixel[0]}, {pixel[1]}]", f"[{window[0]}, {window[1]}]"]
        gid = f"map{names[1]} -> unpooled{names[0]}" if into_windows else f"x{names[0]} -> out{names[1]}"
        grid.path(rounded_path(points), _color(grid, window, w), line=3.2 * grid.cell + 0.1, gid=gid)


def _lane(window: Cell, upwards: bool, w: int) -> float:
    """Return the height of a window's arrow: above or below its row, nearer for windows further left.

    An arrow may cross another arrow where the latter leaves its cell, but never where it arrives.
    """
    r, c = window
    distance = NEAREST + min(0.12, (FARTHEST - NEAREST) / max(w - 1, 1)) * c
    top = TOP + r * (2 + STREET)
    return top - distance if upwards else top + 2 + distance


def _write_titles(grid: Grid, pooling: _Pooling, columns: dict[str, float], changed: bool) -> None:
    (H, W), (h, w) = pooling.x.shape, pooling.out.shape
    notes = {"x": ("x", f"{H} x {W}, windows of 2 x 2"), "out": ("max_pool2d", f"{h} x {w}"),
             "map": ("a decoder's map" if changed else "the same map", f"{h} x {w}"),
             "unpooled": ("max_unpool2d", f"{H} x {W}, zero except at the positions")}  # fmt: skip
    for name, (title, note) in notes.items():
        y = TOP - FARTHEST - 0.17 / grid.cell
        grid.title(columns[name], y - 0.2 / grid.cell, title)
        grid.note(columns[name], y, note)
    middle = TOP + h + (h - 1) * STREET / 2
    begin = columns["out"] + w + (w - 1) * ALLEY + 0.3
    end = columns["map"] - 0.3
    grid.path(rounded_path([(begin, middle), (end, middle)]), grid.theme.muted, line=1.2, dashed=True)
    grid.note((begin + end) / 2, middle - 0.2, "other layers" if changed else "", ha="center")


def _draw_indices(grid: Grid, pooling: _Pooling, columns: dict[str, float], y: float) -> None:
    """Draw the table of indices below the middle, with an explanation on its left and remarks on its right."""
    h, w = pooling.out.shape
    left = columns["table"]
    grid.title(left, y - 0.28, "positions")
    for window in np.ndindex(h, w):
        index, color = int(pooling.position[window]), _color(grid, window, w)
        cell = (left + window[1], y + window[0])
        grid.square(*cell, tint(color, grid.theme), edge=color, gid=f"indices[{window[0]}, {window[1]}]")
        grid.text(cell[0] + 0.5, cell[1] + 0.36, str(index), 24 * grid.cell, grid.theme.ink, bold=True)
        grid.text(cell[0] + 0.5, cell[1] + 0.77, f"{index:02b}", 16 * grid.cell, grid.theme.ink)
    _draw_key(grid, columns["x"], y)
    for number, remark in enumerate(_remarks(pooling)):
        grid.note(columns["remarks"], y + 0.25 + LINE / grid.cell * number, remark)


def _draw_key(grid: Grid, x: float, y: float) -> None:
    grid.title(x, y - 0.28, "position, in two bits")
    for index in range(4):
        cell = (x + index % 2, y + index // 2)
        grid.square(*cell, grid.theme.paper, edge=grid.theme.muted, width=0.6)
        grid.text(cell[0] + 0.5, cell[1] + 0.36, str(index), 22 * grid.cell, grid.theme.muted)
        grid.text(cell[0] + 0.5, cell[1] + 0.77, f"{index:02b}", 16 * grid.cell, grid.theme.muted)


def _remarks(pooling: _Pooling) -> list[str]:
    h, w = pooling.out.shape
    remarks = ["Full colour: each window's maximum.",
               "Only these positions reach the decoder: two bits per window."]  # fmt: skip
    if any(pooling.ties(window) for window in np.ndindex(h, w)):
        remarks.append("Dashed in colour: equal to the maximum, but later.")
    if pooling.x.shape[0] % 2 or pooling.x.shape[1] % 2:
        remarks.append("Dashed in grey: outside the picture.")
    if np.isnan(pooling.x).any():
        remarks.append("NaN counts as larger than every number.")
    return remarks
