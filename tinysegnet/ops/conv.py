"""Convolution: every output pixel is a weighted sum of the pixels around it.

    out[n, y, x, f] = bias[f] + sum over i, j, c of  x_padded[n, y*s + i, x*s + j, c] * weight[i, j, c, f]

(as in every deep-learning library the kernel is not flipped: strictly this is a cross-correlation). Read the other way
round, for one kernel tap (i, j): the whole picture, shifted by (i, j), times one C x F matrix. So a K x K convolution
is K*K shifted matrix products, and no matrix of patches, K*K times as large as the picture, is ever built:

    forward:  out     += x_shifted @ weight[i, j]
    so:       dweight[i, j]  = x_shifted^T @ dout           (summed over all pixels of all pictures)
              dx_shifted    += dout @ weight[i, j]^T

SegNet uses it in every stage (Badrinarayanan et al. 2017, section 3), with stride 1 and "same" padding.

The fast version has two ways to compute the same sums, `direct` and `winograd`, and takes for each shape the one that
`plan` expects to be faster.
"""

from __future__ import annotations

import numpy as np

from ..backend import empty, empty_like, fastest, kernel, prange
from ..errors import ShapeError
from . import direct, plan, winograd
from .arguments import pair, require_dout, require_floats

__all__ = ["conv2d_backward", "conv2d_forward", "conv2d_inference", "conv2d_output_size"]


def same_padding(size, kernel, stride):
    """Keras's "same": out = ceil(size / stride); an odd surplus goes to the end. -> (before, after)"""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def resolve_padding(padding, size, kernel, stride):
    """-> ((top, bottom), (left, right)) in pixels, from "same", "valid", an int, or (rows, columns)."""
    if padding == "same":
        return tuple(map(same_padding, size, kernel, stride))
    if isinstance(padding, str) and padding != "valid":
        raise ShapeError(f'conv2d: padding is "same", "valid", a number or (rows, columns), got {padding!r}')
    rows, columns = (0, 0) if padding == "valid" else pair(padding)
    return (rows, rows), (columns, columns)


def conv2d_output_size(size, kernel, *, stride=1, padding="same"):
    """(H, W) of the output for an input of size (H, W)."""
    kernel, stride = pair(kernel), pair(stride)
    if min(stride) < 1:
        raise ShapeError(f"conv2d: stride must be at least 1, got {stride}")
    return _output_size(size, kernel, stride, resolve_padding(padding, size, kernel, stride))


