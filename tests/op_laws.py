"""Ops, variants and cases, and functions that run and compare them, for the tests of laws."""

from __future__ import annotations

import numpy as np
from forms import LONG

from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_ops, find_variants
from tinysegnet.gradcheck.cases import cases_of

OPS = find_ops()
VARIANTS = [(op, variant) for op in OPS for variant in find_variants(op)]
MIXED = [(op, first, second) for op in OPS for first in find_variants(op) for second in find_variants(op)]
DTYPE_DEPENDENT = [("softmax", "numba")]  # the exponential function has code for each dtype
TYPED = [(op, variant, dtype) for op, variant in VARIANTS for dtype in (np.float32, np.float64)
         if LONG or variant == "numpy" or dtype == np.float64 or (op, variant) in DTYPE_DEPENDENT]  # fmt: skip
FAST = [row for row in TYPED if row[1] != "numpy"]
GRADIENTS = [row for row in VARIANTS if LONG or row == ("relu", "numba")
             or (row[1] == "numpy" and "upsample" not in row[0])]  # they are linear: test_adjoint.py  # fmt: skip
ROUNDING = {"winograd": 10, "winograd_f6": 20}  # powers of Winograd's points 2 and -2 amplify rounding errors
COMPLETE = ("numpy", "numba")  # variants that support every case; others may raise a ShapeError for some shapes


def is_float(value):
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def cast(value, dtype):
    return value.astype(dtype) if is_float(value) else value


def run(op, variant, arrays, kwargs):
    """Return the results of forward and the gradients for a random dout, or None if the variant rejects the shape.

    No argument may be written to.
    """
    forward, backward = find_variants(op)[variant]
    before = [np.array(a) for a in (*arrays, *kwargs.values())]
    try:
        out, cache = forward(*arrays, **kwargs)
    except ShapeError:
        assert variant not in COMPLETE
        return None
    outs = out if isinstance(out, tuple) else (out,)
    dout = dout_like(outs[0])
    kept, results = np.array(dout), [np.array(r) for r in outs]
    found = gradients(backward, dout, cache)
    assert same_bits(kept, np.asarray(dout))
    for a, b in zip((*before, *results), (*arrays, *kwargs.values(), *outs), strict=True):
        assert not isinstance(b, np.ndarray) or same_bits(a, b), f"{op} [{variant}] writes to an argument"
    return outs, found


def gradients(backward, dout, cache):
    found = backward(dout, cache)
    return found if isinstance(found, tuple) else (found,)


def dout_like(out):
    rng, dtype = np.random.default_rng([1, 9]), out.dtype
    return dtype.type(rng.uniform(0.5, 1.5)) if np.ndim(out) == 0 else rng.standard_normal(out.shape).astype(dtype)


def drawn(op, dtype=np.float64):
    """Yield (case, arrays, kwargs) for every case, including those that check values only."""
    for case in cases_of(op):
        arrays, kwargs = case.arguments()
        yield case, [cast(a, dtype) for a in arrays], {name: cast(a, dtype) for name, a in kwargs.items()}


def same_bits(a, b):
    return a is b is None or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def close(a, b, tolerance):
    """Return whether a and b are close as vectors, with NaN and infinity at the same places."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    finite = np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    return np.linalg.norm((a - b)[finite]) <= tolerance * max(np.linalg.norm(b[finite]), 1e-300)


def strided(value):
    """Return an equal array with gaps between its values and the last axis reversed in memory."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    spaced = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), value.dtype)
    view = spaced[..., ::-2]
    view[...] = value
    assert not view.flags.c_contiguous or view.size == 1
    return view
