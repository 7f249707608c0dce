"""Figures of convolution, one number at a time: where the kernel lies, what it multiplies, and where the sum goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.ops.conv import conv2d_forward
from tinysegnet.ops.windows import pad, place
from tinysegnet.viz.figures import LIGHT, Theme, both_themes

from .arrays import EDGE, largest
from .grid import MINUS, TIMES, Grid, as_numbers, number_texts, rounded_path

__all__ = ["show_kernel", "show_kernel_sliding"]

TOP, SIGN, ARROW = 1.35, 0.9, 1.6  # in cells


@dataclass(frozen=True)
class _Scene:
    """A convolution: the picture with its padding, the kernel, and the output."""

    padded: np.ndarray
    pads: Any
    weight: np.ndarray
    out: np.ndarray
    stride: tuple[int, int]

    def window(self, i: int, j: int) -> tuple[int, int]:
        """Return where on the padded picture the kernel begins for out[i, j]."""
        return i * self.stride[0], j * self.stride[1]

    def products(self, i: int, j: int) -> np.ndarray:
        """Return the products whose sum is out[i, j]."""
        top, left = self.window(i, j)
        K, L = self.weight.shape
        return self.padded[top : top + K, left : left + L] * self.weight


@both_themes
def show_kernel(
    x: Any,
    weight: Any,
    at: tuple[int, int] = (0, 0),
    *,
    stride: int = 1,
    padding: Any = "same",
    names: tuple[str, str, str] = ("x", "weight", "out"),
    theme: Theme = LIGHT,
) -> Figure:
    """Draw how out[at] is computed: the window of x (H, W) times the kernel (K, L), summed.

    `stride` and `padding` are those of `ops.conv2d_forward`; the zeros of the padding have dashed borders. `names` are
    the names of picture, kernel and output. Raises ShapeError if `at` is outside the output or an array is too large.
    """
    scene = _scene(x, weight, stride, padding)
    i, j = at
    _check_inside(scene, [at])
    K, L = scene.weight.shape
    (PH, PW), (OH, OW) = scene.padded.shape, scene.out.shape
    tallest = max(PH, OH, K)
    grid, x0 = _grid(scene, 2 * EDGE + PW + 2 * ARROW + 3 * L + 2 * SIGN + OW, TOP + tallest + 1.5, theme), EDGE
    top = [TOP + (tallest - n) / 2 for n in (PH, K, OH)]
    _padded_picture(grid, x0, top[0], scene)
    grid.title(x0, top[0] - 0.3, names[0] + _padding(scene))
    row, column = scene.window(i, j)
    grid.frame(x0 + column, top[0] + row, L, K, theme.ink, gid=f"window[{row}, {column}]")
    x1 = x0 + PW + ARROW
    _zoom(grid, (x0 + column + L, top[0] + row, K), x0 + PW, (x1, top[1], K))
    x3 = _products(grid, x1, top[1], scene, (i, j), names[1])
    x4 = x3 + L + ARROW
    grid.array(x4, top[2], scene.out, "out")
    grid.title(x4, top[2] - 0.3, names[2])
    grid.frame(x4 + j, top[2] + i, 1, 1, theme.ink, gid=f"out frame[{i}, {j}]")
    # The arrow leads to the row, because an arrow to the cell would cross numbers.
    ends = [(x3 + L + 0.12, top[1] + K / 2), (x4 - (0.04 if j == 0 else 0.1), top[2] + i + 0.5)]
    bend = x3 + L + 0.55
    grid.path(rounded_path([ends[0], (bend, ends[0][1]), (bend, ends[1][1]), ends[1]]), theme.loss)
    grid.text(EDGE, TOP + tallest + 0.85, told := _sum_text(scene, i, j, names[2]), 10, theme.ink, ha="left")
    grid.figure.alt = f"Kernel {names[1]} ({K} x {L}) on {names[0]} ({PH} x {PW}{_padding(scene)}). {told}"
    return grid.figure


@both_themes
def show_kernel_sliding(
    x: Any,
    weight: Any,
    *,
    positions: Sequence[tuple[int, int]] | None = None,
    stride: int = 1,
    padding: Any = "same",
    slider: bool = False,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the kernel at several positions as a strip, each with the output computed so far.

    `positions` are output indices (row, column), by default the first two, the first of the second row, and the last.
    `stride` and `padding` are those of `ops.conv2d_forward`. `slider` adds a slider over all positions if ipywidgets is
    installed. Raises ShapeError as `show_kernel` does.
    """
    scene = _scene(x, weight, stride, padding)
    H, W = scene.out.shape
    if positions is None:
        positions = sorted({(0, 0), (0, min(1, W - 1)), (min(1, H - 1), 0), (H - 1, W - 1)})
    _check_inside(scene, positions)
    if slider:
        _show_slider(x, weight, stride, padding, theme)
    PH, PW = scene.padded.shape
    wide = max(PW, W) + 1.2
    grid = _grid(scene, 2 * EDGE + wide * len(positions) - 1.2, TOP + PH + 1.3 + H + EDGE, theme)
    told = [_strip_panel(grid, EDGE + number * wide, scene, i, j) for number, (i, j) in enumerate(positions)]
    grid.figure.alt = f"The kernel at {len(told)} positions on x ({PH} x {PW}{_padding(scene)}): {', '.join(told)}"
    return grid.figure


def _scene(x: Any, weight: Any, stride: int, padding: Any) -> _Scene:
    x, weight = (as_numbers(a, name).astype(float) for a, name in ((x, "x"), (weight, "weight")))
    strides, pads, size = place("show_kernel", x.shape, weight.shape, stride, padding)
    if min(size) < 1:
        raise ShapeError(f"a kernel {weight.shape} does not fit a picture {x.shape} with padding {padding!r}")
    settings = {"stride": strides, "padding": padding}
    out, _ = conv2d_forward(x[None, ..., None], weight[..., None, None], **settings)
    return _Scene(pad(x[None, ..., None], pads)[0, ..., 0], pads, weight, out[0, ..., 0], strides)


