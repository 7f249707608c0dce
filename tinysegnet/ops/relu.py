"""ReLU, the activation between convolutions.

out = max(x, 0)        dx = dout where x > 0, and 0 elsewhere
"""

from collections import namedtuple

import numpy as np

from ..runtime import empty, kernel, prange
from .array_checks import check_dout, check_floats
from .op import Op, Variant

ReluCache = namedtuple("ReluCache", "out")


def relu_forward_numpy(x):
    """Return max(x, 0) for x of any shape, and the cache. NaN stays NaN."""
    check_floats("relu", x=x)
    out = np.maximum(x, 0)
    return out, ReluCache(out)


def relu_backward_numpy(dout, cache):
    """Return dx for dout; both have x's shape."""
    check_dout("relu", dout, cache.out.shape, cache.out.dtype)
    # forward: out = x where x > 0    so: dx = dout where x > 0, that is where out > 0, or out is NaN
    return np.where(cache.out <= 0, 0, dout)


@kernel
def _relu(x, out):
    for k in prange(x.size):
        out[k] = 0 if x[k] <= 0 else x[k]


@kernel
def _relu_gradient(dout, out, dx):
    for k in prange(dout.size):
        dx[k] = 0 if out[k] <= 0 else dout[k]


def _each(kernel, *arrays):
    """Call kernel(*flat arrays, flat out) and return out, which has the first array's shape and dtype."""
    contiguous = [np.ascontiguousarray(array) for array in arrays]
    out = empty(arrays[0].shape, arrays[0].dtype)  # ascontiguousarray gives an array without axes an axis
    kernel(*(array.reshape(-1) for array in contiguous), out.reshape(-1))
    return out


def relu_forward_numba(x):
    """Compute out in one pass over memory."""
    check_floats("relu", x=x)
    out = _each(_relu, x)
    return out, ReluCache(out)


def relu_backward_numba(dout, cache):
    """Compute dx in one pass over memory."""
    check_dout("relu", dout, cache.out.shape, cache.out.dtype)
    return _each(_relu_gradient, dout, cache.out)


RELU = Op("relu", cache=ReluCache, differentiable=("x",),
          numpy=Variant(relu_forward_numpy, relu_backward_numpy),
          numba=Variant(relu_forward_numba, relu_backward_numba))  # fmt: skip
relu_forward, relu_backward = RELU.forward, RELU.backward
