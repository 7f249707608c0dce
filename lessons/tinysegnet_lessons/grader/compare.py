"""Comparison of results that accepts rounding errors but not bugs.

    |got - expected| <= rtol * |expected| + atol * max(1, the largest |expected|)

In float64, rtol is 1e-9 and atol is 1e-10. Summing a hundred numbers of order 1 in another order changes the sum by
1e-14; a missing eps of 1e-5 changes a result by 1e-6. A result in float32 or float16 is compared with the accuracy of
that type. Integers and booleans must be equal. NaN counts as equal to NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["changed", "equal", "wrong_entries"]

TOLERANCES = {"float64": (1e-9, 1e-10), "float32": (1e-4, 1e-5), "float16": (1e-2, 1e-3)}


def wrong_entries(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return a boolean array that marks the entries in which two arrays of equal shape differ."""
    if expected.dtype.kind != "f":
        return np.asarray(got != expected)
    rtol, atol = max(TOLERANCES.get(str(np.asarray(array).dtype), TOLERANCES["float64"]) for array in (got, expected))
    sizes = np.abs(expected[np.isfinite(expected)])
    allowed = rtol * np.abs(expected) + atol * max(1.0, float(sizes.max(initial=0)))
    with np.errstate(all="ignore"):
        close = np.abs(got - expected) <= np.where(np.isfinite(expected), allowed, 0)
    same = (got == expected) | (np.isnan(expected) & np.isnan(np.asarray(got, float)))
    return np.asarray(~(close | same))


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two results are equal up to rounding."""
    return a.shape == b.shape and not wrong_entries(a, b).any()


def changed(before: Any, after: Any) -> bool:
    """Return whether an argument, or an array inside it, changed in any bit; NaN counts as equal to NaN."""
    if isinstance(before, np.ndarray):
        exact = before.dtype.kind not in "fc"
        return not np.array_equal(before, after, equal_nan=not exact)
    if isinstance(before, (tuple, list)):
        return len(before) != len(after) or any(changed(*pair) for pair in zip(before, after, strict=True))
    if isinstance(before, Mapping):
        return set(before) != set(after) or any(changed(before[key], after[key]) for key in before)
    return False
