"""Max-pooling, which records the position of each maximum, and unpooling, which puts values back there.

    pool:    out[u, v] = max of the window at (u*s, v*s);   indices[u, v] = its position
    unpool:  out is zero except  out[position indices[u, v]] = x[u, v]

The two ops mirror each other: the backward of pooling scatters like unpooling, and the backward of unpooling gathers
like pooling. This is SegNet's signature idea: the decoder upsamples with the encoder's indices (section 3, figure 3).

Windows follow the ceil mode of Caffe and PyTorch. The last windows may extend past the picture and are clipped, so 45
rows become 23, but no window starts outside the picture. The first maximum in reading order wins a tie, and the first
NaN wins over all numbers. Indices are positions in the full window, packed into two bits for 2x2 with stride 2.
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from ..runtime import empty
from .array_checks import check_dout, check_floats, check_pictures, pair
from .engine import pool_2x2
from .indices import indices_shape, is_packed, pack_indices, unpack_indices
from .op import Op, Variant
from .windows import crop, pad, shifted

# picture_shape: (N, H, W, C) of the pooled picture, which is pooling's x and unpooling's out
PoolCache = namedtuple("PoolCache", "indices picture_shape size stride")


def max_pool2d_output_size(input_size, *, size=2, stride=2):
    """Return (h, w) after pooling a picture of (H, W) in ceil mode: (23, 30) for (45, 60)."""
    size, stride = pair(size), pair(stride)
    if min(size) < 1 or min(stride) < 1:
        raise ShapeError(f"max_pool2d: size and stride must be at least 1, got {size} and {stride}")

    def along(n, window, step):
        windows = max(-(-(n - window) // step) + 1, 1)  # rounded up, so no pixel is lost if step <= window
        return windows - 1 if (windows - 1) * step >= n else windows  # the last window starts inside

    return tuple(map(along, input_size, size, stride))


def max_pool2d_forward_numpy(x, *, size=2, stride=2):
    """Return the maximum of each window and its position.

    Args:
        x: (N, H, W, C).
        size, stride: the size of the windows and the distance between them, each a number or (rows, columns).

    Returns:
        The tuple (out (N, h, w, C), indices), and the cache. `max_pool2d_output_size` returns h and w. The indices are
        uint8: packed, (N, h, w, ceil(C/4)), for 2x2 with stride 2, else one byte each, (N, h, w, C).
    """
    size, stride, pooled_shape = _check_pool(x, size, stride)
    windows = _windows(x, pooled_shape, size, stride, -np.inf)
    position = windows.argmax(0).astype(np.uint8)  # argmax: the first maximum, or the first NaN
    out = np.take_along_axis(windows, position[None], 0)[0]
    indices = pack_indices(position) if is_packed(size, stride) else position
    return (out, indices), PoolCache(indices, x.shape, size, stride)


def max_pool2d_backward_numpy(dout, cache):
    """Return dx (N, H, W, C) for dout (N, h, w, C). The gradient of a window goes to its maximum."""
    _check_dout("max_pool2d", dout, (*cache.indices.shape[:3], cache.picture_shape[3]))
    # forward: out[u, v] = x[position]    so: dx[position] += dout[u, v]
    return _scatter_numpy(dout, *cache)


def max_unpool2d_forward_numpy(x, indices, *, output_size, size=2, stride=2):
    """Put each value at the position of its maximum, and zeros elsewhere.

    Args:
        x: (N, h, w, C).
        indices: the indices that a pooling returned.
        output_size: (H, W) of the picture that was pooled; an odd H is not 2 * h.
        size, stride: those of the pooling.

    Returns:
        out (N, H, W, C), and the cache.

    Raises:
        ShapeError: if windows overlap, if the shapes do not fit together, or if an index points outside the picture.
    """
    cache = _check_unpool(x, indices, output_size, size, stride)
    return _scatter_numpy(x, *cache), cache


def max_unpool2d_backward_numpy(dout, cache):
    """Return dx (N, h, w, C), the values of dout (N, H, W, C) at the indices."""
    _check_dout("max_unpool2d", dout, cache.picture_shape)
    indices, picture_shape, size, stride = cache
    position = _positions(indices, picture_shape[3], size, stride)
    # forward: out[position] = x[u, v]    so: dx[u, v] = dout[position]
    return np.take_along_axis(_windows(dout, position.shape, size, stride, 0), position[None], 0)[0]


def _overhang(picture_shape, pooled_shape, size, stride):
    """Return how far the last windows extend past the picture, in the format of `pad` and `crop`."""
    axes = zip(picture_shape[1:3], pooled_shape[1:3], size, stride, strict=True)
    return tuple((0, max((windows - 1) * step + window - n, 0)) for n, windows, window, step in axes)


def _windows(x, pooled_shape, size, stride, outside):
    """Return all windows of x, (positions, N, h, w, C), with the value `outside` beyond the picture."""
    padded = pad(x, _overhang(x.shape, pooled_shape, size, stride), outside)
    return np.stack([shifted(padded, i, j, pooled_shape, stride) for i, j in np.ndindex(*size)])


def _scatter_numpy(x, indices, picture_shape, size, stride):
    """Add each x[n, u, v, c] to the pixel of its window at its index."""
    overhang, position = _overhang(picture_shape, x.shape, size, stride), _positions(indices, x.shape[3], size, stride)
    padded = pad(np.zeros(picture_shape, x.dtype), overhang)
    for k, (i, j) in enumerate(np.ndindex(*size)):
        shifted(padded, i, j, x.shape, stride)[...] += np.where(position == k, x, 0)
    return crop(padded, overhang, picture_shape[1:3])


def _positions(indices, num_channels, size, stride):
    return unpack_indices(indices, num_channels) if is_packed(size, stride) else indices


# --- arguments -------------------------------------------------------------------------------------------------------


def _check_dout(op, dout, shape):
    """Raise ShapeError unless dout has this shape. Its dtype may differ from that of x, which is not in the cache."""
    check_dout(op, dout, shape, dout.dtype)
    check_floats(op, dout=dout)


def _check_pool(x, size, stride):
    """Return size and stride as pairs, and the shape of out."""
    size, stride = pair(size), pair(stride)
    check_pictures("max_pool2d", x)
    if size[0] * size[1] > 256:
        raise ShapeError(f"max_pool2d: a window of {size} has more than 256 positions, which do not fit in a byte")
    N, H, W, C = x.shape
    return size, stride, (N, *max_pool2d_output_size((H, W), size=size, stride=stride), C)


def _check_unpool(x, indices, output_size, size, stride):
    """Return the cache."""
    size, stride = pair(size), pair(stride)
    if stride[0] < size[0] or stride[1] < size[1]:
        raise ShapeError(f"max_unpool2d: windows of {size} with stride {stride} overlap, "
                         "so two maxima could be at the same pixel")  # fmt: skip
    h, w = max_pool2d_output_size(output_size, size=size, stride=stride)
    check_pictures("max_unpool2d", x)
    if x.shape[1:3] != (h, w):
        raise ShapeError(f"max_unpool2d to {tuple(output_size)} needs x of shape (N, {h}, {w}, C), got {x.shape}")
    if indices.dtype != np.uint8:
        raise ShapeError(f"max_unpool2d: indices must be uint8, as max_pool2d returns them, got {indices.dtype}")
    if indices.shape != indices_shape(x.shape, size, stride):
        raise ShapeError(f"max_unpool2d: indices {indices.shape} do not belong to x {x.shape}")
    cache = PoolCache(indices, (len(x), *output_size, x.shape[3]), size, stride)
    _check_inside(*cache)
    return cache


def _check_inside(indices, picture_shape, size, stride):
    """Raise ShapeError for an index in the clipped part of a window, which would write outside the array."""
    _, H, W, C = picture_shape
    # the rows and columns of the last windows that are inside the picture
    rows, columns = H - (indices.shape[1] - 1) * stride[0], W - (indices.shape[2] - 1) * stride[1]
    bottom, right = rows < size[0], columns < size[1]  # whether windows are clipped there
    if ((bottom and np.any(_positions(indices[:, -1:], C, size, stride) >= rows * size[1]))
            or (right and np.any(_positions(indices[:, :, -1:], C, size, stride) % size[1] >= columns))):  # fmt: skip
        raise ShapeError(f"max_unpool2d: an index points outside the picture of {(H, W)}, "
                         "so the indices come from a picture of another size")  # fmt: skip
    if not is_packed(size, stride) and indices.max() >= size[0] * size[1]:
        raise ShapeError(f"max_unpool2d: index {indices.max()} exceeds a window of {size[0] * size[1]} positions")


# --- numba -----------------------------------------------------------------------------------------------------------
# The kernels are for 2x2 windows with stride 2, the only ones in the library's networks. Others use the definitions.


def max_pool2d_forward_numba(x, *, size=2, stride=2):
    """Pool in one pass over memory. A task processes one row of windows."""
    size, stride, pooled_shape = _check_pool(x, size, stride)
    if not is_packed(size, stride):
        return max_pool2d_forward_numpy(x, size=size, stride=stride)
    out, indices = empty(pooled_shape, x.dtype), empty(indices_shape(pooled_shape, size, stride), np.uint8)
    pool_2x2.pool(np.ascontiguousarray(x), out, indices)
    return (out, indices), PoolCache(indices, x.shape, size, stride)


def max_pool2d_backward_numba(dout, cache):
    """Scatter dout. A task processes one row of windows."""
    _check_dout("max_pool2d", dout, (*cache.indices.shape[:3], cache.picture_shape[3]))
    return _scatter_numba(dout, *cache)


def max_unpool2d_forward_numba(x, indices, *, output_size, size=2, stride=2):
    """Scatter x with the kernel of pooling's backward."""
    cache = _check_unpool(x, indices, output_size, size, stride)
    return _scatter_numba(x, *cache), cache


