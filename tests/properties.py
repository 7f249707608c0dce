"""Random pictures for the tests of properties: sizes by hypothesis, N 1..3, C 1..5, H and W 1..13, both float types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tinysegnet.gradcheck import find_variants

both = pytest.mark.parametrize("variant", ["numpy", "numba"])
few = settings(max_examples=40)  # of a property that a handful of pictures would show


def op(name, variant):
    """(forward, backward) of an op's variant."""
    return find_variants(name)[variant]


@st.composite
def pictures(draw, least=1, values="normal"):
    """A random picture (N, H, W, C), float32 or float64, and a generator for more."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    N, C = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    H, W = draw(st.integers(least, 13)), draw(st.integers(least, 13))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x = rng.integers(-2, 3, (N, H, W, C)) if values == "ties" else rng.standard_normal((N, H, W, C))
    return x.astype(dtype), rng


def loose(x):
    """Tolerances for numbers of x's dtype."""
    return {"rtol": 1e-4, "atol": 1e-4} if x.dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-10}
