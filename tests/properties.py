"""Random pictures for property tests, with N 1..3, C 1..5, and H and W 1..13."""

from __future__ import annotations

import numpy as np
import pytest
from forms import amount
from hypothesis import settings
from hypothesis import strategies as st

from tinysegnet.gradcheck import find_variants

both = pytest.mark.parametrize("variant", ["numpy", "numba"])
few = settings(max_examples=amount(10, 200))  # for properties that a handful of pictures would refute
# The short form compiles the kernels for one dtype only. Kernels that depend on the dtype have tests in float32.
DTYPES = amount([np.float64], [np.float32, np.float64])
typed = pytest.mark.parametrize(("variant", "dtype"), [
    ("numpy", np.float32), ("numpy", np.float64), *(("numba", dtype) for dtype in DTYPES)])  # fmt: skip


def op(name, variant):
    """Return forward and backward of a variant of an op."""
    return find_variants(name)[variant]


@st.composite
def pictures(draw, least=1, values="normal"):
    """Draw a picture (N, H, W, C), and a generator for further arrays."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    N, C = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    H, W = draw(st.integers(least, 13)), draw(st.integers(least, 13))
    dtype = draw(st.sampled_from(DTYPES))
    x = rng.integers(-2, 3, (N, H, W, C)) if values == "ties" else rng.standard_normal((N, H, W, C))
    return x.astype(dtype), rng


def loose(x):
    """Return tolerances for numbers of x's dtype."""
    return {"rtol": 1e-4, "atol": 1e-4} if x.dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-10}
