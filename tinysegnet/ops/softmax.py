"""Softmax: converts the scores of K classes into probabilities.

    p_c = exp(x_c) / sum_k exp(x_k)        dx_c = p_c * (dout_c - sum_k dout_k p_k)

The largest x is subtracted first. This does not change p, and exp cannot overflow.
"""

from collections import namedtuple

import numpy as np

from ..runtime import empty_like, kernel, prange
from .array_checks import check_dout, check_floats, check_rows
from .engine.fast_exp import softmax_row
from .op import Op, Variant

SoftmaxCache = namedtuple("SoftmaxCache", "probs")


def softmax_forward_numpy(x):
    """Return the probabilities (..., K) for x (..., K), and the cache. They sum to 1 over the last axis."""
    check_rows("softmax", x)
    check_floats("softmax", x=x)
    exps = np.exp(x - x.max(-1, keepdims=True))
    probs = exps / exps.sum(-1, keepdims=True)
    return probs, SoftmaxCache(probs)


def softmax_backward_numpy(dout, cache):
    """Return dx (..., K) for dout (..., K)."""
    probs = cache.probs
    check_dout("softmax", dout, probs.shape, probs.dtype)
    return probs * (dout - (dout * probs).sum(-1, keepdims=True))


# --- numba -----------------------------------------------------------------------------------------------------------
ROWS_PER_TASK = 256


@kernel
def _softmax(x, probs):
    (rows, K), numbers, results = x.shape, x.reshape(-1), probs.reshape(-1)
    for task in prange(-(-rows // ROWS_PER_TASK)):
        end = min((task + 1) * ROWS_PER_TASK, rows)
        for p in range(task * ROWS_PER_TASK, end):
            softmax_row(numbers, results, p * K, K, (end - p) * K)


@kernel
def _softmax_gradient(dout, probs, dx):
    pixels, K = dout.shape
    for p in prange(pixels):
        common = dout[p, 0] * probs[p, 0]
        for k in range(1, K):
            common += dout[p, k] * probs[p, k]
        for k in range(K):
            dx[p, k] = probs[p, k] * (dout[p, k] - common)


def softmax_forward_numba(x):
    """Compute the probabilities. A task processes 256 pixels."""
    check_rows("softmax", x)
    check_floats("softmax", x=x)
    x = np.ascontiguousarray(x)
    probs = empty_like(x)
    _softmax(x.reshape(-1, x.shape[-1]), probs.reshape(-1, x.shape[-1]))
    return probs, SoftmaxCache(probs)


def softmax_backward_numba(dout, cache):
    """Compute dx. A task processes one pixel."""
    check_dout("softmax", dout, cache.probs.shape, cache.probs.dtype)
    dout, probs = np.ascontiguousarray(dout), np.ascontiguousarray(cache.probs)
    dx, K = empty_like(dout), dout.shape[-1]
    _softmax_gradient(dout.reshape(-1, K), probs.reshape(-1, K), dx.reshape(-1, K))
    return dx


SOFTMAX = Op("softmax", cache=SoftmaxCache, differentiable=("x",),
             numpy=Variant(softmax_forward_numpy, softmax_backward_numpy),
             numba=Variant(softmax_forward_numba, softmax_backward_numba))  # fmt: skip
softmax_forward, softmax_backward = SOFTMAX.forward, SOFTMAX.backward