def _output_size(size, kernel, stride, pads):
    return tuple((n + sum(p) - k) // s + 1 for n, p, k, s in zip(size, pads, kernel, stride, strict=True))


def _check(x, weight, bias, stride, padding):
    """-> stride, pads, output shape; a ShapeError says which argument does not fit."""
    if x.ndim != 4 or weight.ndim != 4 or 0 in x.shape or 0 in weight.shape:
        raise ShapeError(f"conv2d needs x (N, H, W, C) and weight (KH, KW, C, F), no axis empty, "
                         f"got {x.shape} and {weight.shape}")  # fmt: skip
    require_floats("conv2d", x=x, weight=weight, bias=bias)
    if x.shape[3] != weight.shape[2]:
        raise ShapeError(f"conv2d: x has {x.shape[3]} channels but weight {weight.shape} expects {weight.shape[2]}")
    if bias is not None and bias.shape != weight.shape[3:]:
        raise ShapeError(f"conv2d: bias must have shape {weight.shape[3:]}, got {bias.shape}")
    height, width = conv2d_output_size(x.shape[1:3], weight.shape[:2], stride=stride, padding=padding)
    stride = pair(stride)
    pads = resolve_padding(padding, x.shape[1:3], weight.shape[:2], stride)
    if height < 1 or width < 1:
        raise ShapeError(f"conv2d: kernel {weight.shape[:2]} with stride {stride} does not fit input {x.shape[1:3]}")
    return stride, pads, (x.shape[0], height, width, weight.shape[3])


def _check_dout(dout, cache):
    x, weight, _, stride, pads = cache
    out_size = _output_size(x.shape[1:3], weight.shape[:2], stride, pads)
    require_dout("conv2d", dout, (len(x), *out_size, weight.shape[3]), x.dtype)


def _pad(x, pads):
    return np.pad(x, ((0, 0), *pads, (0, 0))) if np.any(pads) else x


def _shifted(x_padded, i, j, out_shape, stride):
    """The input pixel that tap (i, j) reads for every output pixel: a view."""
    _, H, W, _ = out_shape
    return x_padded[:, i : i + (H - 1) * stride[0] + 1 : stride[0], j : j + (W - 1) * stride[1] + 1 : stride[1]]


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def conv2d_forward_numpy(x, weight, bias=None, *, stride=1, padding="same"):
    """Convolve x (N, H, W, C) with weight (KH, KW, C, F) and add bias (F,): -> out (N, H', W', F), cache.

    stride: pixels between outputs, one number or (rows, columns). padding: zeros around the picture: "same"
    (H' = ceil(H / stride), an odd surplus at the end), "valid" (none), a number, or (rows, columns).
    Raises ShapeError if shapes do not fit or the kernel is larger than the padded picture.
    """
    stride, pads, out_shape = _check(x, weight, bias, stride, padding)
    x_padded = _pad(x, pads)
    out = np.zeros(out_shape, x.dtype)
    for i, j in np.ndindex(weight.shape[:2]):
        out += _shifted(x_padded, i, j, out_shape, stride) @ weight[i, j]
    if bias is not None:
        out += bias
    return out, (x, weight, bias is not None, stride, pads)


def conv2d_backward_numpy(dout, cache, *, input_gradient=True):
    """dout (N, H', W', F) -> dx (N, H, W, C), dweight (KH, KW, C, F), dbias (F,) or None for an absent bias.

    input_gradient=False leaves dx out (None): the first layer of a network does not need it.
    """
    _check_dout(dout, cache)
    x, weight, has_bias, stride, pads = cache
    x_padded = _pad(x, pads)
    dx_padded, dweight = np.zeros_like(x_padded), np.empty_like(weight)
    for i, j in np.ndindex(weight.shape[:2]):
        # forward: out += x_shifted @ w     so: dw = x_shifted^T @ dout     and: dx_shifted += dout @ w^T
        dweight[i, j] = np.tensordot(_shifted(x_padded, i, j, dout.shape, stride), dout, axes=([0, 1, 2], [0, 1, 2]))
        if input_gradient:
            _shifted(dx_padded, i, j, dout.shape, stride)[...] += dout @ weight[i, j].T
    (top, _), (left, _) = pads
    dx = dx_padded[:, top : top + x.shape[1], left : left + x.shape[2]].copy() if input_gradient else None
    return dx, dweight, dout.sum((0, 1, 2)) if has_bias else None


# --- numba -----------------------------------------------------------------------------------------------------------

WAYS = {"direct": direct, "winograd": winograd}


@kernel
def _turn(weight, turned):
    """turned[K-1-i, K-1-j, f, c] = weight[i, j, c, f]; a task writes 16 rows, so that cache lines are used whole."""
    KH, KW, C, F = weight.shape
    panels = (F + 15) // 16
    for task in prange(KH * KW * panels):
        i, j, first = task // (KW * panels), task // panels % KW, task % panels * 16
        for c in range(C):
            for f in range(first, min(first + 16, F)):
                turned[KH - 1 - i, KW - 1 - j, f, c] = weight[i, j, c, f]


@kernel
def _sum_rows(x, sums):
    """Sums over each row of each picture, (N * H, C): added in order afterwards, whatever the number of threads."""
    N, H, W, C = x.shape
    for row in prange(N * H):
        total, pixels = sums[row], x[row // H, row % H]
        total[:] = 0
        for column in range(W):
            for c in range(C):
                total[c] += pixels[column, c]


def _forward(x, weight, bias, stride, padding, way, relu=False):
    """way: its name, or None for the one that `plan` chooses."""
    stride, pads, out_shape = _check(x, weight, bias, stride, padding)
    x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    out = empty(out_shape, x.dtype)
    _require(way, weight.shape, stride)
    chosen = WAYS[way or plan.choose_convolution(weight.shape, stride, out_shape)]
    chosen.forward(x, weight, _vector(bias, weight), out, stride, pads, relu)
    return out, (x, weight, bias is not None, stride, pads)


def _backward(dout, cache, input_gradient, way):
    _check_dout(dout, cache)
    x, weight, has_bias, stride, pads = cache
    _require(way, weight.shape, stride)
    dout, dweight = np.ascontiguousarray(dout), empty_like(weight)
    dx = _input_gradient(dout, weight, x.shape, stride, pads, way) if input_gradient else None
    chosen = WAYS[way or plan.choose_weight_gradient(weight.shape, stride, dout.shape)]
    chosen.weight_gradient(x, dout, dweight, stride, pads)
    return dx, dweight, _sum(dout) if has_bias else None


def _input_gradient(dout, weight, x_shape, stride, pads, way):
    """dx is itself a convolution of dout, with the kernel turned by 180 degrees and its channels exchanged."""
    # forward: input pixel p feeds output q through tap i = p + top - q*s
    # so: dx[p] = sum over i of dout[q] @ weight[i]^T with q*s = p + top - i: walk the taps backwards over a dout
    #     whose pixels are spread s apart, with K - 1 - top zeros before them
    spread = _spread(dout, stride)
    around = []
    for n, between, K, (before, _) in zip(x_shape[1:3], spread.shape[1:3], weight.shape, pads, strict=False):
        zeros = K - 1 - before
        around.append((zeros, n + K - 1 - between - zeros))
    KH, KW, C, F = weight.shape
    turned, dx = empty((KH, KW, F, C), weight.dtype), empty(x_shape, dout.dtype)
    _turn(weight, turned)
    chosen = WAYS[way or plan.choose_convolution(turned.shape, (1, 1), x_shape)]
    chosen.forward(spread, turned, _vector(None, turned), dx, (1, 1), tuple(around), False)
    return dx


def _spread(dout, stride):
    """The pixels of dout, `stride` apart, zeros between them."""
    if stride == (1, 1):
        return dout
    N, H, W, F = dout.shape
    spread = np.zeros((N, (H - 1) * stride[0] + 1, (W - 1) * stride[1] + 1, F), dout.dtype)
    spread[:, :: stride[0], :: stride[1]] = dout
    return spread


def _sum(dout):
    """Over all pixels of all pictures: (F,)."""
    rows = empty((dout.shape[0] * dout.shape[1], dout.shape[3]), dout.dtype)
    _sum_rows(dout, rows)
    return rows.sum(0)


def _vector(bias, weight):
    return np.zeros(weight.shape[3], weight.dtype) if bias is None else np.ascontiguousarray(bias)


def _require(way, weight_shape, stride):
    if way == "winograd" and not winograd.serves(weight_shape, stride):
        raise ShapeError(f"conv2d: Winograd's way needs a square kernel of 3x3 or more and stride 1, "
                         f"got {weight_shape[:2]} and {stride}")  # fmt: skip


def conv2d_forward_numba(x, weight, bias=None, *, stride=1, padding="same"):
    """by the way that `plan` expects to be fastest for the shape."""
    return _forward(x, weight, bias, stride, padding, None)


def conv2d_backward_numba(dout, cache, *, input_gradient=True):
    """dx and dweight each by the way that `plan` expects to be fastest."""
    return _backward(dout, cache, input_gradient, None)


def conv2d_forward_direct(x, weight, bias=None, *, stride=1, padding="same"):
    """As conv2d_forward_numba, by K*K products straight from the picture (`direct`)."""
    return _forward(x, weight, bias, stride, padding, "direct")


def conv2d_backward_direct(dout, cache, *, input_gradient=True):
    """As conv2d_backward_numba, by `direct`."""
    return _backward(dout, cache, input_gradient, "direct")


def conv2d_forward_winograd(x, weight, bias=None, *, stride=1, padding="same"):
    """As conv2d_forward_numba, by `winograd`; ShapeError for a kernel or stride that it cannot do."""
    return _forward(x, weight, bias, stride, padding, "winograd")


def conv2d_backward_winograd(dout, cache, *, input_gradient=True):
    """As conv2d_backward_numba, by `winograd`."""
    return _backward(dout, cache, input_gradient, "winograd")


def conv2d_inference_numpy(x, weight, bias=None, *, scale=None, stride=1, padding="same", relu=False):
    """out of `conv2d_forward` with weight * scale, through a ReLU if wanted, and no cache: for networks in use.

    scale: (F,), None for 1.
    """
    weight = weight if scale is None else weight * scale
    out, _ = conv2d_forward_numpy(x, weight, bias, stride=stride, padding=padding)
    return np.where(out <= 0, 0, out) if relu else out


@kernel
def _scale_features(weight, scale, scaled):
    rows, F = weight.shape
    for row in prange(rows):
        for f in range(F):
            scaled[row, f] = weight[row, f] * scale[f]


def conv2d_inference_numba(x, weight, bias=None, *, scale=None, stride=1, padding="same", relu=False):
    """ReLU while the pixels are in the cache."""
    if scale is not None:
        scaled, F = empty_like(weight), weight.shape[3]
        _scale_features(np.ascontiguousarray(weight).reshape(-1, F), np.ascontiguousarray(scale), scaled.reshape(-1, F))
        weight = scaled
    return _forward(x, weight, bias, stride, padding, None, relu)[0]


conv2d_inference = fastest(conv2d_inference_numba, conv2d_inference_numpy)
conv2d_forward = fastest(conv2d_forward_numba, conv2d_forward_numpy)
conv2d_backward = fastest(conv2d_backward_numba, conv2d_backward_numpy)
