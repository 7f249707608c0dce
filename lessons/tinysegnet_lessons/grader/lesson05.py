"""Exercises of lesson 05: max-pooling and unpooling, forward and backward.

Windows are 2x2 with stride 2, but for the backward of pooling: 3x3 with stride 2, where gradients add up.
"""

import numpy as np

from tinysegnet.ops import max_pool2d_output_size, unpack_indices
from tinysegnet.ops.pool import max_pool2d_backward_numpy, max_pool2d_forward_numpy

from .exercise import Exercise


def _windows(x):
    """x (N, H, W, C) of even sizes -> (N, h, w, 4, C): the four pixels of each window in reading order."""
    N, H, W, C = x.shape
    blocks = x.reshape(N, H // 2, 2, W // 2, 2, C).swapaxes(2, 3)
    return blocks.reshape(N, H // 2, W // 2, 4, C)


def _pool(x):
    (out, indices), _ = max_pool2d_forward_numpy(x)
    return out, unpack_indices(indices, x.shape[3])


def _places(position):
    """The index arrays n, y, x, c of every maximum in the picture."""
    n, row, column, c = np.indices(position.shape)
    return n, 2 * row + position // 2, 2 * column + position % 2, c


def _unpool(z, position, output_size):
    out = np.zeros((len(z), *output_size, z.shape[3]), z.dtype)
    out[_places(position)] = z
    return out


def _pool_backward(dout, x):
    return max_pool2d_backward_numpy(dout, max_pool2d_forward_numpy(x, size=3, stride=2)[1])


def _unpool_backward(dout, position):
    return dout[_places(position)]


# --- cases: the simplest first ---------------------------------------------------------------------------------------

EVEN = (1, 2, 2, 1), (1, 4, 4, 1), (2, 4, 6, 3)
ODD = (1, 5, 4, 1), (2, 5, 7, 3)
OVERLAPPING = (1, 3, 3, 1), (1, 5, 5, 1), (2, 5, 7, 3)


def _pictures(shapes, *, ties=True, seed=0):
    rng = np.random.default_rng(seed)
    real = [rng.standard_normal(shape) for shape in shapes]
    return real + [np.maximum(rng.integers(-3, 3, shape), 0).astype(float) for shape in shapes[1:] if ties]


def _unpool_cases():
    rng = np.random.default_rng(1)
    pooled = [(_pool(x), x.shape[1:3]) for x in _pictures(EVEN + ODD)]
    return [(rng.standard_normal(out.shape), position, size) for (out, position), size in pooled]


def _pool_backward_cases():
    rng = np.random.default_rng(2)
    pictures = _pictures(OVERLAPPING, seed=7)  # in the first one each mistake finds another pixel
    return [(rng.standard_normal((len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3])), x) for x in pictures]


def _unpool_backward_cases():
    rng = np.random.default_rng(5)  # in the first case each mistake reads another pixel
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
    """A reshape without exchanging axes: four numbers of a row, or of two, are no window."""
    N, H, W, C = x.shape
    rows = x.reshape(N, H // 2, W // 2, 4, C)
    return rows.max(3), rows.argmax(3)


def _position_in_rows_of_four(x):
    return _pool(x)[0], _rows_of_four(x)[1]


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


def _one_channel(z, position, output_size):
    return _unpool(z, np.broadcast_to(position[..., :1], position.shape), output_size)


def _overlapping(share, add=True, step=2):
    """dx where share(window 3x3) says what part of the gradient each of its pixels gets."""

    def wrong(dout, x):
        dx = np.zeros(x.shape)
        for n, u, v, c in np.ndindex(dout.shape):
            here = np.s_[n, step * u : step * u + 3, step * v : step * v + 3, c]
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


def _two_by_two(window):
    part = np.zeros(window.shape)
    part[:2, :2] = _first(window[:2, :2])
    return part


def _full(dout):
    """dout with zeros at the end, so that all windows are full."""
    H, W = (2 * n for n in max_pool2d_output_size(dout.shape[1:3]))
    return np.pad(dout, ((0, 0), (0, H - dout.shape[1]), (0, W - dout.shape[2]), (0, 0)))


def _last_columns_wrong(dout, position):
    """Flat indices with a row of 2 w pixels: right for even widths only."""
    N, H, W, C = dout.shape
    n, y, column, c = _places(position)
    flat = (y * 2 * position.shape[2] + column) % (H * W)
    return dout.reshape(N, H * W, C)[n, flat, c]


EXERCISES = [
    Exercise(
        name="max_pool2d_forward",
        results=("out", "position"),
        reference=_pool,
        cases=lambda: [(x,) for x in _pictures(EVEN)],
        mistakes={
            "of equal numbers the first in reading order wins, yours is the last": _last_maximum,
            "position counts down the columns; in reading order it is 2 * i + j": _down_first,
            "position is the place in the whole picture; only the place in its window is asked for, 0..3": _flat_index,
            "all channels got one position; each channel has its own maximum": _one_for_all_channels,
            "the largest absolute value was taken; -3 is smaller than 1": _absolute,
            "a reshape alone takes four numbers of a row, not a window of 2x2: exchange axes, or use strided slices":
                _rows_of_four,
            "out is right, but its position counts four numbers of a row: exchange axes after the reshape":
                _position_in_rows_of_four,
            "the smallest was taken, not the largest": lambda x: (-_pool(-x)[0], _pool(-x)[1]),
            "the mean was taken, not the maximum": lambda x: (_windows(x).mean(3), _pool(x)[1]),
        },
    ),
    Exercise(
        name="max_unpool2d_forward",
        results=("out",),
        reference=_unpool,
        cases=_unpool_cases,
        mistakes={
            "the size is 2 * h x 2 * w; of an odd picture that is one too many: use output_size": _always_double,
            "the value stands at all four pixels; it belongs to one, the others are 0": _all_four,
            "the value is always at the window's first pixel: position is not used": _first_corner,
            "rows and columns of the window are exchanged: i = position // 2, j = position % 2": _unpool_swapped,
            "all channels went where the first one goes; each channel has its own position": _one_channel,
        },
    ),
    Exercise(
        name="max_pool2d_backward",
        results=("dx",),
        reference=_pool_backward,
        cases=_pool_backward_cases,
        mistakes={
            "a pixel that is the maximum of several windows got one gradient only: add them up with +=":
                _overlapping(_first, add=False),
            "in a tie every maximum got the gradient; the forward took the first, so it alone gets it":
                _overlapping(_every),
            "in a tie the gradient was shared; the forward took the first, so it alone gets all of it":
                _overlapping(lambda window: _every(window) / _every(window).sum()),
            "in a tie the last maximum got the gradient; the forward took the first": _overlapping(_last),
            "all pixels of the window got the gradient; all but the maximum had no influence":
                _overlapping(np.ones_like),
            "it went to the window's first pixel, wherever the maximum was":
                _overlapping(lambda window: _one_hot(window, 0)),
            "these are windows of 2x2; here they have 3x3 pixels": _overlapping(_two_by_two),
            "dx is multiplied by x; the slope of the maximum is 1": lambda dout, x: _pool_backward(dout, x) * x,
        },
    ),
    Exercise(
        name="max_unpool2d_backward",
        results=("dz",),
        reference=_unpool_backward,
        cases=_unpool_backward_cases,
        mistakes={
            "it reads the window's first pixel, whatever position says":
                lambda dout, position: _unpool_backward(dout, np.zeros_like(position)),
            "it adds up the window; the three zeros that forward wrote are constants and pass nothing on":
                lambda dout, position: _windows(_full(dout)).sum(3),
            "it takes the maximum of dout; the place was decided in forward": lambda dout, position: _pool(dout)[0],
            "rows and columns of the window are exchanged: i = position // 2, j = position % 2":
                lambda dout, position: _unpool_backward(_full(dout), _swapped(position)),
            "a row of the picture has W pixels, not 2 * w: wrong for odd widths": _last_columns_wrong,
            "all channels read where the first one does; each channel has its own position":
                lambda dout, position: _unpool_backward(dout, np.broadcast_to(position[..., :1], position.shape)),
        },
    ),
]  # fmt: skip
