"""Transposed convolution: learned upsampling, which runs a convolution from its output to its input.

A convolution from F to C channels with the same weight reads the pixels (u*s + i, v*s + j) for its output pixel (u, v).
In the transposed convolution, pixel (u, v) of the input writes to these pixels: it adds a scaled copy of the kernel to
the output. The copies are s pixels apart and add up where they overlap.

    out_padded[n, u*s + i, v*s + j, f]  +=  sum over c of  x[n, u, v, c] * weight[i, j, f, c]        out += bias

For the whole picture and one kernel tap (i, j), where `shifted` stands for the pixels that this tap reads:

    forward:  out_shifted  += x @ weight[i, j]^T
    so:       dx           += dout_shifted @ weight[i, j]        a convolution of dout
              dweight[i, j] = dout_shifted^T @ x                 that convolution's weight gradient: its input is dout,
                                                                 its output's gradient is x

If A is the matrix of a convolution, this op is A^T: <A u, x> = <u, A^T x>. So the forward of this op is conv2d's input
gradient, and its gradients are conv2d's forward and weight gradient, which the fast variant calls. The op is not the
inverse of the convolution, because A^T A u is not u. Caffe's name "deconvolution" is a misnomer.

A convolution with stride s maps s different sizes to the same size H, so `output_size` selects one of them. FCN-Basic,
a decoder that the SegNet paper compares with its own (table 1), upsamples this way.
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from . import conv
from .array_checks import check_dout, pair
from .op import Op, Variant
from .windows import check_kernel, conv2d_output_size, crop, pad, place, shifted

# stride and pads belong to the convolution whose transpose this is
ConvTranspose2dCache = namedtuple("ConvTranspose2dCache", "x weight has_bias stride pads out_shape")


def conv_transpose2d_output_size(size, kernel, *, stride=1, padding="same", output_size=None):
    """Return (H, W) of the output for an input of `size`.

    Args:
        size: (H, W) of the input.
        kernel: (KH, KW), or one number.
        stride, padding: those of the convolution.
        output_size: the size that the convolution maps to `size`. The default is the largest possible size, H * stride,
            for padding "same", and the smallest, (H - 1) * stride + K - 2 * padding, for other paddings.

    Raises:
        ShapeError: if output_size does not fit. The message lists the allowed sizes.
    """
    size, kernel = pair(size), pair(kernel)
    stride, pads, _ = place("conv_transpose2d", size, kernel, stride, padding)
    if padding == "same":
        least = [(n - 1) * s + 1 for n, s in zip(size, stride, strict=True)]
        usual = [n * s for n, s in zip(size, stride, strict=True)]
    else:
        usual = least = [(n - 1) * s + k - sum(p) for n, s, k, p in zip(size, stride, kernel, pads, strict=True)]
    wanted = tuple(usual) if output_size is None else pair(output_size)
    if min(wanted) < 1 or conv2d_output_size(wanted, kernel, stride=stride, padding=padding) != size:
        rows, columns = (_list_sizes(n, n + s - 1) for n, s in zip(least, stride, strict=True))
        raise ShapeError(f"conv_transpose2d: output_size is {wanted}, but input size {size}, kernel {kernel}, stride "
                         f"{stride} and padding {padding!r} allow {rows} rows and {columns} columns")  # fmt: skip
    return wanted


def _list_sizes(least, most):
    least = max(least, 1)
    return str(most) if least == most else f"{least}..{most}" if least < most else "no"


def _check(x, weight, bias, stride, padding, output_size):
    """Return stride, pads and output shape. Raise ShapeError if an argument does not fit."""
    check_kernel("conv_transpose2d", "KH KW F C", x, weight, bias)
    settings = {"stride": stride, "padding": padding, "output_size": output_size}
    size = conv_transpose2d_output_size(x.shape[1:3], weight.shape[:2], **settings)
    stride, pads, _ = place("conv_transpose2d", size, weight.shape[:2], stride, padding)
    return stride, pads, (len(x), *size, weight.shape[2])


def conv_transpose2d_forward_numpy(x, weight, bias=None, *, stride=1, padding="same", output_size=None):
    """Upsample pictures with the transpose of a convolution, and add a bias.

    Args:
        x: the pictures, (N, H, W, C).
        weight: the kernel of the convolution from F to C channels, (KH, KW, F, C).
        bias: the bias, (F,), or None.
        stride, padding: those of the convolution, as for `conv2d_forward`.
        output_size: (rows, columns) that the convolution maps to (H, W), or None for the default of
            `conv_transpose2d_output_size`.

    Returns:
        out (N, *output_size, F), and the cache.
    """
    stride, pads, out_shape = _check(x, weight, bias, stride, padding, output_size)
    out_padded = pad(np.zeros(out_shape, x.dtype), pads)
    for i, j in np.ndindex(weight.shape[:2]):
        shifted(out_padded, i, j, x.shape, stride)[...] += x @ weight[i, j].T
    out = crop(out_padded, pads, out_shape[1:3])
    if bias is not None:
        out += bias
    return out, ConvTranspose2dCache(x, weight, bias is not None, stride, pads, out_shape)


def conv_transpose2d_backward_numpy(dout, cache, *, input_gradient=True):
    """Return dx (N, H, W, C), dweight (KH, KW, F, C) and dbias (F,), or None without a bias.

    dout has the shape (N, *output_size, F). With input_gradient=False, dx is None.
    """
    x, weight, has_bias, stride, pads, out_shape = cache
    check_dout("conv_transpose2d", dout, out_shape, x.dtype)
    dout_padded = pad(dout, pads)
    dx, dweight = np.zeros(x.shape, x.dtype) if input_gradient else None, np.empty_like(weight)
    for i, j in np.ndindex(weight.shape[:2]):
        dout_shifted = shifted(dout_padded, i, j, x.shape, stride)
        # forward: out_shifted += x @ w^T     so: dw = dout_shifted^T @ x     and: dx += dout_shifted @ w
        dweight[i, j] = np.tensordot(dout_shifted, x, axes=([0, 1, 2], [0, 1, 2]))
        if input_gradient:
            dx += dout_shifted @ weight[i, j]
    return dx, dweight, dout.sum((0, 1, 2)) if has_bias else None


# --- numba -----------------------------------------------------------------------------------------------------------


def conv_transpose2d_forward_numba(x, weight, bias=None, *, stride=1, padding="same", output_size=None):
    """Call conv2d's input gradient with the algorithm that the cost model expects to be fastest."""
    stride, pads, out_shape = _check(x, weight, bias, stride, padding, output_size)
    x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    out = conv.convolve_transposed(x, weight, out_shape, stride, pads, bias=bias)
    return out, ConvTranspose2dCache(x, weight, bias is not None, stride, pads, out_shape)


def conv_transpose2d_backward_numba(dout, cache, *, input_gradient=True):
    """Call conv2d's forward and weight gradient, each with the algorithm that the cost model expects to be fastest."""
    x, weight, has_bias, stride, pads, out_shape = cache
    check_dout("conv_transpose2d", dout, out_shape, x.dtype)
    dx = conv.convolve(dout, weight, None, x.shape, stride, pads) if input_gradient else None
    dweight = conv.weight_gradient(dout, x, weight, stride, pads)
    return dx, dweight, conv.sum_pixels(dout) if has_bias else None


CONV_TRANSPOSE2D = Op("conv_transpose2d", cache=ConvTranspose2dCache, differentiable=("x", "weight", "bias"),
                      numpy=Variant(conv_transpose2d_forward_numpy, conv_transpose2d_backward_numpy),
                      numba=Variant(conv_transpose2d_forward_numba, conv_transpose2d_backward_numba))  # fmt: skip
conv_transpose2d_forward, conv_transpose2d_backward = CONV_TRANSPOSE2D.forward, CONV_TRANSPOSE2D.backward
