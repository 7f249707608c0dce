"""The positions of a kernel's windows on a picture, for all convolutions.

Along each axis, output pixel q reads K pixels, starting at q*s - before. There are `before` zeros before the picture
and `after` zeros after it, so

    output size = floor((size + before + after - K) / s) + 1

Through one tap i, all output pixels together read the picture shifted by i (`shifted`). Conversely, output pixel q
reads input pixel p through tap i = p + before - q*s. So dx is the convolution of the rotated kernel with dout, whose
pixels are placed s apart (`spread_out`).
"""

from functools import lru_cache

import numpy as np

from ..errors import ShapeError
from .array_checks import check_dout, check_floats, pair


def same_padding(size, kernel, stride):
    """Return (before, after) for Keras's "same": out = ceil(size / stride), with any extra zero at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def resolve_padding(op, padding, size, kernel, stride):
    """Return ((top, bottom), (left, right)) in pixels for "same", "valid", an int, or (rows, columns)."""
    if padding == "same":
        return tuple(map(same_padding, size, kernel, stride))
    if isinstance(padding, str) and padding != "valid":
        raise ShapeError(f'{op}: padding must be "same", "valid", a number or (rows, columns), got {padding!r}')
    rows, columns = (0, 0) if padding == "valid" else pair(padding)
    if min(rows, columns) < 0:
        raise ShapeError(f"{op}: padding must not be negative, got {padding}")
    return (rows, rows), (columns, columns)


def place(op, size, kernel, stride, padding):
    """Return stride, pads and the output size, which is below 1 if the kernel does not fit."""
    kernel, stride = pair(kernel), pair(stride)
    if min(stride) < 1:
        raise ShapeError(f"{op}: stride must be at least 1, got {stride}")
    pads = resolve_padding(op, padding, size, kernel, stride)
    return stride, pads, _output_size(size, kernel, stride, pads)


def _output_size(size, kernel, stride, pads):
    return tuple((n + sum(p) - k) // s + 1 for n, p, k, s in zip(size, pads, kernel, stride, strict=True))


def conv2d_output_size(size, kernel, *, stride=1, padding="same"):
    """Return (H', W') of the output for an input of size (H, W)."""
    return place("conv2d", size, kernel, stride, padding)[2]


def check_kernel(op, layout, x, weight, bias):
    """Raise ShapeError unless x (N, H, W, C), weight and bias fit together.

    layout: the names of weight's axes, such as "KH KW C F". A layout without F has as many features as channels.
    """
    _check_shapes(op, layout, x.shape, weight.shape, bias if bias is None else bias.shape)
    check_floats(op, x=x, weight=weight, bias=bias)


def _check_shapes(op, layout, x, weight, bias):
    axes = layout.split()
    if len(x) != 4 or len(weight) != 4 or 0 in x or 0 in weight:
        raise ShapeError(f"{op} needs x (N, H, W, C) and weight ({', '.join(axes)}) with no empty axis, "
                         f"got {x} and {weight}")  # fmt: skip
    channels, features = weight[axes.index("C")], weight[axes.index("F" if "F" in axes else "C")]
    if x[3] != channels:
        raise ShapeError(f"{op}: x has {x[3]} channels but weight {weight} expects {channels}")
    if bias is not None and bias != (features,):
        raise ShapeError(f"{op}: bias must have shape {(features,)}, got {bias}")
    if "1" in axes and weight[axes.index("1")] != 1:
        raise ShapeError(f"{op}: weight must be ({', '.join(axes)}) with one kernel per channel, got {weight}")


def check_convolution(op, layout, x, weight, bias, stride, padding):
    """Return stride, pads and output shape. Raise ShapeError if arguments do not fit or the kernel exceeds x."""
    check_floats(op, x=x, weight=weight, bias=bias)
    padding = padding if isinstance(padding, str | int) else pair(padding)
    return _fit(op, layout, x.shape, weight.shape, bias if bias is None else bias.shape, pair(stride), padding)


@lru_cache(1024)  # checks take longer than launching a kernel
def _fit(op, layout, x, weight, bias, stride, padding):
    """Check shapes as `check_convolution` does, and return the same."""
    _check_shapes(op, layout, x, weight, bias)
    stride, pads, (height, width) = place(op, x[1:3], weight[:2], stride, padding)
    if height < 1 or width < 1:
        raise ShapeError(f"{op}: kernel {weight[:2]} does not fit input {x[1:3]} with padding {padding!r}")
    return stride, pads, (x[0], height, width, weight[3])


def check_convolution_dout(op, dout, cache):
    """Raise ShapeError unless dout belongs to the forward that returned the cache."""
    x, weight, _, stride, pads = cache
    out_size = _output_size(x.shape[1:3], weight.shape[:2], stride, pads)
    check_dout(op, dout, (len(x), *out_size, weight.shape[3]), x.dtype)


def pad(x, pads, value=0):
    """Return x with zeros, or another value, around each picture."""
    return np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value) if np.any(pads) else x


def crop(x_padded, pads, size):
    """Return a copy of the picture inside the zeros."""
    (top, _), (left, _) = pads
    return x_padded[:, top : top + size[0], left : left + size[1]].copy()


def shifted(x_padded, i, j, out_shape, stride):
    """Return a view of the input pixels that tap (i, j) reads, one per output pixel."""
    _, H, W, _ = out_shape
    return x_padded[:, i : i + (H - 1) * stride[0] + 1 : stride[0], j : j + (W - 1) * stride[1] + 1 : stride[1]]


def spread_out(dout, kernel, x_shape, stride, pads):
    """Return dout with its pixels `stride` apart, and the number of zeros around it.

    The convolution of this array with the rotated kernel and stride 1 is dx.
    """
    # forward: input pixel p feeds output q through tap i = p + before - q*s
    # so: dx[p] = sum over i of dout[q] @ weight[i]^T with q*s = p + before - i. This is the convolution of the
    #     rotated kernel with a dout whose pixels are s apart, after K - 1 - before zeros.
    N, H, W, F = dout.shape
    spread = dout
    if stride != (1, 1):
        spread = np.zeros((N, (H - 1) * stride[0] + 1, (W - 1) * stride[1] + 1, F), dout.dtype)
        spread[:, :: stride[0], :: stride[1]] = dout
    around = []
    for n, between, K, (before, _) in zip(x_shape[1:3], spread.shape[1:3], kernel, pads, strict=True):
        zeros = K - 1 - before
        around.append((zeros, n + K - 1 - between - zeros))
    return spread, tuple(around)
