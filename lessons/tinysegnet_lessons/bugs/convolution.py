"""Planted bugs of convolution and of transposed convolution."""

from __future__ import annotations

import numpy as np

from tinysegnet.ops import windows
from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet.ops.conv_transpose import conv_transpose2d_backward_numpy, conv_transpose2d_forward_numpy

from .planted import planted, planted_in_both

__all__: list[str] = []


@planted(2, "conv2d", "dbias_mean", "dbias is the mean of dout over all pixels instead of the sum.",
         hint="a mean where a sum belongs (N*H*W")  # fmt: skip
def _(dout, cache):
    dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
    return dx, dweight, dbias if dbias is None else dout.mean((0, 1, 2))


@planted(3, "conv2d", "dbias_first_sample", "dbias is summed over the first sample only.",
         hint="only the first of 2 samples counts")  # fmt: skip
def _(dout, cache):
    dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
    return dx, dweight, dbias if dbias is None else dout[0].sum((0, 1))


@planted(4, "conv2d", "dx_kernel_flipped", "dx uses the kernel with one rotation by 180 degrees too many.",
         hint="it would be right for weight flipped along axes (0, 1)")  # fmt: skip
def _(dout, cache):
    dx, _, _ = conv2d_backward_numpy(dout, cache._replace(weight=cache.weight[::-1, ::-1]))
    return dx, *conv2d_backward_numpy(dout, cache)[1:]


@planted(5, "conv2d", "dweight_axes_swapped", "dweight has the rows and columns of its kernel swapped.",
         hint="transposed over axes (0, 1)")  # fmt: skip
def _(dout, cache):
    dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
    square = dweight.shape[0] == dweight.shape[1]
    return dx, dweight.swapaxes(0, 1) if square else dweight, dbias


@planted(6, "conv2d", "dweight_last_sample", "dweight is overwritten by each sample instead of summed.",
         hint="only the last of 2 samples counts")  # fmt: skip
def _(dout, cache):
    dx, _, dbias = conv2d_backward_numpy(dout, cache)
    for n in range(len(dout)):
        _, dweight, _ = conv2d_backward_numpy(dout[n : n + 1], cache._replace(x=cache.x[n : n + 1]))
    return dx, dweight, dbias


@planted(7, "conv2d", "dx_assigned", "Each tap assigns its share of dx instead of adding it.")
def _(dout, cache):
    x, weight, _, stride, pads = cache
    dx_padded = np.zeros_like(windows.pad(x, pads))
    for i, j in np.ndindex(weight.shape[:2]):
        windows.shifted(dx_padded, i, j, dout.shape, stride)[...] = dout @ weight[i, j].T
    (top, _), (left, _) = pads
    dx = dx_padded[:, top : top + x.shape[1], left : left + x.shape[2]]
    return dx, *conv2d_backward_numpy(dout, cache)[1:]


@planted(8, "conv2d", "dx_cropped_wrong", "The padding is cropped from the bottom of dx only, so dx moves down.",
         hint="shifted by -1 along axis 1")  # fmt: skip
def _(dout, cache):
    x, _, _, _, pads = cache
    unpadded = cache._replace(x=windows.pad(x, pads), pads=((0, 0), (0, 0)))
    dx_padded, dweight, dbias = conv2d_backward_numpy(dout, unpadded)
    return dx_padded[:, : x.shape[1], pads[1][0] : pads[1][0] + x.shape[2]], dweight, dbias


@planted_in_both(23, "conv2d", "kernel_flipped_in_both",
                 "The kernel is rotated by 180 degrees in forward, and backward matches that forward.")  # fmt: skip
def _():
    def backward(dout, cache):
        dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
        return dx, dweight[::-1, ::-1], dbias

    return lambda x, weight, *bias, **kw: conv2d_forward_numpy(x, weight[::-1, ::-1], *bias, **kw), backward


@planted(27, "conv_transpose2d", "transposed_dx_kernel_flipped",
         "dx of the transposed convolution uses the kernel rotated by 180 degrees.",
         hint="it would be right for weight flipped along axes (0, 1)")  # fmt: skip
def _(dout, cache):
    dx, _, _ = conv_transpose2d_backward_numpy(dout, cache._replace(weight=cache.weight[::-1, ::-1]))
    return dx, *conv_transpose2d_backward_numpy(dout, cache)[1:]


@planted_in_both(28, "conv_transpose2d", "transposed_cropped_wrong",
                 "Forward and backward crop the result to output_size on the wrong side.")  # fmt: skip
def _():
    def forward(x, weight, bias=None, **settings):
        _, cache = conv_transpose2d_forward_numpy(x, weight, bias, **settings)
        cache = cache._replace(pads=tuple((after, before) for before, after in cache.pads))
        x, weight, _, stride, pads, out_shape = cache
        padded = windows.pad(np.zeros(out_shape, x.dtype), pads)
        for i, j in np.ndindex(weight.shape[:2]):
            windows.shifted(padded, i, j, x.shape, stride)[...] += x @ weight[i, j].T
        out = windows.crop(padded, pads, out_shape[1:3])
        return out if bias is None else out + bias, cache

    return forward, conv_transpose2d_backward_numpy
