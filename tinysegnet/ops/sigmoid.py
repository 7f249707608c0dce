"""Sigmoid: converts the score of a single class into its probability.

    p = 1 / (1 + exp(-x))        dx = dout * p * (1 - p)

p equals the second value of the softmax of (0, x). With e = exp(-|x|), which cannot overflow, p is 1 / (1 + e) for
x >= 0 and e / (1 + e) for x < 0.
"""

from collections import namedtuple

import numpy as np

from ..runtime import kernel, prange
from .array_checks import check_dout, check_floats
from .engine.elementwise import elementwise
from .engine.fast_exp import exp
from .op import Op, Variant

SigmoidCache = namedtuple("SigmoidCache", "probs")


def sigmoid_forward_numpy(x):
    """Return the probabilities for x of any shape, and the cache."""
    check_floats("sigmoid", x=x)
    e = np.exp(-np.abs(x))
    probs = np.where(x >= 0, 1, e) / (1 + e)
    return probs, SigmoidCache(probs)


def sigmoid_backward_numpy(dout, cache):
    """Return dx for dout; both have x's shape."""
    probs = cache.probs
    check_dout("sigmoid", dout, probs.shape, probs.dtype)
    return dout * probs * (1 - probs)


@kernel
def _sigmoid(x, one, probs):
    for k in prange(x.size):
        e = exp(-abs(x[k]))
        probs[k] = (one if x[k] >= 0 else e) / (one + e)


@kernel
def _sigmoid_gradient(dout, probs, one, dx):
    for k in prange(dout.size):
        dx[k] = dout[k] * probs[k] * (one - probs[k])


def sigmoid_forward_numba(x):
    """Compute the probabilities in one pass over memory."""
    check_floats("sigmoid", x=x)
    probs = elementwise(_sigmoid, x, settings=(x.dtype.type(1),))
    return probs, SigmoidCache(probs)


def sigmoid_backward_numba(dout, cache):
    """Compute dx in one pass over memory."""
    check_dout("sigmoid", dout, cache.probs.shape, cache.probs.dtype)
    return elementwise(_sigmoid_gradient, dout, cache.probs, settings=(dout.dtype.type(1),))


SIGMOID = Op("sigmoid", cache=SigmoidCache, differentiable=("x",),
             numpy=Variant(sigmoid_forward_numpy, sigmoid_backward_numpy),
             numba=Variant(sigmoid_forward_numba, sigmoid_backward_numba))  # fmt: skip
sigmoid_forward, sigmoid_backward = SIGMOID.forward, SIGMOID.backward
