"""Properties of dropout that hold for any input and mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import both, few, op, pictures

from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.gradcheck import check_op
from tinysegnet.ops import dropout


@both
@few
@given(pictures(), st.floats(0, 0.95))
def test_dropout_scales_kept_activations_and_zeroes_the_others(variant, drawn, rate):
    x, rng = drawn
    mask, (forward, backward) = rng.random(x.shape) >= rate, op("dropout", variant)
    out, cache = forward(x, mask, rate=rate)
    np.testing.assert_allclose(out[mask], x[mask] / x.dtype.type(1 - rate), rtol=1e-6)
    assert not out[~mask].any()
    dout = rng.standard_normal(x.shape).astype(x.dtype)
    np.testing.assert_array_equal(backward(dout, cache), forward(dout, mask, rate=rate)[0])


@both
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_with_a_random_mask_keeps_the_mean(variant, rate):
    rng = np.random.default_rng(0)
    mask = rng.random((100, 1000)) >= rate
    out, _ = op("dropout", variant)[0](np.ones(mask.shape), mask, rate=rate)
    deviation = np.sqrt(rate / (1 - rate) / mask.size)
    assert abs(out.mean() - 1) < 4 * deviation


@both
def test_dropout_at_rate_0_is_the_identity_and_keeps_nan(variant):
    x, forward = np.array([1.0, np.nan, -3.0]), op("dropout", variant)[0]
    np.testing.assert_array_equal(forward(x, np.ones(3, bool), rate=0)[0], x)
    np.testing.assert_array_equal(forward(x, np.array([True, False, False]))[0], [2, np.nan, 0])


@both
def test_dropout_rejects_impossible_rates_and_masks(variant):
    (forward, backward), x = op("dropout", variant), np.ones((2, 3))
    for rate in (1, 1.5, -0.1, float("nan"), "0.5", None, True):
        with pytest.raises(SettingError, match="rate: "):
            forward(x, x > 0, rate=rate)
    for mask in (x, (x > 0)[0], np.ones((2, 3), np.uint8)):
        with pytest.raises(ShapeError, match=r"mask .*bool \(2, 3\)"):
            forward(x, mask)
    with pytest.raises(ShapeError, match=r"dropout .*float32"):
        forward(x.astype(np.float16), x > 0)
    _, cache = forward(x, x > 0)
    for dout in (x[:1], x.astype(np.float32)):
        with pytest.raises(ShapeError, match="dout"):
            backward(dout, cache)


def test_gradient_check_rejects_a_backward_without_the_division():
    report = check_op("dropout", pair=(dropout.dropout_forward_numpy, lambda dout, cache: dout * cache[0]))
    assert not report.ok
    assert report.verdict == "bug"
