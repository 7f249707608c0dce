"""Activations: ReLU between the layers, softmax where probabilities are wanted, sigmoid for that of a single class.

    relu:     out = max(x, 0)                       dx = dout where x > 0, else 0   (at 0 itself: 0)
    softmax:  p_c = exp(x_c) / sum_k exp(x_k)       dx_c = p_c * (dout_c - sum_k dout_k p_k)
    sigmoid:  p = 1 / (1 + exp(-x))                 dx = dout * p * (1 - p)

Subtracting the largest x first changes nothing in a softmax, and exp cannot overflow. The sigmoid is the softmax of
(0, x) in its second number: with e = exp(-|x|) it is 1 / (1 + e) for x >= 0, and e / (1 + e) below.
"""

from __future__ import annotations

import numpy as np

from ..runtime import empty_like, fastest, kernel, prange
from .array_checks import require_dout, require_floats
from .engine.fast_exp import exp

__all__ = ["relu_backward", "relu_forward", "sigmoid_backward", "sigmoid_forward", "softmax_backward",
           "softmax_forward"]  # fmt: skip


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def relu_forward_numpy(x):
    """x, any shape -> out of the same shape, cache. NaN stays NaN."""
    require_floats("relu", x=x)
    out = np.maximum(x, 0)
    return out, out


def relu_backward_numpy(dout, cache):
    """dout -> dx, same shape."""
    require_dout("relu", dout, cache.shape, cache.dtype)
    # forward: out = x where x > 0    so: dx = dout where x > 0, which is where out > 0. A NaN lets dout through.
    return np.where(cache <= 0, 0, dout)


def softmax_forward_numpy(x):
    """x (..., K) -> probs (..., K), positive and of sum 1 over the last axis; cache."""
    require_floats("softmax", x=x)
    exps = np.exp(x - x.max(-1, keepdims=True))
    probs = exps / exps.sum(-1, keepdims=True)
    return probs, probs


def softmax_backward_numpy(dout, cache):
    """dout (..., K) -> dx (..., K)."""
    probs = cache
    require_dout("softmax", dout, probs.shape, probs.dtype)
    return probs * (dout - (dout * probs).sum(-1, keepdims=True))


def sigmoid_forward_numpy(x):
    """x, any shape -> probs of the same shape, between 0 and 1; cache."""
    require_floats("sigmoid", x=x)
    e = np.exp(-np.abs(x))
    probs = np.where(x >= 0, 1, e) / (1 + e)
    return probs, probs


def sigmoid_backward_numpy(dout, cache):
    """dout -> dx, same shape."""
    probs = cache
    require_dout("sigmoid", dout, probs.shape, probs.dtype)
    return dout * probs * (1 - probs)


# --- numba -----------------------------------------------------------------------------------------------------------


@kernel
def _relu(x, out):
    for k in prange(x.size):
        out[k] = 0 if x[k] <= 0 else x[k]


@kernel
def _relu_gradient(dout, out, dx):
    for k in prange(dout.size):
        dx[k] = 0 if out[k] <= 0 else dout[k]


ROWS_PER_TASK = 256  # rows of exponentials that stay in the cache; fixed, so that sums depend on no thread count


@kernel(inline=True)
def exponentials(x, exps, largest):
    """exps = exp(x - the largest number of the row), for rows of x (rows, K)."""
    for p in range(len(x)):
        most = x[p, 0]
        for k in range(1, x.shape[1]):
            most = max(most, x[p, k])
        largest[p] = most
        for k in range(x.shape[1]):
            exps[p, k] = x[p, k] - most
    flat = exps.reshape(-1)
    for k in range(flat.size):  # a loop of its own, which becomes vectors
        flat[k] = exp(flat[k])


@kernel
def _softmax(x, probs):
    for task in prange((len(x) + ROWS_PER_TASK - 1) // ROWS_PER_TASK):
        mine = slice(task * ROWS_PER_TASK, (task + 1) * ROWS_PER_TASK)
        result = probs[mine]
        exponentials(x[mine], result, np.empty(ROWS_PER_TASK, x.dtype))
        for p in range(len(result)):
            share = 1 / result[p].sum()
            for k in range(x.shape[1]):
                result[p, k] *= share


@kernel
def _softmax_gradient(dout, probs, dx):
    pixels, K = dout.shape
    for p in prange(pixels):
        common = dout[p, 0] * probs[p, 0]
        for k in range(1, K):
            common += dout[p, k] * probs[p, k]
        for k in range(K):
            dx[p, k] = probs[p, k] * (dout[p, k] - common)


@kernel
def _sigmoid(x, one, probs):
    for k in prange(x.size):
        e = exp(-abs(x[k]))
        probs[k] = (one if x[k] >= 0 else e) / (one + e)


@kernel
def _sigmoid_gradient(dout, probs, one, dx):
    for k in prange(dout.size):
        dx[k] = dout[k] * probs[k] * (one - probs[k])


def relu_forward_numba(x):
    """one pass."""
    require_floats("relu", x=x)
    x = np.ascontiguousarray(x)
    out = empty_like(x)
    _relu(x.reshape(-1), out.reshape(-1))
    return out, out


def relu_backward_numba(dout, cache):
    """one pass."""
    require_dout("relu", dout, cache.shape, cache.dtype)
    dout = np.ascontiguousarray(dout)
    dx = empty_like(dout)
    _relu_gradient(dout.reshape(-1), cache.reshape(-1), dx.reshape(-1))
    return dx


def softmax_forward_numba(x):
    """a task takes 256 pixels."""
    require_floats("softmax", x=x)
    x = np.ascontiguousarray(x)
    probs = empty_like(x)
    _softmax(x.reshape(-1, x.shape[-1]), probs.reshape(-1, x.shape[-1]))
    return probs, probs


def softmax_backward_numba(dout, cache):
    """a task takes pixels one by one."""
    require_dout("softmax", dout, cache.shape, cache.dtype)
    dout, probs = np.ascontiguousarray(dout), np.ascontiguousarray(cache)
    dx, K = empty_like(dout), dout.shape[-1]
    _softmax_gradient(dout.reshape(-1, K), probs.reshape(-1, K), dx.reshape(-1, K))
    return dx


def sigmoid_forward_numba(x):
    """one pass."""
    require_floats("sigmoid", x=x)
    x = np.ascontiguousarray(x)
    probs = empty_like(x)
    _sigmoid(x.reshape(-1), x.dtype.type(1), probs.reshape(-1))
    return probs, probs


def sigmoid_backward_numba(dout, cache):
    """one pass."""
    require_dout("sigmoid", dout, cache.shape, cache.dtype)
    dout = np.ascontiguousarray(dout)
    dx = empty_like(dout)
    _sigmoid_gradient(dout.reshape(-1), cache.reshape(-1), dout.dtype.type(1), dx.reshape(-1))
    return dx


relu_forward = fastest(relu_forward_numba, relu_forward_numpy)
relu_backward = fastest(relu_backward_numba, relu_backward_numpy)
softmax_forward = fastest(softmax_forward_numba, softmax_forward_numpy)
softmax_backward = fastest(softmax_backward_numba, softmax_backward_numpy)
sigmoid_forward = fastest(sigmoid_forward_numba, sigmoid_forward_numpy)
sigmoid_backward = fastest(sigmoid_backward_numba, sigmoid_backward_numpy)
