"""Argument checks that the ops share. Kernels do not check shapes or dtypes, so each op checks them first."""

import numpy as np

from ..errors import ShapeError


def pair(value):
    """Return a pair unchanged and a single number n as (n, n). Raise ShapeError for anything else."""
    if type(value) is int:
        return value, value
    numbers = value if type(value) is tuple else (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(numbers) != 2 or not all(isinstance(n, int | np.integer) for n in numbers):
        raise ShapeError(f"expected one or two whole numbers, (rows, columns), got {value!r}")
    return numbers


def check_floats(op, **arrays):
    """Raise ShapeError unless all arrays are float32 or all are float64. Arrays that are None are ignored.

    The arrays must have this machine's byte order, because numba supports no other.
    """
    dtypes = {name: array.dtype for name, array in arrays.items() if array is not None}
    dtype = next(iter(dtypes.values()))
    if any(other != dtype for other in dtypes.values()) or dtype.char not in "fd" or not dtype.isnative:
        given = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ShapeError(f"{op} needs arrays that are all float32 or all float64, in this machine's byte order, but "
                         f"got {given}. Convert them with array.astype(numpy.float32)")  # fmt: skip


def check_pictures(op, x):
    """Raise ShapeError unless x is (N, H, W, C) with no empty axis, in float32 or float64."""
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"{op} needs x of shape (N, H, W, C) with no empty axis, got {x.shape}")
    check_floats(op, x=x)


def check_rows(op, x):
    """Return K, the length of x's last axis. Raise ShapeError unless there are one or more numbers along it."""
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ShapeError(f"{op} needs an array of shape (..., K) with at least one class, got {x.shape}")
    return x.shape[-1]


def check_dloss(op, dloss):
    """Raise ShapeError unless dloss is one real number."""
    if np.ndim(dloss) != 0 or np.asarray(dloss).dtype.kind not in "iuf":
        raise ShapeError(f"{op}: dloss must be one number, usually 1.0, got {dloss!r}")


def check_dout(op, dout, shape, dtype):
    """Raise ShapeError unless dout has the shape and dtype of the forward's result."""
    if dout.shape != tuple(shape) or dout.dtype != dtype or not dout.dtype.isnative:
        expected = f"{np.dtype(dtype).newbyteorder('=')} {tuple(shape)}"
        raise ShapeError(f"{op}: dout must be {expected} like the forward's result, got {dout.dtype} {dout.shape}")
