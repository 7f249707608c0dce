"""Transformed weights, which inference keeps from one call to the next.

For 128 channels of 12x16 pixels, transforming the weight takes longer than all the rest. A weight may change between
two calls, so each call compares it with the values that were transformed, which takes a seventh of that time.
"""

import weakref
from typing import Any

import numpy as np

from ...runtime import empty_like
from . import cost_model, winograd

# by the id of a weight and the algorithm: copies of the weight and the scale, and U
_kept: dict[tuple[int, str], tuple[Any, ...]] = {}


def scaled(weight, scale):
    """Return weight (KH, KW, C, F) times scale (F,), in C order. The scale may be None."""
    return np.ascontiguousarray(weight) if scale is None else np.multiply(weight, scale, out=empty_like(weight))


def transformed(name, weight, scale):
    """Return U for the scaled weight, as `winograd.transformed` does. It is kept as long as the weight exists."""
    key = id(weight), name
    old_weight, old_scale, U = _kept.get(key, (None, None, None))
    if U is not None and np.array_equal(weight, old_weight) and np.array_equal(scale, old_scale):
        return U
    U = winograd.transformed(name, scaled(weight, scale))
    if U.size <= cost_model.MOST_KEPT:
        if key not in _kept:
            weakref.finalize(weight, _kept.pop, key, None).atexit = False
        _kept[key] = weight.copy(), None if scale is None else scale.copy(), U
    return U
