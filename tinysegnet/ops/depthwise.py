"""Depthwise convolution: each channel is convolved with its own kernel, independently of the other channels.

    out[n, u, v, c] = bias[c] + sum over i, j of  x_padded[n, u*s + i, v*s + j, c] * weight[i, j, 0, c]

This is conv2d with diagonal C x F matrices. A channel has one weight per kernel tap instead of F, so the op has 1/F of
the weights and multiplications. For one kernel tap:

    forward:  out     += x_shifted * weight[i, j]
    so:       dweight[i, j]  = sum of x_shifted * dout          (over all pixels of all pictures)
              dx_shifted    += dout * weight[i, j]

SegNet-Basic-SingleChannelDecoder uses it in its decoder (Badrinarayanan et al. 2017, section 3.1).
"""

import numpy as np

from ..runtime import JIT, empty, kernel, prange
from . import conv
from .engine import direct
from .op import Op, Variant
from .windows import check_convolution, check_convolution_dout, crop, pad, shifted, spread_out

LAYOUT = "KH KW 1 C"


def depthwise_conv2d_forward_numpy(x, weight, bias=None, *, stride=1, padding="same"):
    """Convolve each channel of pictures with its own kernel, and add a bias.

    Args:
        x: the pictures, (N, H, W, C).
        weight: the kernels, (KH, KW, 1, C).
        bias: the bias, (C,), or None.
        stride, padding: as for `conv2d_forward`.

    Returns:
        out (N, H', W', C), and the cache.
    """
    stride, pads, out_shape = check_convolution("depthwise_conv2d", LAYOUT, x, weight, bias, stride, padding)
    x_padded = pad(x, pads)
    out = np.zeros(out_shape, x.dtype)
    for i, j in np.ndindex(weight.shape[:2]):
        out += shifted(x_padded, i, j, out_shape, stride) * weight[i, j, 0]
    if bias is not None:
        out += bias
    return out, conv.Conv2dCache(x, weight, bias is not None, stride, pads)


def depthwise_conv2d_backward_numpy(dout, cache, *, input_gradient=True):
    """Return dx (N, H, W, C), dweight (KH, KW, 1, C) and dbias (C,), or None without a bias, for dout (N, H', W', C).

    With input_gradient=False, dx is None.
    """
    check_convolution_dout("depthwise_conv2d", dout, cache)
    x, weight, has_bias, stride, pads = cache
    x_padded = pad(x, pads)
    dx_padded, dweight = np.zeros_like(x_padded), np.empty_like(weight)
    for i, j in np.ndindex(weight.shape[:2]):
        # forward: out += x_shifted * w     so: dw = sum of x_shifted * dout     and: dx_shifted += dout * w
        dweight[i, j, 0] = (shifted(x_padded, i, j, dout.shape, stride) * dout).sum((0, 1, 2))
        if input_gradient:
            shifted(dx_padded, i, j, dout.shape, stride)[...] += dout * weight[i, j, 0]
    dx = crop(dx_padded, pads, x.shape[1:3]) if input_gradient else None
    return dx, dweight, dout.sum((0, 1, 2)) if has_bias else None


# --- numba -----------------------------------------------------------------------------------------------------------
# Both kernels add products within each channel, for one vector of channels at a time, with the sums in registers:
#     forward:  row r is an output pixel, a contains the windows, b the weights
#     dweight:  row r is a kernel tap, a contains the pixels under it, b contains dout
# A block of pixels stays in the processor's cache while all taps read it.

BLOCK = 32  # pixels
CHUNKS = 32  # chunks of rows, whose sums are added in a fixed order for any number of threads


def add_products_numpy(a, a_start, a_row, a_step, b, b_start, b_step, out, out_start, out_row, rows, inner, channels):
    """Add sum_k a[r, k, c] * b[k, c] to out[r, c]. All three are windows into flat arrays, as in `engine/gemm.py`."""
    window, size = np.lib.stride_tricks.as_strided, a.itemsize
    pixels = window(a[a_start:], (rows, inner, channels), (a_row * size, a_step * size, size))
    factors = window(b[b_start:], (inner, channels), (b_step * size, size))
    window(out[out_start:], (rows, channels), (out_row * size, size))[...] += (pixels * factors).sum(1)


if JIT:
    from .engine.gemm_microkernel import CHANNEL_ROWS as ROWS
    from .engine.gemm_microkernel import channel_tile
    from .engine.simd import lanes

    @kernel(inline=True)
    def add_products(a, a_start, a_row, a_step, b, b_start, b_step, out, out_start, out_row, rows, inner, channels):
        """Do the same as `add_products_numpy` for at most ROWS rows."""
        for c in range(0, channels, lanes(out)):
            channel_tile(a, a_start + c, a_row, a_step, 0, b, b_start + c, b_step,
                         out, out_start + c, out_row, rows, channels - c, 1, inner, True)  # fmt: skip

