"""Max-pooling, which remembers where each maximum was, and unpooling, which puts values back there.

    pool:    out[u, v] = max of the window at (u*s, v*s);   indices[u, v] = where it was
    unpool:  out is zero but for  out[where indices[u, v] says] = x[u, v]

Each is the other's mirror: the backward of pooling scatters like unpooling, the backward of unpooling gathers like
pooling. This is the idea SegNet is named for: the decoder upsamples with the encoder's indices (section 3, figure 3).

Windows follow Caffe's and PyTorch's ceil mode: the last ones may stick out of the picture and are clipped (45 -> 23),
but none starts outside. The first maximum in reading order wins a tie; the first NaN wins over everything.
Indices are positions inside the full window; for 2x2 with stride 2 they are packed to two bits (see `indices`).
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..runtime import empty, fastest, kernel, prange
from .array_checks import pair, require_dout, require_floats
from .engine import pool_2x2
from .indices import indices_shape, is_packed, pack_indices, unpack_indices

__all__ = ["max_pool2d_backward", "max_pool2d_forward", "max_pool2d_output_size",
           "max_unpool2d_backward", "max_unpool2d_forward"]  # fmt: skip


def max_pool2d_output_size(input_size, *, size=2, stride=2):
    """(h, w) after pooling a picture of (H, W): ceil mode, no window starts outside. (45, 60) -> (23, 30)."""

    size, stride = pair(size), pair(stride)
    if min(size) < 1 or min(stride) < 1:
        raise ShapeError(f"max_pool2d: window and stride must be at least 1, got {size} and {stride}")

    def along(n, window, step):
        windows = max(-(-(n - window) // step) + 1, 1)
        return windows - 1 if (windows - 1) * step >= n else windows

    return tuple(map(along, input_size, size, stride))


def _check_pool(x, size, stride):
    size, stride = pair(size), pair(stride)
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"max_pool2d needs x (N, H, W, C) with no empty axis, got {x.shape}")
    if size[0] * size[1] > 256:
        raise ShapeError(f"max_pool2d: a window {size} has more than 256 positions, which a byte cannot tell apart")
    require_floats("max_pool2d", x=x)
    return size, stride


def _check_unpool(x, indices, output_size, size, stride):
    size, stride = pair(size), pair(stride)
    if stride[0] < size[0] or stride[1] < size[1]:
        raise ShapeError(f"max_unpool2d: windows {size} with stride {stride} overlap, so two maxima may want one pixel")
    expected = max_pool2d_output_size(output_size, size=size, stride=stride)
    require_floats("max_unpool2d", x=x)
    if x.ndim != 4 or 0 in x.shape or x.shape[1:3] != expected:
        raise ShapeError(
            f"max_unpool2d to {tuple(output_size)} needs x of (N, {expected[0]}, {expected[1]}, C), got {x.shape}"
        )
    if indices.dtype != np.uint8:
        raise ShapeError(f"max_unpool2d: indices must be the uint8 that max_pool2d leaves, got {indices.dtype}")
    if indices.shape != indices_shape(x.shape, size, stride):
        raise ShapeError(f"max_unpool2d: indices {indices.shape} are of another picture than x {x.shape}")
    return size, stride


def _check_pool_dout(dout, cache):
    _, (N, H, W, C), size, stride = cache
    require_dout("max_pool2d", dout, (N, *max_pool2d_output_size((H, W), size=size, stride=stride), C), dout.dtype)


def _check_unpool_dout(dout, cache):
    _, (N, *pooled_size, C), size, stride = cache
    if (
        dout.ndim != 4
        or (dout.shape[0], dout.shape[3]) != (N, C)
        or (max_pool2d_output_size(dout.shape[1:3], size=size, stride=stride) != tuple(pooled_size))
    ):
        raise ShapeError(f"max_unpool2d: dout {dout.shape} is not of the forward's result")


def _check_inside(indices, num_channels, output_size, size, stride):
    """An index into the part of a clipped window that is outside the picture would write outside the array."""
    rows = output_size[0] - (indices.shape[1] - 1) * stride[0]
    columns = output_size[1] - (indices.shape[2] - 1) * stride[1]
    lowest = _positions(indices[:, -1:], num_channels, size, stride)
    rightmost = _positions(indices[:, :, -1:], num_channels, size, stride)
    if np.any(lowest >= rows * size[1]) or np.any(rightmost % size[1] >= columns):
        raise ShapeError(f"max_unpool2d: an index points outside the picture of {tuple(output_size)}: "
                         "these indices come from another size")  # fmt: skip
    if not is_packed(size, stride) and indices.max() >= size[0] * size[1]:
        raise ShapeError(f"max_unpool2d: index {indices.max()} in a window of {size[0] * size[1]} positions")


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def _taps(x, pooled_size, size, stride):
    """For each position of the window: the pixel that every window has there. Views of x, (N, h, w, C) each.

    x must be large enough for full windows.
    """
    h, w = pooled_size
    for i, j in np.ndindex(*size):
        yield x[:, i : i + (h - 1) * stride[0] + 1 : stride[0], j : j + (w - 1) * stride[1] + 1 : stride[1]]


def _full_windows(x, pooled_size, size, stride, value):
    """x with `value` added at the end of rows and columns, or cut, so that every window is full."""
    (N, H, W, C), need = x.shape, [(n - 1) * s + k for n, k, s in zip(pooled_size, size, stride, strict=True)]
    full = np.full((N, *need, C), value, x.dtype)
    full[:, :H, :W] = x[:, : need[0], : need[1]]
    return full


def _positions(indices, num_channels, size, stride):
    return unpack_indices(indices, num_channels) if is_packed(size, stride) else indices


def _scatter_numpy(x, position, output_size, size, stride):
    """Add each x[n, y, x, c] to the pixel of its window that position names."""
    out = np.zeros((len(x), *output_size, x.shape[3]), x.dtype)
    full = _full_windows(out, x.shape[1:3], size, stride, 0)  # windows may stick out: add there, then cut
    for k, tap in enumerate(_taps(full, x.shape[1:3], size, stride)):
        tap += np.where(position == k, x, 0)
    H, W = min(full.shape[1], output_size[0]), min(full.shape[2], output_size[1])
    out[:, :H, :W] = full[:, :H, :W]
    return out


def max_pool2d_forward_numpy(x, *, size=2, stride=2):
    """x (N, H, W, C) -> (out (N, h, w, C), indices uint8), cache.

    size, stride: of the window, a number or (rows, columns). h, w by `max_pool2d_output_size`. indices: packed
    (N, h, w, ceil(C/4)) for 2x2 with stride 2, else one byte each, (N, h, w, C).
    Raises ShapeError for an empty picture or a window of more than 256 positions.
    """
    size, stride = _check_pool(x, size, stride)
    pooled_size = max_pool2d_output_size(x.shape[1:3], size=size, stride=stride)
    windows = np.stack(list(_taps(_full_windows(x, pooled_size, size, stride, -np.inf), pooled_size, size, stride)))
    position = windows.argmax(0).astype(np.uint8)  # argmax: the first maximum, or the first NaN
    out = np.take_along_axis(windows, position[None], 0)[0]
    indices = pack_indices(position) if is_packed(size, stride) else position
    return (out, indices), (indices, x.shape, size, stride)


def max_pool2d_backward_numpy(dout, cache):
    """dout (N, h, w, C) -> dx (N, H, W, C): all of a window's gradient goes to its maximum."""
    _check_pool_dout(dout, cache)
    indices, x_shape, size, stride = cache
    # forward: out[u, v] = x[where indices says]    so: dx[where indices says] += dout[u, v]
    return _scatter_numpy(dout, _positions(indices, x_shape[3], size, stride), x_shape[1:3], size, stride)


