"""Planted bugs: 26 that real libraries have had, and two of transposed convolution: who catches which.

A bug is a small wrong variant of the real NumPy op. The checker sees only forward and backward of the variant; the
comparison is with PyTorch's frozen answers (tests/golden), so it works without PyTorch.

     #  planted bug                                            checker   comparison
     1  loss gradient not divided by the count                    x          x
     2  bias gradient: mean instead of sum                        x          x
     3  bias gradient from the first sample only                  x          x
     4  dx with the kernel flipped                                x          x
     5  dweight with its two kernel axes swapped                  x          x
     6  dweight overwritten sample by sample, not added up        x          x
     7  dx: taps assign instead of adding                         x          x
     8  padding of dx cropped from the wrong side                 x          x
     9  batch norm drops the mean term                            x          x
    10  batch norm drops the variance term                        x          x
    11  batch norm: backward divides the variance by m - 1        x          x
    12  batch norm: gamma missing in dx                           x          x
    13  ReLU masks by the sign of dout                            x          x
    14  a pool's tie: every maximum gets the gradient             -          x
    15  flat indices with a wrong row stride                      x          x
    16  unpool's backward reads a fixed corner                    x          x
    17  overlapping pool gradients overwritten, not added         x          x
    18  void pixels get a gradient                                x          x
    19  void pixels counted in the gradient's divisor             x          x
    20  class weight forgotten in the gradient                    x          x
    21  the cache is shared: a second forward replaces it         x          -
    22  backward writes to dout                                   x          -
    23  kernel flipped, in forward and backward alike             -          x
    24  batch norm's variance divided by m - 1, in both           -          x
    25  "weights" divides by the count, in both                   -          x
    26  ReLU's slope at 0 is 1                                    -          x
    27  transposed: dx with the kernel flipped                    x          x
    28  transposed: output_size cropped from the wrong side       -          x

The checker alone: 22. It proves that backward belongs to forward, so it cannot see 23-25 and 28, where both are wrong
together, and it cannot judge 14 and 26, where no slope exists. The comparison misses 21 and 22: it calls forward and
backward once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import golden_values
import numpy as np
import pytest

from tinysegnet import ops
from tinysegnet.gradcheck import check_op
from tinysegnet.ops import windows
from tinysegnet.ops.activation import relu_backward_numpy, relu_forward_numpy
from tinysegnet.ops.batchnorm import batchnorm2d_backward_numpy, batchnorm2d_forward_numpy
from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet.ops.conv_transpose import conv_transpose2d_backward_numpy, conv_transpose2d_forward_numpy
from tinysegnet.ops.loss import softmax_cross_entropy_backward_numpy, softmax_cross_entropy_forward_numpy
from tinysegnet.ops.pool import (
    max_pool2d_backward_numpy,
    max_pool2d_forward_numpy,
    max_unpool2d_backward_numpy,
    max_unpool2d_forward_numpy,
)


class Bug(NamedTuple):
    number: int
    op: str
    forward: Callable
    backward: Callable
    checker: bool = True
    comparison: bool = True
    hint: str | None = None  # what the checker's report says about it


BUGS: list[Bug] = []
LOSS = "softmax_cross_entropy"
REAL = {"conv2d": (conv2d_forward_numpy, conv2d_backward_numpy),
        "conv_transpose2d": (conv_transpose2d_forward_numpy, conv_transpose2d_backward_numpy),
        "max_pool2d": (max_pool2d_forward_numpy, max_pool2d_backward_numpy),
        "max_unpool2d": (max_unpool2d_forward_numpy, max_unpool2d_backward_numpy),
        "batchnorm2d": (batchnorm2d_forward_numpy, batchnorm2d_backward_numpy),
        "relu": (relu_forward_numpy, relu_backward_numpy),
        LOSS: (softmax_cross_entropy_forward_numpy, softmax_cross_entropy_backward_numpy)}  # fmt: skip


def planted(number: int, op: str, **expected) -> Callable:
    """The function below is the wrong backward of bug `number`."""

    def register(backward: Callable) -> Callable:
        BUGS.append(Bug(number, op, REAL[op][0], backward, **expected))
        return backward

    return register


def planted_in_both(number: int, op: str, **expected) -> Callable:
    """The function below returns the wrong (forward, backward)."""

    def register(pair: Callable) -> Callable:
        BUGS.append(Bug(number, op, *pair(), **expected))
        return pair

    return register


# --- loss and convolution ---------------------------------------------------------------------------------------------


@planted(1, LOSS, hint="forgot to divide by N*H*W")
def _(dloss, cache):
    return softmax_cross_entropy_backward_numpy(dloss, cache) * cache[3]


@planted(2, "conv2d", hint="a mean where a sum belongs (N*H*W")
def _(dout, cache):
    dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
    return dx, dweight, dbias if dbias is None else dout.mean((0, 1, 2))


@planted(3, "conv2d", hint="only the first of 2 samples counts")
def _(dout, cache):
    dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
    return dx, dweight, dbias if dbias is None else dout[0].sum((0, 1))


@planted(4, "conv2d", hint="it would be right for weight flipped along axes (0, 1)")
def _(dout, cache):
    x, weight, *rest = cache
    dx, _, _ = conv2d_backward_numpy(dout, (x, weight[::-1, ::-1], *rest))
    return dx, *conv2d_backward_numpy(dout, cache)[1:]


@planted(5, "conv2d", hint="transposed over axes (0, 1)")
def _(dout, cache):
    dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
    square = dweight.shape[0] == dweight.shape[1]
    return dx, dweight.swapaxes(0, 1) if square else dweight, dbias


@planted(6, "conv2d", hint="only the last of 2 samples counts")
def _(dout, cache):
    x, *rest = cache
    dx, _, dbias = conv2d_backward_numpy(dout, cache)
    for n in range(len(x)):
        _, dweight, _ = conv2d_backward_numpy(dout[n : n + 1], (x[n : n + 1], *rest))
    return dx, dweight, dbias


@planted(7, "conv2d")
def _(dout, cache):
    x, weight, _, stride, pads = cache
    dx_padded = np.zeros_like(windows.pad(x, pads))
    for i, j in np.ndindex(weight.shape[:2]):
        windows.shifted(dx_padded, i, j, dout.shape, stride)[...] = dout @ weight[i, j].T
    (top, _), (left, _) = pads
    dx = dx_padded[:, top : top + x.shape[1], left : left + x.shape[2]]
    return dx, *conv2d_backward_numpy(dout, cache)[1:]


@planted(8, "conv2d", hint="shifted by -1 along axis 1")
def _(dout, cache):
    x, weight, bias, stride, pads = cache
    unpadded = (np.pad(x, ((0, 0), *pads, (0, 0))), weight, bias, stride, ((0, 0), (0, 0)))
    dx_padded, dweight, dbias = conv2d_backward_numpy(dout, unpadded)
    return dx_padded[:, : x.shape[1], pads[1][0] : pads[1][0] + x.shape[2]], dweight, dbias


# --- batch norm and activations ---------------------------------------------------------------------------------------


def _batchnorm_without(terms: str) -> Callable:
    def backward(dout, cache):
        x, gamma, _, mean, inv_std, from_batch = cache
        dx, dgamma, dbeta = batchnorm2d_backward_numpy(dout, cache)
        if from_batch:
            m, x_hat = x.size // x.shape[3], (x - mean) * inv_std
            through_mean, through_variance = dbeta / m, x_hat * dgamma / m
            kept = ("mean" not in terms) * through_mean + ("variance" not in terms) * through_variance
            dx = gamma * inv_std * (dout - kept)
        return dx, dgamma, dbeta

    return backward


planted(9, "batchnorm2d", hint="the one that comes through the mean?")(_batchnorm_without("mean"))
planted(10, "batchnorm2d", hint="the term through the variance is missing?")(_batchnorm_without("variance"))
planted(10, "batchnorm2d", hint="the terms through mean and variance are")(_batchnorm_without("mean, variance"))


@planted(11, "batchnorm2d")
def _(dout, cache):
    x, gamma, beta, mean, inv_std, from_batch = cache
    m = x.size // x.shape[3]
    wrong = inv_std * np.sqrt((m - 1) / m if from_batch else 1)
    return batchnorm2d_backward_numpy(dout, (x, gamma, beta, mean, wrong, from_batch))


@planted(12, "batchnorm2d", hint="gamma is missing")
def _(dout, cache):
    x, gamma, *rest = cache
    return batchnorm2d_backward_numpy(dout, (x, np.ones_like(gamma), *rest))


@planted(13, "relu")
def _(dout, cache):
    return np.where(dout > 0, dout, 0)


# --- pooling ----------------------------------------------------------------------------------------------------------


@planted_in_both(14, "max_pool2d", checker=False)
def _():
    def forward(x, **window):
        (out, indices), cache = max_pool2d_forward_numpy(x, **window)
        return (out, indices), (x, out, cache)

    def backward(dout, cache):
        x, out, (_, x_shape, size, stride) = cache
        dx = np.zeros(x_shape)
        for n, y, column, c in np.ndindex(dout.shape):
            rows = slice(y * stride[0], y * stride[0] + size[0])
            columns = slice(column * stride[1], column * stride[1] + size[1])
            dx[n, rows, columns, c] += dout[n, y, column, c] * (x[n, rows, columns, c] == out[n, y, column, c])
        return dx

    return forward, backward


@planted(15, "max_pool2d")
def _(dout, cache):
    indices, (N, H, W, C), size, stride = cache
    flat = ops.flat_plane_indices(indices, C, (H, 2 * dout.shape[2]), size=size, stride=stride)  # true W: W
    dx = np.zeros((N, H * W, C))
    n, c = np.arange(N)[:, None, None, None], np.arange(C)
    np.add.at(dx, (n, flat % (H * W), c), dout)
    return dx.reshape(N, H, W, C)


@planted(16, "max_unpool2d")
def _(dout, cache):
    indices, x_shape, size, stride = cache
    return max_unpool2d_backward_numpy(dout, (np.zeros_like(indices), x_shape, size, stride))


@planted(17, "max_pool2d")
def _(dout, cache):
    indices, (N, H, W, C), size, stride = cache
    flat = ops.flat_plane_indices(indices, C, (H, W), size=size, stride=stride)
    dx = np.zeros((N, H * W, C))
    dx[np.arange(N)[:, None, None, None], flat, np.arange(C)] = dout
    return dx.reshape(N, H, W, C)


# --- void, weights, caches --------------------------------------------------------------------------------------------


@planted(18, LOSS, hint="must get")
def _(dloss, cache):
    logits, classes, weights, divisor = cache
    return softmax_cross_entropy_backward_numpy(dloss, (logits, np.maximum(classes, 0), weights, divisor))


@planted(19, LOSS, hint="numeric = ")
def _(dloss, cache):
    logits, classes, weights, divisor = cache
    wrong = divisor * classes.size / (classes >= 0).sum()
    return softmax_cross_entropy_backward_numpy(dloss, (logits, classes, weights, wrong))


@planted(20, LOSS, hint="is a weight missing?")
def _(dloss, cache):
    logits, classes, weights, divisor = cache
    return softmax_cross_entropy_backward_numpy(dloss, (logits, classes, np.ones_like(weights), divisor))


@planted_in_both(21, "relu", comparison=False)
def _():
    shared = {}

    def forward(x):
        out, shared["cache"] = relu_forward_numpy(x)
        return out, None

    return forward, lambda dout, cache: relu_backward_numpy(dout, shared["cache"])


@planted(22, "relu", comparison=False)
def _(dout, cache):
    dout *= cache > 0
    return dout


# --- wrong together ---------------------------------------------------------------------------------------------------


@planted_in_both(23, "conv2d", checker=False)
def _():
    def backward(dout, cache):
        dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
        return dx, dweight[::-1, ::-1], dbias

    return lambda x, weight, *bias, **kw: conv2d_forward_numpy(x, weight[::-1, ::-1], *bias, **kw), backward


@planted_in_both(24, "batchnorm2d", checker=False)
def _():
    def forward(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
        if mean is not None:
            return batchnorm2d_forward_numpy(x, gamma, beta, mean=mean, var=var, eps=eps)
        mean, m = x.mean((0, 1, 2)), x.size // x.shape[3]
        var = ((x - mean) ** 2).sum((0, 1, 2)) / (m - 1)
        out, cache = batchnorm2d_forward_numpy(x, gamma, beta, mean=mean, var=var, eps=eps)
        return out, (*cache[:5], m)

    def backward(dout, cache):
        x, gamma, beta, mean, inv_std, m = cache
        dx, dgamma, dbeta = batchnorm2d_backward_numpy(dout, (x, gamma, beta, mean, inv_std, False))
        if m is not False:
            x_hat = (x - mean) * inv_std
            dx = gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / (m - 1))
        return dx, dgamma, dbeta

    return forward, backward


@planted_in_both(25, LOSS, checker=False)
def _():
    def forward(logits, labels, *, normalizer="count", **settings):
        return softmax_cross_entropy_forward_numpy(logits, labels, **settings)

    return forward, softmax_cross_entropy_backward_numpy


@planted_in_both(26, "relu", checker=False)
def _():
    return lambda x: (np.maximum(x, 0), x), lambda dout, x: np.where(x < 0, 0, dout)


# --- transposed convolution -------------------------------------------------------------------------------------------


@planted(27, "conv_transpose2d", hint="it would be right for weight flipped along axes (0, 1)")
def _(dout, cache):
    x, weight, *rest = cache
    dx, _, _ = conv_transpose2d_backward_numpy(dout, (x, weight[::-1, ::-1], *rest))
    return dx, *conv_transpose2d_backward_numpy(dout, cache)[1:]


@planted_in_both(28, "conv_transpose2d", checker=False)
def _():
    def forward(x, weight, bias=None, **settings):
        x, weight, *rest, stride, pads, out_shape = conv_transpose2d_forward_numpy(x, weight, bias, **settings)[1]
        pads = tuple((after, before) for before, after in pads)
        padded = windows.pad(np.zeros(out_shape), pads)
        for i, j in np.ndindex(weight.shape[:2]):
            windows.shifted(padded, i, j, x.shape, stride)[...] += x @ weight[i, j].T
        out = windows.crop(padded, pads, out_shape[1:3])
        return out if bias is None else out + bias, (x, weight, *rest, stride, pads, out_shape)

    return forward, conv_transpose2d_backward_numpy


# --- who catches which ------------------------------------------------------------------------------------------------

CAUGHT_BY_CHECKER = {*range(1, 29)} - {14, 23, 24, 25, 26, 28}


def test_there_are_26_and_two():
    assert {bug.number for bug in BUGS} == set(range(1, 29))
    assert {bug.number for bug in BUGS if bug.checker} == CAUGHT_BY_CHECKER
    assert len(CAUGHT_BY_CHECKER) == 22
    assert all(bug.checker or bug.comparison for bug in BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.number} {bug.op}")
def test_planted_bug(bug):
    report = check_op(bug.op, pair=(bug.forward, bug.backward))
    assert report.ok == (not bug.checker), f"\n{report}"
    assert golden_values.agrees(bug.op, bug.forward, bug.backward) == (not bug.comparison)
    if bug.checker:
        assert report.verdict in ("bug", "contract")
    if bug.hint:
        assert bug.hint in str(report), f"\n{report}"


@pytest.mark.parametrize("op", REAL)
def test_the_real_ops_pass_both(op):
    assert check_op(op, pair=REAL[op]).ok
    assert golden_values.agrees(op, *REAL[op])


def test_the_right_tensor_is_named():
    """Bugs 2 to 8 are of one gradient each: that one is refused, and no other."""
    guilty = {2: "bias", 3: "bias", 4: "x", 5: "weight", 6: "weight", 7: "x", 8: "x"}
    for bug in (b for b in BUGS if b.number in guilty):
        refused = {t.name for t in check_op(bug.op, pair=(bug.forward, bug.backward)).all_tensors() if not t.ok}
        assert refused == {guilty[bug.number]}, bug.number