else:
    ROWS, add_products = BLOCK, add_products_numpy


@kernel
def _convolve_rows(x, weight, bias, out, stride_y, stride_x):
    """Convolve the padded x. A task computes one row of out."""
    N, H, W, C = out.shape
    KH, KW = weight.shape[:2]
    x_flat, weight_flat, out_flat = x.reshape(-1), weight.reshape(-1), out.reshape(-1)
    for task in prange(N * H):
        n, y = task // H, task % H
        for column in range(W):
            for c in range(C):
                out[n, y, column, c] = bias[c]
        for first in range(0, W, ROWS):
            for i in range(KH):
                x_start = ((n * x.shape[1] + y * stride_y + i) * x.shape[2] + first * stride_x) * C
                add_products(x_flat, x_start, stride_x * C, C, weight_flat, i * KW * C, C,
                             out_flat, (task * W + first) * C, C, min(ROWS, W - first), KW, C)  # fmt: skip


@kernel
def _weight_gradient(x, dout, sums, stride_y, stride_x):
    """Set sums[chunk, i, j] to the sum of x[n, y*s + i, x*s + j] * dout[n, y, x] over a chunk of rows (n, y)."""
    N, H, W, C = dout.shape
    chunks, KH, KW = sums.shape[:3]
    x_flat, dout_flat, sums_flat = x.reshape(-1), dout.reshape(-1), sums.reshape(-1)
    for chunk in prange(chunks):
        sums[chunk] = 0
        for row in range(chunk * N * H // chunks, (chunk + 1) * N * H // chunks):
            for first in range(0, W, BLOCK):
                for i in range(KH):
                    x_row = row // H * x.shape[1] + row % H * stride_y + i
                    for j in range(0, KW, ROWS):
                        add_products(x_flat, (x_row * x.shape[2] + first * stride_x + j) * C, C, stride_x * C,
                                     dout_flat, (row * W + first) * C, C, sums_flat, ((chunk * KH + i) * KW + j) * C, C,
                                     min(ROWS, KW - j), min(BLOCK, W - first), C)  # fmt: skip


def _convolve(x, weight, bias, out_shape, stride, pads):
    out, bias = empty(out_shape, x.dtype), conv.bias_or_zeros(bias, out_shape[3], x.dtype)
    _convolve_rows(direct.padded(x, pads), weight.copy(), bias, out, *stride)  # see bias_or_zeros for the copy
    return out


def depthwise_conv2d_forward_numba(x, weight, bias=None, *, stride=1, padding="same"):
    """Convolve; a task computes one row of out."""
    stride, pads, out_shape = check_convolution("depthwise_conv2d", LAYOUT, x, weight, bias, stride, padding)
    x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    out = _convolve(x, weight, bias, out_shape, stride, pads)
    return out, conv.Conv2dCache(x, weight, bias is not None, stride, pads)


def depthwise_conv2d_backward_numba(dout, cache, *, input_gradient=True):
    """Compute dx with the forward's kernel, and sum dweight in chunks of rows."""
    check_convolution_dout("depthwise_conv2d", dout, cache)
    x, weight, has_bias, stride, pads = cache
    dout, dx = np.ascontiguousarray(dout), None
    if input_gradient:  # a depthwise convolution of dout with the kernel rotated by 180 degrees
        spread, around = spread_out(dout, weight.shape[:2], x.shape, stride, pads)
        dx = _convolve(spread, weight[::-1, ::-1], None, x.shape, (1, 1), around)
    sums = empty((min(CHUNKS, dout.shape[0] * dout.shape[1]), *weight.shape), x.dtype)
    _weight_gradient(direct.padded(x, pads), dout, sums, *stride)
    return dx, sums.sum(0), conv.sum_pixels(dout) if has_bias else None


DEPTHWISE_CONV2D = Op("depthwise_conv2d", cache=conv.Conv2dCache, differentiable=("x", "weight", "bias"),
                      numpy=Variant(depthwise_conv2d_forward_numpy, depthwise_conv2d_backward_numpy),
                      numba=Variant(depthwise_conv2d_forward_numba, depthwise_conv2d_backward_numba))  # fmt: skip
depthwise_conv2d_forward, depthwise_conv2d_backward = DEPTHWISE_CONV2D.forward, DEPTHWISE_CONV2D.backward
