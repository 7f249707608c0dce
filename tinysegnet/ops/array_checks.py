"""What every op asks of its arguments. The kernels trust shapes and dtypes blindly, so they are checked before."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError

__all__ = ["pair", "require_dout", "require_floats"]


def pair(value):
    """3 -> (3, 3); (3, 5) stays. Raises ShapeError for anything but one or two whole numbers."""
    numbers = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(numbers) != 2 or not all(isinstance(n, int | np.integer) for n in numbers):
        raise ShapeError(f"one or two whole numbers are needed, (rows, columns), got {value!r}")
    return numbers


def require_floats(op, **arrays):
    """All arrays (None is left out) are float32, or all float64; ShapeError tells which are not."""
    dtypes = {name: array.dtype for name, array in arrays.items() if array is not None}
    dtype = next(iter(dtypes.values()))
    if any(other != dtype for other in dtypes.values()) or dtype.kind != "f" or dtype.itemsize not in (4, 8):
        given = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ShapeError(f"{op} needs float32 for all arrays, or float64 for all, got {given}")


def require_dout(op, dout, shape, dtype):
    """dout belongs to the result of the forward that left the cache: its shape and dtype."""
    if dout.shape != tuple(shape) or dout.dtype != dtype:
        raise ShapeError(f"{op}: dout must be {np.dtype(dtype)} {tuple(shape)}, as the forward's result was, "
                         f"got {dout.dtype} {dout.shape}")  # fmt: skip