def _grid(scene: _Scene, width: float, height: float, theme: Theme) -> Grid:
    return Grid(width, height, theme, largest([scene.padded, scene.weight, scene.out]))


def _padding(scene: _Scene) -> str:
    return ", padded" if np.any(scene.pads) else ""


def _check_inside(scene: _Scene, positions: Sequence[tuple[int, int]]) -> None:
    H, W = scene.out.shape
    for i, j in positions:
        if not (0 <= i < H and 0 <= j < W):
            raise ShapeError(f"out[{i}, {j}] is outside the output ({H}, {W})")


def _padded_picture(grid: Grid, x0: float, y0: float, scene: _Scene) -> None:
    """Draw the picture and the zeros of the padding around it, which have dashed borders."""
    (top, bottom), (left, right) = scene.pads
    PH, PW = scene.padded.shape
    inside = scene.padded[top : PH - bottom, left : PW - right]
    for row, column in np.ndindex(PH, PW):
        if not (top <= row < PH - bottom and left <= column < PW - right):
            grid.square(x0 + column, y0 + row, grid.theme.paper, edge=grid.theme.muted, dashed=True, width=0.5,
                         gid=f"padding[{row}, {column}]")  # fmt: skip
            grid.text(x0 + column + 0.5, y0 + row + 0.5, "0", 8.5 * min(1.0, grid.cell / 0.4), grid.theme.muted)
    grid.array(x0 + left, y0 + top, inside, "x")


def _zoom(grid: Grid, source: tuple[float, float, float], edge: float, target: tuple[float, float, float]) -> None:
    """Draw two thin lines from the right corners of a window (x, y, height) to the left corners of its copy.

    Up to the picture's right edge they run between the rows, so that they cross no number.
    """
    for end in (0, 1):
        (x, y), (to, height) = ((x, y + end * h) for x, y, h in (source, target))
        points = [(x + 0.06, y), (edge + 0.06, y), (to - 0.06, height)]
        grid.path(rounded_path(points, radius=0.02), grid.theme.muted, line=0.8, head=False, dashed=True, gid="zoom")


def _products(grid: Grid, x1: float, y: float, scene: _Scene, at: tuple[int, int], kernel: str) -> float:
    """Draw "window x weight = products", starting at x1, and return where the products begin."""
    K, L = scene.weight.shape
    top, left = scene.window(*at)
    parts = {"window": scene.padded[top : top + K, left : left + L], "weight": scene.weight,
             "products": scene.products(*at)}  # fmt: skip
    for number, (name, array) in enumerate(parts.items()):
        x = x1 + number * (L + SIGN)
        grid.array(x, y, array, name)
        grid.title(x, y - 0.3, kernel if name == "weight" else name)
        if number < 2:
            grid.sign(x + L + SIGN / 2, y + K / 2, (TIMES, "=")[number])
    return x1 + 2 * (L + SIGN)


def _sum_text(scene: _Scene, i: int, j: int, name: str) -> str:
    """Return a text such as "out[1, 2] = 3 − 1 + 4 = 6"; products that are zero are left out."""
    products = scene.products(i, j).ravel()
    *texts, total = number_texts(np.array([[*products, scene.out[i, j]]]))[0]
    texts = [text for text, value in zip(texts, products, strict=True) if value != 0]
    terms = " + ".join(texts[:16]).replace(f"+ {MINUS}", f"{MINUS} ") + (" + …" if len(texts) > 16 else "")
    steps = f"sum of the products = {terms} = {total}" if len(texts) > 1 else f"sum of the products = {total}"
    return f"{name}[{i}, {j}] = {steps}"


def _strip_panel(grid: Grid, x0: float, scene: _Scene, i: int, j: int) -> str:
    """Draw the kernel on the padded picture, and below it the output up to out[i, j] in reading order.

    Returns the panel's title.
    """
    PH, PW = scene.padded.shape
    H, W = scene.out.shape
    _padded_picture(grid, x0, TOP, scene)
    row, column = scene.window(i, j)
    K, L = scene.weight.shape
    grid.frame(x0 + column, TOP + row, L, K, grid.theme.ink, gid=f"window[{row}, {column}]")
    total = number_texts(scene.out[i : i + 1, j : j + 1])[0, 0]
    grid.title(x0, TOP - 0.35, title := f"out[{i}, {j}] = {total}")
    known = np.arange(H * W).reshape(H, W) <= i * W + j
    below = x0 + (PW - W) / 2, TOP + PH + 1.0
    grid.array(*below, scene.out, "out", shown=known)
    grid.frame(below[0] + j, below[1] + i, 1, 1, grid.theme.ink, gid=f"out frame[{i}, {j}]")
    across = below[0] + j + 0.5
    grid.path(rounded_path([(across, TOP + PH + 0.12), (across, TOP + PH + 0.94)]), grid.theme.loss)
    return title


def _show_slider(x: Any, weight: Any, stride: int, padding: Any, theme: Theme) -> None:
    """Show a slider, or nothing without ipywidgets."""
    try:
        import ipywidgets
        from IPython.display import display
    except ImportError:
        return
    H, W = _scene(x, weight, stride, padding).out.shape

    def at(position: int) -> Figure:
        return show_kernel(x, weight, divmod(position, W), stride=stride, padding=padding, theme=theme)

    display(ipywidgets.interactive(at, position=ipywidgets.IntSlider(0, 0, H * W - 1)))