def max_unpool2d_forward_numpy(x, indices, *, output_size, size=2, stride=2):
    """x (N, h, w, C) and the indices of a pooling -> out (N, H, W, C), zero except at the indices; cache.

    output_size: (H, W) that the pooling saw; 2*h is wrong for odd sizes. Raises ShapeError if windows overlap,
    if sizes do not belong together, or if an index points outside the picture.
    """
    size, stride = _check_unpool(x, indices, output_size, size, stride)
    _check_inside(indices, x.shape[3], output_size, size, stride)
    position = _positions(indices, x.shape[3], size, stride)
    out = _scatter_numpy(x, position, output_size, size, stride)
    return out, (indices, x.shape, size, stride)


def max_unpool2d_backward_numpy(dout, cache):
    """dout (N, H, W, C) -> dx (N, h, w, C): the gradient at each index; the zeros in between have none to give."""
    _check_unpool_dout(dout, cache)
    indices, x_shape, size, stride = cache
    position = _positions(indices, x_shape[3], size, stride)
    # forward: out[where indices says] = x[u, v]    so: dx[u, v] = dout[where indices says]
    windows = np.stack(list(_taps(_full_windows(dout, x_shape[1:3], size, stride, 0), x_shape[1:3], size, stride)))
    return np.take_along_axis(windows, position[None].astype(np.intp), 0)[0]


# --- numba -----------------------------------------------------------------------------------------------------------