def max_unpool2d_backward_numba(dout, cache):
    """Gather dx. A task processes one row of windows."""
    indices, picture_shape, size, stride = cache
    if not is_packed(size, stride):
        return max_unpool2d_backward_numpy(dout, cache)
    _check_dout("max_unpool2d", dout, picture_shape)
    dx = empty((*indices.shape[:3], picture_shape[3]), dout.dtype)
    pool_2x2.gather(np.ascontiguousarray(dout), np.ascontiguousarray(indices), dx)
    return dx


def _scatter_numba(x, indices, picture_shape, size, stride):
    if not is_packed(size, stride):
        return _scatter_numpy(x, indices, picture_shape, size, stride)
    out = empty(picture_shape, x.dtype)
    pool_2x2.scatter(np.ascontiguousarray(x), np.ascontiguousarray(indices), out)
    return out


MAX_POOL2D = Op("max_pool2d", cache=PoolCache, differentiable=("x",),
                numpy=Variant(max_pool2d_forward_numpy, max_pool2d_backward_numpy),
                numba=Variant(max_pool2d_forward_numba, max_pool2d_backward_numba))  # fmt: skip
max_pool2d_forward, max_pool2d_backward = MAX_POOL2D.forward, MAX_POOL2D.backward
MAX_UNPOOL2D = Op("max_unpool2d", cache=PoolCache, differentiable=("x",),
                  numpy=Variant(max_unpool2d_forward_numpy, max_unpool2d_backward_numpy),
                  numba=Variant(max_unpool2d_forward_numba, max_unpool2d_backward_numba))  # fmt: skip
max_unpool2d_forward, max_unpool2d_backward = MAX_UNPOOL2D.forward, MAX_UNPOOL2D.backward
