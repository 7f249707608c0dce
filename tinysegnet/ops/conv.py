"""Convolution: every output pixel is a weighted sum of the pixels around it.

    out[n, u, v, f] = bias[f] + sum over i, j, c of  x_padded[n, u*s + i, v*s + j, c] * weight[i, j, c, f]

As in every deep-learning library, the kernel is not flipped, so strictly this is a cross-correlation. For one kernel
tap (i, j), the sum over c multiplies the whole picture, shifted by (i, j), by one C x F matrix. So a K x K convolution
is K*K shifted matrix products, without a matrix of patches, which would be K*K times as large as the picture:

    forward:  out     += x_shifted @ weight[i, j]
    so:       dweight[i, j]  = x_shifted^T @ dout           (summed over all pixels of all pictures)
              dx_shifted    += dout @ weight[i, j]^T

SegNet uses convolution in every stage (Badrinarayanan et al. 2017, section 3), with stride 1 and "same" padding.

The fast variant has four algorithms for the same sums, one in `engine/direct.py` and three in `engine/winograd.py`. For
each shape, it uses the algorithm that `engine/cost_model.py` expects to be fastest.
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from ..runtime import empty, kernel, prange
from .array_checks import check_floats
from .engine import cost_model, direct, kept_weights, winograd
from .op import Op, Variant, public_function
from .windows import check_convolution, check_convolution_dout, crop, pad, shifted, spread_out

LAYOUT = "KH KW C F"
FEATURES = 16  # per task of _rotate_kernel

# pads: the number of zeros on each side of x, ((top, bottom), (left, right))
Conv2dCache = namedtuple("Conv2dCache", "x weight has_bias stride pads")


def conv2d_forward_numpy(x, weight, bias=None, *, stride=1, padding="same"):
    """Convolve pictures with a kernel, and add a bias.

    Args:
        x: the pictures, (N, H, W, C).
        weight: the kernel, (KH, KW, C, F).
        bias: the bias, (F,), or None.
        stride: the distance between windows in pixels, one number or (rows, columns).
        padding: the zeros around the picture: "same" (H' = ceil(H / stride), with any extra zero at the end), "valid"
            (no zeros), a number of pixels, or (rows, columns).

    Returns:
        out (N, H', W', F), and the cache.
    """
    stride, pads, out_shape = check_convolution("conv2d", LAYOUT, x, weight, bias, stride, padding)
    x_padded = pad(x, pads)
    out = np.zeros(out_shape, x.dtype)
    for i, j in np.ndindex(weight.shape[:2]):
        out += shifted(x_padded, i, j, out_shape, stride) @ weight[i, j]
    if bias is not None:
        out += bias
    return out, Conv2dCache(x, weight, bias is not None, stride, pads)


def conv2d_backward_numpy(dout, cache, *, input_gradient=True):
    """Return dx (N, H, W, C), dweight (KH, KW, C, F) and dbias (F,), or None without a bias, for dout (N, H', W', F).

    With input_gradient=False, dx is None: the first layer of a network does not need it.
    """
    check_convolution_dout("conv2d", dout, cache)
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


def check_scale(weight, scale):
    """Raise ShapeError unless scale has one value per output channel of weight, or is None."""
    check_floats("conv2d_inference", weight=weight, scale=scale)
    if scale is not None and scale.shape != weight.shape[3:]:
        raise ShapeError(f"conv2d_inference: scale must have shape {weight.shape[3:]}, got {scale.shape}")


def conv2d_inference_numpy(x, weight, bias=None, *, scale=None, stride=1, padding="same", relu=False):
    """Convolve for inference, optionally with a scale and a ReLU, and return out without a cache.

    Args:
        scale: a factor for each output channel of the kernel, such as that of batch normalisation, (F,), or None.
        relu: whether to apply ReLU to the result.
    """
    check_scale(weight, scale)
    weight = weight if scale is None else weight * scale
    out, _ = conv2d_forward_numpy(x, weight, bias, stride=stride, padding=padding)
    return np.where(out <= 0, 0, out) if relu else out


# --- numba -----------------------------------------------------------------------------------------------------------


@kernel
def _rotate_kernel(weight, rotated):
    """Set rotated[K-1-i, K-1-j, f, c] = weight[i, j, c, f]. A task writes FEATURES rows, that is, whole cache lines."""
    KH, KW, C, F = weight.shape
    panels = (F + FEATURES - 1) // FEATURES
    for task in prange(KH * KW * panels):
        i, j, first = task // (KW * panels), task // panels % KW, task % panels * FEATURES
        for c in range(C):
            for f in range(first, min(first + FEATURES, F)):
                rotated[KH - 1 - i, KW - 1 - j, f, c] = weight[i, j, c, f]


@kernel
def _sum_rows(x, sums):
    """Sum each row of each picture into sums (N * H, C). The caller adds the rows in a fixed order."""
    N, H, W, C = x.shape
    for row in prange(N * H):
        total, pixels = sums[row], x[row // H, row % H]
        total[:] = 0
        for column in range(W):
            for c in range(C):
                total[c] += pixels[column, c]


def convolve(x, weight, bias, out_shape, stride, pads, *, name=None):
    """Convolve arrays whose shapes are known to fit. name: the algorithm, or None to let the cost model choose one."""
    x, weight, out = np.ascontiguousarray(x), np.ascontiguousarray(weight), empty(out_shape, x.dtype)
    bias = bias_or_zeros(bias, weight.shape[3], x.dtype)
    name = name or cost_model.choose_convolution(weight.shape, stride, out_shape)
    if name == "direct":
        direct.forward(x, weight, bias, out, stride, pads, False)
    else:
        winograd.forward(name, x, weight, bias, out, pads, False)
    return out


def convolve_transposed(dout, weight, x_shape, stride, pads, *, bias=None, name=None):
    """Compute dx, the convolution of dout with the kernel rotated by 180 degrees and its channel axes swapped.

    This is also the forward of a transposed convolution, which has a bias. name: as for `convolve`.
    """
    KH, KW, C, F = weight.shape
    spread, around = spread_out(dout, (KH, KW), x_shape, stride, pads)
    rotated = empty((KH, KW, F, C), weight.dtype)
    _rotate_kernel(np.ascontiguousarray(weight), rotated)
    return convolve(spread, rotated, bias, x_shape, (1, 1), around, name=name)


def weight_gradient(x, dout, weight, stride, pads, *, name=None):
    """Compute dweight. name: as for `convolve`."""
    x, dout, dweight = np.ascontiguousarray(x), np.ascontiguousarray(dout), empty(weight.shape, weight.dtype)
    name = name or cost_model.choose_weight_gradient(weight.shape, stride, dout.shape)
    if name == "direct":
        direct.weight_gradient(x, dout, dweight, stride, pads)
    else:
        winograd.weight_gradient(name, x, dout, dweight, pads)
    return dweight


def sum_pixels(dout):
    """Return the sum of dout over all pixels of all pictures, (F,)."""
    rows = empty((dout.shape[0] * dout.shape[1], dout.shape[3]), dout.dtype)
    _sum_rows(np.ascontiguousarray(dout), rows)
    return rows.sum(0)


def bias_or_zeros(bias, features, dtype):
    """Return a copy of the bias, or zeros, (F,). With a read-only bias, numba would compile the kernels again."""
    return np.zeros(features, dtype) if bias is None else bias.copy()


def _resolve_name(name, weight_shape, stride):
    """Return the first algorithm for this kernel whose name begins with "winograd" or "winograd_f6", else the name."""
    if name is None or not name.startswith("winograd"):
        return name
    found = [algorithm for algorithm in winograd.algorithms_for(weight_shape, stride) if algorithm.startswith(name)]
    if not found:
        raise ShapeError(f"conv2d: Winograd's algorithms need a square kernel of at least 3x3 (F6: exactly 3x3) and "
                         f"stride 1, got kernel {weight_shape[:2]} and stride {stride}")  # fmt: skip
    return found[0]


def _forward(x, weight, bias, stride, padding, name):
    stride, pads, out_shape = check_convolution("conv2d", LAYOUT, x, weight, bias, stride, padding)
    name = _resolve_name(name, weight.shape, stride)
    x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    out = convolve(x, weight, bias, out_shape, stride, pads, name=name)
    return out, Conv2dCache(x, weight, bias is not None, stride, pads)


def _by(name):
    """Return forward and backward for the named algorithm, or for the cost model's choice if the name is None."""

    def forward(x, weight, bias=None, *, stride=1, padding="same"):
        """Convolve with one of the engine's algorithms. Winograd's raise ShapeError for unsupported shapes."""
        return _forward(x, weight, bias, stride, padding, name)

    def backward(dout, cache, *, input_gradient=True):
        """Compute dx and dweight, each with one of the engine's algorithms."""
        check_convolution_dout("conv2d", dout, cache)
        x, weight, has_bias, stride, pads = cache
        resolved, dx = _resolve_name(name, weight.shape, stride), None
        if input_gradient:
            dx = convolve_transposed(dout, weight, x.shape, stride, pads, name=resolved)
        dweight = weight_gradient(x, dout, weight, stride, pads, name=resolved)
        return dx, dweight, sum_pixels(dout) if has_bias else None

    return Variant(forward, backward)


conv2d_forward_numba, conv2d_backward_numba = _by(None)
conv2d_forward_direct, conv2d_backward_direct = _by("direct")
conv2d_forward_winograd, conv2d_backward_winograd = _by("winograd")
conv2d_forward_winograd_f6, conv2d_backward_winograd_f6 = _by("winograd_f6")


def conv2d_inference_numba(x, weight, bias=None, *, scale=None, stride=1, padding="same", relu=False):
    """Convolve for inference. ReLU is applied while the pixels are in the processor's cache."""
    return _inference(x, weight, bias, scale, stride, padding, relu)


def _inference(x, weight, bias, scale, stride, padding, relu, name=None):
    check_scale(weight, scale)
    stride, pads, out_shape = check_convolution("conv2d", LAYOUT, x, weight, bias, stride, padding)
    name = name and _resolve_name(name, weight.shape, stride)
    name = name or cost_model.choose_convolution(weight.shape, stride, out_shape, inference=True)
    x, bias, out = np.ascontiguousarray(x), bias_or_zeros(bias, weight.shape[3], x.dtype), empty(out_shape, x.dtype)
    if name == "direct":
        direct.forward(x, kept_weights.scaled(weight, scale), bias, out, stride, pads, relu)
    else:
        winograd.forward(name, x, weight, bias, out, pads, relu, U=kept_weights.transformed(name, weight, scale))
    return out


CONV2D = Op("conv2d", cache=Conv2dCache, differentiable=("x", "weight", "bias"),
            numpy=Variant(conv2d_forward_numpy, conv2d_backward_numpy),
            numba=Variant(conv2d_forward_numba, conv2d_backward_numba),
            direct=Variant(conv2d_forward_direct, conv2d_backward_direct),
            winograd=Variant(conv2d_forward_winograd, conv2d_backward_winograd),
            winograd_f6=Variant(conv2d_forward_winograd_f6, conv2d_backward_winograd_f6))  # fmt: skip
conv2d_forward, conv2d_backward = CONV2D.forward, CONV2D.backward
conv2d_inference = public_function("conv2d_inference", numpy=conv2d_inference_numpy, numba=conv2d_inference_numba)
