"""Comparisons of every variant of every op with stored results of PyTorch, which need no PyTorch."""

from __future__ import annotations

import golden_values
import numpy as np
import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_ops, find_variants

FROZEN = sorted(path.stem for path in golden_values.FOLDER.glob("*.npz"))
CASES = [case for op in FROZEN for case in golden_values.load(op)]


def test_at_least_thirty_small_cases_are_stored():
    assert set(FROZEN) <= set(find_ops())
    assert len(CASES) >= 30
    assert sum(path.stat().st_size for path in golden_values.FOLDER.glob("*.npz")) < 400_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op}: {case.name}")
def test_every_variant_returns_what_pytorch_returned(case):
    for variant, (forward, backward) in find_variants(case.op).items():
        try:
            found = golden_values.differences(case, forward, backward)
        except ShapeError:
            assert variant not in ("numpy", "numba")
            continue
        assert max(found.values()) <= golden_values.TOLERANCE, f"[{variant}] {found}"
        assert "gradient 0" in found
        if case.op == "max_pool2d":
            assert found["result 1"] == 0  # the same maximum, even for ties


def test_comparison_rejects_an_error_of_a_billionth():
    """A result with a relative error of 1e-9 is rejected."""
    for case in CASES:
        forward, backward = find_variants(case.op)["numpy"]

        def off(*args, forward=forward, **kwargs):
            out, cache = forward(*args, **kwargs)
            first, *rest = out if isinstance(out, tuple) else (out,)
            first = first * (1 + 1e-9) + 1e-9
            return (first, *rest) if rest else first, cache

        assert golden_values.differences(case, off, backward)["result 0"] > golden_values.TOLERANCE
        assert np.isfinite(list(golden_values.differences(case, forward, backward).values())).all()
