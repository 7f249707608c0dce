"""Calls of kernels that compute each output value from the input values at the same position."""

import numpy as np

from ...runtime import empty


def elementwise(kernel, *arrays, settings=()):
    """Call kernel(*flat arrays, *settings, flat out) and return out, which has the first array's shape and dtype."""
    contiguous = [np.ascontiguousarray(array) for array in arrays]
    out = empty(arrays[0].shape, arrays[0].dtype)  # ascontiguousarray gives an array without axes an axis
    kernel(*(array.reshape(-1) for array in contiguous), *settings, out.reshape(-1))
    return out
