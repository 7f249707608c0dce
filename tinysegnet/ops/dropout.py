"""Dropout: numbers are put out at random, and those that are kept made larger, so that their sum is expected to stay.

    out = x * mask / (1 - rate)        dx = dout * mask / (1 - rate)        mask: True where kept, with chance 1 - rate

The mask is an argument: ops draw no random numbers. Srivastava et al. 2014, with the division here instead of at test
time, as in Caffe. Bayesian SegNet (Kendall, Badrinarayanan & Cipolla 2015) keeps drawing masks at test time: what its
answers have in common is the prediction, how much they differ is how little the net knows.
"""

from __future__ import annotations

import numpy as np

from ..errors import SettingError, ShapeError
from ..runtime import empty_like, fastest, kernel, prange
from ..runtime.settings import convert
from .array_checks import require_dout, require_floats

__all__ = ["dropout_backward", "dropout_forward"]


def _check(x, mask, rate):
    """-> 1 - rate in the dtype of x."""
    require_floats("dropout", x=x)
    if mask.shape != x.shape or mask.dtype != bool:
        raise ShapeError(f"dropout needs a mask of bool {x.shape}, True where x is kept, got {mask.dtype} {mask.shape}")
    rate = convert("rate", rate, float)
    if not 0 <= rate < 1:
        raise SettingError(f"rate: {rate} (expected 0 <= rate < 1)")
    return x.dtype.type(1 - rate)


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def dropout_forward_numpy(x, mask, *, rate=0.5):
    """x, any shape, mask bool of the same shape -> out of that shape, cache.

    rate: the chance of a number to be put out, 0 <= rate < 1 (SettingError). Multiplied, not replaced: a NaN stays
    wherever it is. Raises ShapeError for a mask of another shape or dtype.
    """
    keep = _check(x, mask, rate)
    return x * (mask / keep), (mask, keep)


def dropout_backward_numpy(dout, cache):
    """dout -> dx, same shape."""
    mask, keep = cache
    require_dout("dropout", dout, mask.shape, keep.dtype)
    return dout * (mask / keep)


# --- numba -----------------------------------------------------------------------------------------------------------


@kernel
def _masked(x, mask, kept, dropped, out):
    """out = x * kept where mask, x * dropped elsewhere"""
    for k in prange(x.size):
        out[k] = x[k] * (kept if mask[k] else dropped)


def _apply(x, mask, keep):
    x, out = np.ascontiguousarray(x), empty_like(x)
    one, zero = keep.dtype.type(1), keep.dtype.type(0)
    _masked(x.reshape(-1), np.ascontiguousarray(mask).reshape(-1), one / keep, zero, out.reshape(-1))
    return out


def dropout_forward_numba(x, mask, *, rate=0.5):
    """one pass."""
    keep = _check(x, mask, rate)
    return _apply(x, mask, keep), (mask, keep)


def dropout_backward_numba(dout, cache):
    """the same pass."""
    mask, keep = cache
    require_dout("dropout", dout, mask.shape, keep.dtype)
    return _apply(dout, mask, keep)


dropout_forward = fastest(dropout_forward_numba, dropout_forward_numpy)
dropout_backward = fastest(dropout_backward_numba, dropout_backward_numpy)
