"""The checks that ops share. Kernels do not check shapes and dtypes, so each op checks them first."""

import numpy as np

from ..errors import ShapeError


def pair(value):
    """3 -> (3, 3); (3, 5) stays. Raises ShapeError for anything but one or two whole numbers."""
    numbers = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(numbers) != 2 or not all(isinstance(n, int | np.integer) for n in numbers):
        raise ShapeError(f"one or two whole numbers are needed, (rows, columns), got {value!r}")
    return numbers


def check_floats(op, **arrays):
    """Raises ShapeError unless all arrays are float32, or all float64; arrays that are None are left out."""
    dtypes = {name: array.dtype for name, array in arrays.items() if array is not None}
    dtype = next(iter(dtypes.values()))
    if any(other != dtype for other in dtypes.values()) or dtype.kind != "f" or dtype.itemsize not in (4, 8):
        given = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ShapeError(f"{op} needs float32 for all arrays, or float64 for all, got {given}")


def check_pictures(op, x):
    """Raises ShapeError unless x is (N, H, W, C) with no empty axis, float32 or float64."""
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"{op} needs x (N, H, W, C) with no empty axis, got {x.shape}")
    check_floats(op, x=x)


def check_dout(op, dout, shape, dtype):
    """Raises ShapeError unless dout has the shape and dtype of the forward's result."""
    if dout.shape != tuple(shape) or dout.dtype != dtype:
        raise ShapeError(f"{op}: dout must be {np.dtype(dtype)} {tuple(shape)}, as the forward's result was, "
                         f"got {dout.dtype} {dout.shape}")  # fmt: skip
