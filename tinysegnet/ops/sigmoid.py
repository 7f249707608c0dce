"""Sigmoid: converts the score of a single class into its probability.

    p = 1 / (1 + exp(-x))        dx = dout * p * (1 - p)

p equals the second value of the softmax of (0, x). With e = exp(-|x|), which cannot overflow, p is 1 / (1 + e) for
x >= 0 and e / (1 + e) for x < 0.
"""

from collections import namedtuple

import numpy as np

from .array_checks import check_dout, check_floats
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


SIGMOID = Op("sigmoid", cache=SigmoidCache, differentiable=("x",),
             numpy=Variant(sigmoid_forward_numpy, sigmoid_backward_numpy))  # fmt: skip
sigmoid_forward, sigmoid_backward = SIGMOID.forward, SIGMOID.backward
