"""Exercises of lesson 05: max-pooling and unpooling, forward and backward.

Windows are 2x2 with stride 2. The backward of pooling also has windows of 3x3 with stride 2, which overlap.
"""

import time

import numpy as np

from tinysegnet.ops import max_pool2d_output_size, pack_indices, unpack_indices
from tinysegnet.ops.pool import max_pool2d_backward_numpy, max_pool2d_forward_numpy

from .exercise import Challenge, Exercise, Prediction, generator


def _window_maximum(window):
    return window.max(), window.argmax()


def _windows(x):
    """Return the four pixels of each window in reading order, (N, h, w, 4, C), for even sizes."""
    N, H, W, C = x.shape
    blocks = x.reshape(N, H // 2, 2, W // 2, 2, C).swapaxes(2, 3)
    return blocks.reshape(N, H // 2, W // 2, 4, C)


def _pool(x):
    (out, indices), _ = max_pool2d_forward_numpy(x)
    return out, unpack_indices(indices, x.shape[3])


def _places(position):
    """Return the index arrays n, y, x, c of every maximum in the picture."""
    n, row, column, c = np.indices(position.shape)
    return n, 2 * row + position // 2, 2 * column + position % 2, c


def _unpool(z, position, output_size):
    out = np.zeros((len(z), *output_size, z.shape[3]), z.dtype)
    out[_places(position)] = z
    return out


def _pool_backward(dout, x, size):
    return max_pool2d_backward_numpy(dout, max_pool2d_forward_numpy(x, size=size, stride=2)[1])


def _fast_pool(x):
    a, b, c, d = (x[:, i::2, j::2] for i, j in np.ndindex(2, 2))
    upper, lower = np.maximum(a, b), np.maximum(c, d)
    below = lower > upper
    return np.maximum(upper, lower), np.where(below, d > c, b > a) + 2 * below.astype(np.uint8)


def _lesson_pool(x):
    """Pool as in the lesson's solution, which the challenge measures against."""
    windows = np.stack([x[:, i::2, j::2] for i, j in np.ndindex(2, 2)])
    return windows.max(0), windows.argmax(0)


def _times_as_fast(answer):
    """Return how many times as fast as the lesson's solution an answer pools a batch of feature maps."""
    x = np.random.default_rng(0).standard_normal((2, 96, 128, 16)).astype(np.float32)
    best = {_lesson_pool: np.inf, answer: np.inf}
    began = time.perf_counter()
    for _ in range(15):
        for pool in best:
            start = time.perf_counter()
            pool(x)
            best[pool] = min(best[pool], time.perf_counter() - start)
        if time.perf_counter() - began > 1:
            break
    return best[_lesson_pool] / best[answer]


def _unpool_backward(dout, position):
    return dout[_places(position)]


# --- cases: the simplest first ---------------------------------------------------------------------------------------

EVEN = (1, 2, 2, 1), (1, 4, 4, 1), (2, 4, 6, 3)
ODD = (1, 5, 4, 1), (2, 5, 7, 3)
FULL = {2: EVEN, 3: ((1, 3, 3, 1), (1, 5, 5, 1), (2, 5, 7, 3))}  # no window is clipped


def _pictures(shapes, *, ties=True, seed=0):
    rng = generator(seed)
    real = [rng.standard_normal(shape) for shape in shapes]
    return real + [np.maximum(rng.integers(-3, 3, shape), 0).astype(float) for shape in shapes[1:] if ties]


def _window_cases():
    fixed = [[5, 1.5], [6, 3]], [[-4, -3], [-2, -6]], [[2, 5], [5, 5]], [[3, 1], [2, 7]], [[0, 0], [0, 0]]
    return [(np.array(window, float),) for window in fixed] + [(generator(8).standard_normal((2, 2)),)]


def _pack_cases():
    rng = generator(9)
    first = np.array([1, 3, 2, 0]).reshape(1, 1, 1, 4)
    return [(first,), (rng.integers(0, 4, (1, 2, 3, 8)),), (rng.integers(0, 4, (2, 3, 2, 4)).astype(np.uint8),)]


def _unpool_cases():
    rng = generator(1)
    pooled = [(_pool(x), x.shape[1:3]) for x in _pictures(EVEN + ODD)]
    return [(rng.standard_normal(out.shape), position, size) for (out, position), size in pooled]


def _pool_backward_cases():
    rng = generator(2)
    cases = []
    for size, shapes in FULL.items():
        for x in _pictures(shapes, seed=7):  # in the first picture each mistake finds a different pixel
            h, w = ((n - size) // 2 + 1 for n in x.shape[1:3])
            cases.append((rng.standard_normal((len(x), h, w, x.shape[3])), x, size))
    return cases


def _unpool_backward_cases():
    rng = generator(5)  # in the first case each mistake reads a different pixel
    return [(rng.standard_normal(x.shape), _pool(x)[1]) for x in _pictures(EVEN + ODD)]


# --- mistakes --------------------------------------------------------------------------------------------------------


def _last_maximum(x):
    windows = _windows(x)
    return windows.max(3), (3 - windows[:, :, :, ::-1].argmax(3)).astype(np.uint8)


def _down_first(x):
    out, position = _pool(x)
    return out, np.array([0, 2, 1, 3], np.uint8)[position]


def _flat_index(x):
    out, position = _pool(x)
    _, y, column, _ = _places(position)
    return out, y * x.shape[2] + column


def _one_for_all_channels(x):
    windows = _windows(x)
    position = np.broadcast_to(windows.sum(4, keepdims=True).argmax(3), windows.max(3).shape)
    return np.take_along_axis(windows, position[:, :, :, None], 3)[:, :, :, 0], position


def _absolute(x):
    windows, position = _windows(x), np.abs(_windows(x)).argmax(3)
    return np.take_along_axis(windows, position[:, :, :, None], 3)[:, :, :, 0], position


def _rows_of_four(x):
    """Reshape without swapping axes, so that four numbers of a row count as a window."""
    N, H, W, C = x.shape
    rows = x.reshape(N, H // 2, W // 2, 4, C)
    return rows.max(3), rows.argmax(3)


def _position_in_rows_of_four(x):
    return _pool(x)[0], _rows_of_four(x)[1]


def _started_at_zero(x):
    out, position = _pool(x)
    return np.maximum(out, 0), np.where(out > 0, position, 0)


def _packed(position, channel, shift=2):
    """Pack four positions into a byte, where channel(k, C) is the slice of the k-th positions."""
    packed = np.zeros((*position.shape[:3], position.shape[3] // 4), np.int64)
    for k in range(4):
        packed |= position[..., channel(k, position.shape[3])].astype(np.int64) << shift * k
    return packed


def _always_double(z, position, output_size):
    _, h, w, _ = z.shape
    return _unpool(z, position, (2 * h, 2 * w))


def _all_four(z, position, output_size):
    return z.repeat(2, 1).repeat(2, 2)[:, : output_size[0], : output_size[1]]


def _first_corner(z, position, output_size):
    return _unpool(z, np.zeros_like(position), output_size)


def _swapped(position):
    return np.array([0, 2, 1, 3], np.uint8)[position]


def _unpool_swapped(z, position, output_size):
    H, W = (2 * n for n in z.shape[1:3])
    return _unpool(z, _swapped(position), (H, W))[:, : output_size[0], : output_size[1]]


def _near_places(position):
    n, u, v, c = np.indices(position.shape)
    return n, u + position // 2, v + position % 2, c


def _windows_overlap(z, position, output_size):
    out = np.zeros((len(z), *output_size, z.shape[3]))
    n, row, column, c = _near_places(position)
    out[n, np.minimum(row, output_size[0] - 1), np.minimum(column, output_size[1] - 1), c] = z
    return out


def _read_without_factor(dout, position):
    n, row, column, c = _near_places(position)
    return dout[n, np.minimum(row, dout.shape[1] - 1), np.minimum(column, dout.shape[2] - 1), c]


def _one_channel(z, position, output_size):
    return _unpool(z, np.broadcast_to(position[..., :1], position.shape), output_size)


def _backward_by(share, add=True, step=lambda size: 2, window_size=lambda size: size):
    """Return a backward in which share(window) gives each pixel's share of the gradient of a window."""

    def wrong(dout, x, size):
        dx = np.zeros(x.shape)
        rows, width = step(size), window_size(size)
        for n, u, v, c in np.ndindex(dout.shape):
            here = np.s_[n, rows * u : rows * u + width, rows * v : rows * v + width, c]
            parts = share(x[here])
            dx[here] = np.where(parts != 0, dout[n, u, v, c] * parts + (dx[here] if add else 0), dx[here])
        return dx

    return wrong


def _one_hot(window, at):
    return np.eye(1, window.size, at).reshape(window.shape)


def _first(window):
    return _one_hot(window, window.argmax())


def _last(window):
    return _one_hot(window, window.size - 1 - window.ravel()[::-1].argmax())


def _every(window):
    return (window == window.max()).astype(float)


def _full(dout):
    """Return dout with zeros at the end, so that all windows are full."""
    H, W = (2 * n for n in max_pool2d_output_size(dout.shape[1:3]))
    return np.pad(dout, ((0, 0), (0, H - dout.shape[1]), (0, W - dout.shape[2]), (0, 0)))


def _last_columns_wrong(dout, position):
    """Use flat indices with rows of 2 w pixels, which is right for even widths only."""
    N, H, W, C = dout.shape
    n, y, column, c = _places(position)
    flat = (y * 2 * position.shape[2] + column) % (H * W)
    return dout.reshape(N, H * W, C)[n, flat, c]


PREDICTIONS = {
    "rows_after_pooling_45": Prediction(23, "22 windows cover 44 rows, and a clipped window covers the last."),
    "cross_with_18_per_row": Prediction(
        "b", "Each row is read one pixel later than the row above, so the line slants."
    ),
    "unpool_then_pool": Prediction(
        2, "-2 and -4 are smaller than the zeros beside them, so pooling returns 0 instead."
    ),
}
EXERCISES = [
    Exercise(
        name="window_maximum",
        results=("value", "position"),
        reference=_window_maximum,
        cases=_window_cases,
        tier="warm-up",
        mistakes={
            "At a tie, this takes the last number, but the first in reading order must win.":
                lambda window: (window.max(), 3 - window.ravel()[::-1].argmax()),
            "position counts down the columns, but 1 is upper right and 2 is lower left.":
                lambda window: (window.max(), window.T.argmax()),
            "position counts from 1, but the upper left number has position 0.":
                lambda window: (window.max(), window.argmax() + 1),
            "position is the pair (i, j), but it must be the single number 2 * i + j.":
                lambda window: (window.max(), np.unravel_index(window.argmax(), (2, 2))),
            "The results are exchanged. Return the number first, and then its position.":
                lambda window: (window.argmax(), window.max()),
            "This takes the largest absolute value, but -6 is smaller than -2.":
                lambda window: (window.ravel()[np.abs(window).argmax()], np.abs(window).argmax()),
            "This takes the smallest number, not the largest.": lambda window: (window.min(), window.argmin()),
            "The search begins with 0, so it finds no negative maximum. Begin with the first number.":
                lambda window: (max(window.max(), 0), window.argmax() if window.max() > 0 else 0),
        },
    ),
    Exercise(
        name="max_pool2d_forward",
        results=("out", "position"),
        reference=_pool,
        cases=lambda: [(x,) for x in _pictures(EVEN)],
        mistakes={
            "At a tie, this takes the last number, but the first in reading order must win.": _last_maximum,
            "position counts down the columns, but in reading order it is 2 * i + j.": _down_first,
            "position is the place in the whole picture, but it must be the place in the window, 0..3.": _flat_index,
            "All channels have the same position, but each channel has its own maximum.": _one_for_all_channels,
            "This takes the largest absolute value, but -3 is smaller than 1.": _absolute,
            "The reshape takes four numbers of a row, not a 2x2 window. Swap axes, or use strided slices.":
                _rows_of_four,
            "out is right, but position counts four numbers of a row. Swap axes after the reshape.":
                _position_in_rows_of_four,
            "This takes the smallest number, not the largest.": lambda x: (-_pool(-x)[0], _pool(-x)[1]),
            "This takes the mean, not the maximum.": lambda x: (_windows(x).mean(3), _pool(x)[1]),
            "The results are exchanged. Return out first, and then position.": lambda x: _pool(x)[::-1],
            "The search begins with 0, so it finds no negative maximum. Begin with -inf or the first number.":
                _started_at_zero,
        },
    ),
    Exercise(
        name="pack_positions",
        results=("packed",),
        dtypes={"packed": "uint8"},
        reference=lambda position: pack_indices(position.astype(np.uint8)),
        cases=_pack_cases,
        mistakes={
            "Channel 0 is in the highest bits, but it must be in the lowest. Shift channel k by 2 * k bits.":
                lambda position: _packed(position, lambda k, C: np.s_[3 - k :: 4]),
            "Channel k is shifted by k bits, but each position takes two bits. Shift by 2 * k.":
                lambda position: _packed(position, lambda k, C: np.s_[k::4], shift=1),
            "Each channel has four bits. Shift channel k by 2 * k bits.":
                lambda position: _packed(position, lambda k, C: np.s_[k::4], shift=4),
            "A byte has the channels 0, C/4, C/2, 3C/4. Its four channels must be neighbours: reshape to (C // 4, 4).":
                lambda position: _packed(position, lambda k, C: np.s_[k * C // 4 : (k + 1) * C // 4]),
            "The positions are not shifted, so all four use the same two bits.":
                lambda position: _packed(position, lambda k, C: np.s_[k::4], shift=0),
            "Only the last of the four channels is left. Join them with |= instead of =.":
                lambda position: position[..., 3::4] << 6,
        },
    ),
    Exercise(
        name="max_unpool2d_forward",
        results=("out",),
        reference=_unpool,
        cases=_unpool_cases,
        mistakes={
            "The size is (2 * h, 2 * w), which is one too large for odd sizes. Use output_size.": _always_double,
            "The value is at all four pixels, but it belongs at one, and the others must be 0.": _all_four,
            "The value is always at the top left pixel of the window, but it must be at position.": _first_corner,
            "Rows and columns of the window are exchanged. Use i = position // 2 and j = position % 2.":
                _unpool_swapped,
            "All channels use the position of the first, but each channel has its own.": _one_channel,
            "Window (u, v) begins at pixel (2u, 2v). The factor 2 is missing.": _windows_overlap,
        },
    ),
    Exercise(
        name="max_pool2d_backward",
        results=("dx",),
        reference=_pool_backward,
        cases=_pool_backward_cases,
        mistakes={
            "A pixel that is the maximum of several windows got only one gradient. Add up the gradients with +=.":
                _backward_by(_first, add=False),
            "At a tie, every maximum got the gradient, but only the first must get it.":
                _backward_by(_every),
            "At a tie, the gradient was shared, but the first maximum must get all of it.":
                _backward_by(lambda window: _every(window) / _every(window).sum()),
            "At a tie, the last maximum got the gradient, but the first must get it.": _backward_by(_last),
            "All pixels of the window got the gradient, but only the maximum must get it.":
                _backward_by(np.ones_like),
            "The gradient went to the top left pixel of the window instead of the maximum.":
                _backward_by(lambda window: _one_hot(window, 0)),
            "The windows always have 2x2 pixels, but they must have size x size.":
                _backward_by(_first, window_size=lambda size: 2),
            "The windows always have 3x3 pixels, but they must have size x size.":
                _backward_by(_first, window_size=lambda size: 3),
            "Window (u, v) begins at (size * u, size * v) here, but the stride is 2: it begins at (2 * u, 2 * v).":
                _backward_by(_first, step=lambda size: size),
            "Window (u, v) begins at (u, v) here, but the stride is 2: it begins at (2 * u, 2 * v).":
                _backward_by(_first, step=lambda size: 1),
            "dx is multiplied by x, but the slope of the maximum is 1.":
                lambda dout, x, size: _pool_backward(dout, x, size) * x,
        },
    ),
    Exercise(
        name="max_unpool2d_backward",
        results=("dz",),
        reference=_unpool_backward,
        cases=_unpool_backward_cases,
        mistakes={
            "This always reads the top left pixel of the window, but it must read the one at position.":
                lambda dout, position: _unpool_backward(dout, np.zeros_like(position)),
            "This sums the window, but the three zeros that forward wrote pass no gradient on.":
                lambda dout, position: _windows(_full(dout)).sum(3),
            "This takes the maximum of dout, but forward has already fixed the position.":
                lambda dout, position: _pool(dout)[0],
            "Rows and columns of the window are exchanged. Use i = position // 2 and j = position % 2.":
                lambda dout, position: _unpool_backward(_full(dout), _swapped(position)),
            "Window (u, v) begins at pixel (2u, 2v). The factor 2 is missing.": _read_without_factor,
            "The result is wrong for odd widths. A row of the picture has W pixels, not 2 * w.": _last_columns_wrong,
            "All channels use the position of the first, but each channel has its own.":
                lambda dout, position: _unpool_backward(dout, np.broadcast_to(position[..., :1], position.shape)),
        },
    ),
    Challenge(
        name="fast_pool",
        results=("out", "position"),
        reference=_fast_pool,
        cases=lambda: [(x,) for x in _pictures(EVEN)] + [(x.astype(np.float32),) for x in _pictures(EVEN[2:])],
        mistakes={
            "At a tie, this takes the last number, but the first in reading order must win. Compare with > only.":
                _last_maximum,
            "position counts down the columns, but in reading order it is 2 * i + j.": _down_first,
            "The results are exchanged. Return out first, and then position.": lambda x: _pool(x)[::-1],
        },
        measure=_times_as_fast,
        unit="times as fast as the solution of exercise 1",
        goal=2.0,
        timed=True,
    ),
]  # fmt: skip