@kernel
def _max_of_windows(x, out, position, size_y, size_x, stride_y, stride_x):
    N, H, W, C = x.shape
    h, w = out.shape[1:3]
    for task in prange(N * h):
        n, y = task // h, task % h
        for column in range(w):
            top, left = y * stride_y, column * stride_x
            best, where = out[n, y, column], position[n, y, column]
            best[:] = x[n, top, left]
            where[:] = 0
            for i in range(min(size_y, H - top)):
                for j in range(min(size_x, W - left)):
                    k = np.uint8(i * size_x + j)
                    pixel = x[n, top + i, left + j]
                    for c in range(C):
                        # larger, or the first NaN: a NaN is the only number that differs from itself
                        wins = pixel[c] > best[c] or (pixel[c] != pixel[c] and best[c] == best[c])
                        best[c] = pixel[c] if wins else best[c]
                        where[c] = k if wins else where[c]


@kernel
def _scatter(x, position, out, size_y, size_x, stride_y, stride_x):
    """A task owns one row of `out` and looks for the windows that reach it, so that overlapping ones add up."""
    N, H, W, C = out.shape
    h, w = x.shape[1:3]
    for task in prange(N * H):
        n, row = task // H, task % H
        first = max(0, (row - size_y + stride_y) // stride_y)
        out[n, row] = 0
        for y in range(first, min(row // stride_y + 1, h)):
            i = row - y * stride_y
            for column in range(w):
                for j in range(min(size_x, W - column * stride_x)):
                    k, pixel = np.uint8(i * size_x + j), out[n, row, column * stride_x + j]
                    value, where = x[n, y, column], position[n, y, column]
                    for c in range(C):
                        pixel[c] += value[c] if where[c] == k else 0


@kernel
def _gather(dout, position, dx, size_y, size_x, stride_y, stride_x):
    N, h, w, C = dx.shape
    H, W = dout.shape[1:3]
    for task in prange(N * h):
        n, y = task // h, task % h
        for column in range(w):
            value, where = dx[n, y, column], position[n, y, column]
            value[:] = 0
            for i in range(min(size_y, H - y * stride_y)):
                for j in range(min(size_x, W - column * stride_x)):
                    k, pixel = np.uint8(i * size_x + j), dout[n, y * stride_y + i, column * stride_x + j]
                    for c in range(C):
                        value[c] += pixel[c] if where[c] == k else 0


def max_pool2d_forward_numba(x, *, size=2, stride=2):
    """one pass; a task takes a row of windows."""
    size, stride = _check_pool(x, size, stride)
    pooled_size = max_pool2d_output_size(x.shape[1:3], size=size, stride=stride)
    out = empty((len(x), *pooled_size, x.shape[3]), x.dtype)
    indices = empty(indices_shape(out.shape, size, stride), np.uint8)
    if is_packed(size, stride):
        pool_2x2.pool(np.ascontiguousarray(x), out, indices)
    else:
        _max_of_windows(np.ascontiguousarray(x), out, indices, *size, *stride)
    return (out, indices), (indices, x.shape, size, stride)


def _scatter_numba(x, indices, out_shape, size, stride):
    x, indices, out = np.ascontiguousarray(x), np.ascontiguousarray(indices), empty(out_shape, x.dtype)
    if is_packed(size, stride):
        pool_2x2.scatter(x, indices, out)
    else:
        _scatter(x, indices, out, *size, *stride)
    return out


def max_pool2d_backward_numba(dout, cache):
    """a task takes a row of windows, or of the picture where windows may overlap."""
    _check_pool_dout(dout, cache)
    indices, x_shape, size, stride = cache
    return _scatter_numba(dout, indices, x_shape, size, stride)


def max_unpool2d_forward_numba(x, indices, *, output_size, size=2, stride=2):
    """the same kernel as the backward of pooling."""
    size, stride = _check_unpool(x, indices, output_size, size, stride)
    _check_inside(indices, x.shape[3], output_size, size, stride)
    out = _scatter_numba(x, indices, (len(x), *output_size, x.shape[3]), size, stride)
    return out, (indices, x.shape, size, stride)


def max_unpool2d_backward_numba(dout, cache):
    """a task takes a row of windows."""
    _check_unpool_dout(dout, cache)
    indices, x_shape, size, stride = cache
    dx, dout, indices = empty(x_shape, dout.dtype), np.ascontiguousarray(dout), np.ascontiguousarray(indices)
    if is_packed(size, stride):
        pool_2x2.gather(dout, indices, dx)
    else:
        _gather(dout, indices, dx, *size, *stride)
    return dx


max_pool2d_forward = fastest(max_pool2d_forward_numba, max_pool2d_forward_numpy)
max_pool2d_backward = fastest(max_pool2d_backward_numba, max_pool2d_backward_numpy)
max_unpool2d_forward = fastest(max_unpool2d_forward_numba, max_unpool2d_forward_numpy)
max_unpool2d_backward = fastest(max_unpool2d_backward_numba, max_unpool2d_backward_numpy)
