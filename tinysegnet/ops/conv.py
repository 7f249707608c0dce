"""Convolution: every output pixel is a weighted sum of the pixels around it.

    out[n, y, x, f] = bias[f] + sum over i, j, c of  x_padded[n, y*s + i, x*s + j, c] * weight[i, j, c, f]

(as in every deep-learning library the kernel is not flipped: strictly this is a cross-correlation). Read the other way
round, for one kernel tap (i, j): the whole picture, shifted by (i, j), times one C x F matrix. So a K x K convolution
is K*K shifted matrix products, and no matrix of patches, K*K times as large as the picture, is ever built:

    forward:  out     += x_shifted @ weight[i, j]
    so:       dweight[i, j]  = x_shifted^T @ dout           (summed over all pixels of all pictures)
              dx_shifted    += dout @ weight[i, j]^T

SegNet uses it in every stage (Badrinarayanan et al. 2017, section 3), with stride 1 and "same" padding.
"""

from __future__ import annotations

import numpy as np

from ..backend import fastest, kernel, prange
from ..errors import ShapeError
from .arguments import pair, require_dout, require_floats
from .matmul import multiply

__all__ = ["conv2d_backward", "conv2d_forward", "conv2d_output_size"]


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
# In a row of an NHWC picture the K pixels under a kernel row lie side by side: K*C numbers in a line. So the K taps of
# a kernel row are one product with a matrix of K*C rows, `weight[i]`, and a convolution is K products, not K*K.


@kernel
def _convolve_rows(x, weight, bias, out, stride_y, stride_x):
    """out[n, y] = bias + sum_i  x[n, y*s + i] windows @ weight[i]; one task computes one row of the picture."""
    N, H, W, F = out.shape
    K, KC = weight.shape[0], weight.shape[1] * weight.shape[2]
    C, row_length = x.shape[3], x.shape[2] * x.shape[3]
    x_flat, weight_flat, out_flat = x.reshape(-1), weight.reshape(-1), out.reshape(-1)
    for task in prange(N * H):
        n, y = task // H, task % H
        for column in range(W):
            out[n, y, column] = bias
        for i in range(K):
            x_start = (n * x.shape[1] + y * stride_y + i) * row_length
            multiply(x_flat, x_start, stride_x * C, 1, weight_flat, i * KC * F, F,
                     out_flat, task * W * F, F, W, F, KC, True)  # fmt: skip


@kernel
def _weight_gradient(x, dout, dweight, partial, rows_per_task, stride_y, stride_x):
    """dweight[i] = sum over n, y of (x[n, y*s + i] windows)^T @ dout[n, y].

    A task owns some rows of dweight[i] and one chunk of the pictures' rows; the chunks' sums are added in order
    at the end. Tasks and chunks depend on shapes only, so the result does not depend on the number of threads.
    """
    N, H, W, F = dout.shape
    chunks, K, KC = partial.shape[0], dweight.shape[0], dweight.shape[1] * dweight.shape[2]
    C, row_length = x.shape[3], x.shape[2] * x.shape[3]
    x_flat, dout_flat, partial_flat = x.reshape(-1), dout.reshape(-1), partial.reshape(-1)
    tasks = -(-KC // rows_per_task)
    for task in prange(chunks * K * tasks):
        chunk, i, first = task // (K * tasks), task // tasks % K, task % tasks * rows_per_task
        rows = min(rows_per_task, KC - first)
        for row in range(chunk * N * H // chunks, (chunk + 1) * N * H // chunks):
            x_start = (row // H * x.shape[1] + row % H * stride_y + i) * row_length + first
            multiply(x_flat, x_start, 1, stride_x * C, dout_flat, row * W * F, F,
                     partial_flat, ((chunk * K + i) * KC + first) * F, F, rows, F, W, True)  # fmt: skip
    partial_rows, dweight_rows = partial.reshape(chunks, -1), dweight.reshape(-1)
    for k in prange(dweight_rows.size):
        total = partial_rows[0, k]
        for chunk in range(1, chunks):
            total += partial_rows[chunk, k]
        dweight_rows[k] = total


def conv2d_forward_numba(x, weight, bias=None, *, stride=1, padding="same"):
    """register-tiled products straight from the padded picture, one row of the output per task."""
    stride, pads, out_shape = _check(x, weight, bias, stride, padding)
    x_padded, weight = np.ascontiguousarray(_pad(x, pads)), np.ascontiguousarray(weight)
    out = np.empty(out_shape, x.dtype)
    _convolve_rows(x_padded, weight, _vector(bias, weight), out, *stride)
    return out, (x, weight, bias is not None, stride, pads)


def conv2d_backward_numba(dout, cache, *, input_gradient=True):
    """dx is itself a convolution of dout, with the kernel flipped and its channels exchanged."""
    _check_dout(dout, cache)
    x, weight, has_bias, stride, pads = cache
    dout = np.ascontiguousarray(dout)
    dx = _input_gradient(dout, weight, x.shape, stride, pads) if input_gradient else None
    x_padded, dweight = np.ascontiguousarray(_pad(x, pads)), np.empty_like(weight)
    rows = min(48, weight.shape[1] * weight.shape[2])
    tasks = weight.shape[0] * -(-weight.shape[1] * weight.shape[2] // rows)
    chunks = min(-(-16 // tasks), dout.shape[0] * dout.shape[1])
    _weight_gradient(x_padded, dout, dweight, np.zeros((chunks, *weight.shape), x.dtype), rows, *stride)
    return dx, dweight, dout.sum((0, 1, 2)) if has_bias else None


def _input_gradient(dout, weight, x_shape, stride, pads):
    # forward: input pixel p feeds output q through tap i = p + top - q*s
    # so: dx[p] = sum over i of dout[q] @ weight[i]^T with q*s = p + top - i: walk the taps backwards over a dout
    #     whose pixels are spread s apart, with K - 1 - top zeros before them
    spread = dout
    if stride != (1, 1):
        N, H, W, F = dout.shape
        spread = np.zeros((N, (H - 1) * stride[0] + 1, (W - 1) * stride[1] + 1, F), dout.dtype)
        spread[:, :: stride[0], :: stride[1]] = dout
    window = []
    for axis in (0, 1):
        before = weight.shape[axis] - 1 - pads[axis][0]
        window.append((before, x_shape[1 + axis] + weight.shape[axis] - 1 - spread.shape[1 + axis] - before))
    flipped = np.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3))
    dx = np.empty(x_shape, dout.dtype)
    _convolve_rows(_pad_or_crop(spread, window), flipped, _vector(None, flipped), dx, 1, 1)
    return dx


def _pad_or_crop(x, window):
    """Zeros before and after each of the two spatial axes; a negative number cuts that many pixels off."""
    crop = tuple(
        slice(max(-before, 0), n - max(-after, 0)) for (before, after), n in zip(window, x.shape[1:3], strict=True)
    )
    pads = tuple((max(before, 0), max(after, 0)) for before, after in window)
    return np.ascontiguousarray(_pad(x[:, crop[0], crop[1]], pads))


def _vector(bias, weight):
    return np.zeros(weight.shape[3], weight.dtype) if bias is None else np.ascontiguousarray(bias)


conv2d_forward = fastest(conv2d_forward_numba, conv2d_forward_numpy)
conv2d_backward = fastest(conv2d_backward_numba, conv2d_backward_numpy)
