"""Convolution: every output pixel is a weighted sum of the pixels around it.

    out[n, u, v, f] = bias[f] + sum over i, j, c of  x_padded[n, u*s + i, v*s + j, c] * weight[i, j, c, f]

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

from ..errors import ShapeError
from ..runtime import empty, empty_like, fastest, kernel, prange
from .engine import cost_model, direct, winograd
from .windows import crop, pad, place_checked, require_kernel, require_windows_dout, shifted, spread_out

__all__ = ["bias_or_zeros", "conv2d_backward", "conv2d_forward", "conv2d_inference", "convolve", "input_gradient",
           "sum_pixels", "weight_gradient"]  # fmt: skip


def _check(x, weight, bias, stride, padding):
    """-> stride, pads, output shape; a ShapeError says which argument does not fit."""
    require_kernel("conv2d", "KH KW C F", x, weight, bias)
    return place_checked("conv2d", x, weight, stride, padding)


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def conv2d_forward_numpy(x, weight, bias=None, *, stride=1, padding="same"):
    """Convolve x (N, H, W, C) with weight (KH, KW, C, F) and add bias (F,): -> out (N, H', W', F), cache.

    stride: pixels between outputs, one number or (rows, columns). padding: zeros around the picture: "same"
    (H' = ceil(H / stride), an odd surplus at the end), "valid" (none), a number, or (rows, columns).
    Raises ShapeError if shapes do not fit or the kernel is larger than the padded picture.
    """
    stride, pads, out_shape = _check(x, weight, bias, stride, padding)
    x_padded = pad(x, pads)
    out = np.zeros(out_shape, x.dtype)
    for i, j in np.ndindex(weight.shape[:2]):
        out += shifted(x_padded, i, j, out_shape, stride) @ weight[i, j]
    if bias is not None:
        out += bias
    return out, (x, weight, bias is not None, stride, pads)


def conv2d_backward_numpy(dout, cache, *, input_gradient=True):
    """dout (N, H', W', F) -> dx (N, H, W, C), dweight (KH, KW, C, F), dbias (F,) or None for an absent bias.

    input_gradient=False leaves dx out (None): the first layer of a network does not need it.
    """
    require_windows_dout("conv2d", dout, cache)
    x, weight, has_bias, stride, pads = cache
    x_padded = pad(x, pads)
    dx_padded, dweight = np.zeros_like(x_padded), np.empty_like(weight)
    for i, j in np.ndindex(weight.shape[:2]):
        # forward: out += x_shifted @ w     so: dw = x_shifted^T @ dout     and: dx_shifted += dout @ w^T
        dweight[i, j] = np.tensordot(shifted(x_padded, i, j, dout.shape, stride), dout, axes=([0, 1, 2], [0, 1, 2]))
        if input_gradient:
            shifted(dx_padded, i, j, dout.shape, stride)[...] += dout @ weight[i, j].T
    dx = crop(dx_padded, pads, x.shape[1:3]) if input_gradient else None
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


def convolve(x, weight, bias, out_shape, stride, pads, *, relu=False, way=None):
    """-> out, where shapes are known to fit. way: its name, or None for the one that `plan` chooses."""
    x, weight, out = np.ascontiguousarray(x), np.ascontiguousarray(weight), empty(out_shape, x.dtype)
    chosen = WAYS[way or cost_model.choose_convolution(weight.shape, stride, out_shape)]
    chosen.forward(x, weight, bias_or_zeros(bias, weight.shape[3], x.dtype), out, stride, pads, relu)
    return out


def input_gradient(dout, weight, x_shape, stride, pads, *, bias=None, relu=False, way=None):
    """dx is itself a convolution of dout, with the kernel turned by 180 degrees and its channels exchanged.

    bias, relu: for a transposed convolution, which is this and nothing else.
    """
    KH, KW, C, F = weight.shape
    spread, around = spread_out(dout, (KH, KW), x_shape, stride, pads)
    turned = empty((KH, KW, F, C), weight.dtype)
    _turn(weight, turned)
    return convolve(spread, turned, bias, x_shape, (1, 1), around, relu=relu, way=way)


def weight_gradient(x, dout, weight, stride, pads, *, way=None):
    """-> dweight. x, dout: contiguous."""
    dweight = empty_like(weight)
    chosen = WAYS[way or cost_model.choose_weight_gradient(weight.shape, stride, dout.shape)]
    chosen.weight_gradient(x, dout, dweight, stride, pads)
    return dweight


def sum_pixels(dout):
    """Over all pixels of all pictures: (F,)."""
    rows = empty((dout.shape[0] * dout.shape[1], dout.shape[3]), dout.dtype)
    _sum_rows(dout, rows)
    return rows.sum(0)


def bias_or_zeros(bias, features, dtype):
    """What the kernels begin their sums with: (F,). A copy: for a read-only bias numba would compile them once more."""
    return np.zeros(features, dtype) if bias is None else bias.copy()


def _forward(x, weight, bias, stride, padding, way, relu=False):
    stride, pads, out_shape = _check(x, weight, bias, stride, padding)
    x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    _require(way, weight.shape, stride)
    out = convolve(x, weight, bias, out_shape, stride, pads, relu=relu, way=way)
    return out, (x, weight, bias is not None, stride, pads)


def _backward(dout, cache, wants_dx, way):
    require_windows_dout("conv2d", dout, cache)
    x, weight, has_bias, stride, pads = cache
    _require(way, weight.shape, stride)
    dout = np.ascontiguousarray(dout)
    dx = input_gradient(dout, weight, x.shape, stride, pads, way=way) if wants_dx else None
    dweight = weight_gradient(x, dout, weight, stride, pads, way=way)
    return dx, dweight, sum_pixels(dout) if has_bias else None


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
