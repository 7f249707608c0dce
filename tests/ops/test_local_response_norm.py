"""Properties of local response normalisation that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import both, few, loose, op, pictures

from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.gradcheck import check_op
from tinysegnet.ops import local_response_norm


@both
@few
@given(pictures(), st.sampled_from([1, 3, 5, 7]), st.floats(0, 2), st.floats(0.5, 2))
def test_local_response_norm_follows_its_formula(variant, drawn, size, alpha, beta):
    x, rng = drawn
    out, _ = op("local_response_norm", variant)[0](x, size=size, alpha=alpha, beta=beta, k=1.5)
    n, y, column, c = (int(rng.integers(at)) for at in x.shape)
    window = x[n, y, column, max(0, c - size // 2) : c + size // 2 + 1].astype(float)
    expected = x[n, y, column, c] / (1.5 + alpha / size * (window**2).sum()) ** beta
    np.testing.assert_allclose(out[n, y, column, c], expected, **loose(x))


@both
@few
@given(pictures())
def test_local_response_norm_is_symmetric_in_channels_and_independent_per_pixel(variant, drawn):
    x, rng = drawn
    forward, settings = op("local_response_norm", variant)[0], {"size": 3, "alpha": 1.0}
    out, _ = forward(x, **settings)
    np.testing.assert_allclose(forward(x[..., ::-1], **settings)[0], out[..., ::-1], **loose(x))
    y, column = (int(rng.integers(n)) for n in x.shape[1:3])
    np.testing.assert_array_equal(forward(x[:, y, column], **settings)[0], out[:, y, column])


@both
def test_local_response_norm_keeps_hue_and_black_in_the_input_layer_of_segnet_basic(variant):
    """White is divided by (1 + 2e-5 * 3 * 255^2)^0.75, and the channels of a pixel have the same divisor."""
    forward, backward = op("local_response_norm", variant)
    x = np.array([[255, 255, 255], [0, 0, 0], [200, 50, 0], [0, 1e-30, 0]], float)
    out, cache = forward(x)
    divisor = (1 + 2e-5 * 3 * 255**2) ** 0.75
    assert divisor == pytest.approx(3.3, abs=0.01)
    np.testing.assert_allclose(out[0], 255 / divisor, rtol=1e-6)
    np.testing.assert_array_equal(out[[1, 3]], x[[1, 3]])
    np.testing.assert_allclose(out[2, 0] / out[2, 1], 4, rtol=1e-6)
    assert np.isfinite(backward(np.ones_like(x), cache)).all()


@both
def test_local_response_norm_rejects_impossible_settings(variant):
    forward, x = op("local_response_norm", variant)[0], np.ones((2, 3))
    for settings in ({"size": 4}, {"size": 0}, {"size": -1}, {"size": 1.5}, {"size": None}):
        with pytest.raises(SettingError, match="size: "):
            forward(x, **settings)
    for settings in ({"alpha": -1}, {"alpha": "1"}, {"k": 0}, {"k": float("nan")}, {"beta": float("inf")}):
        with pytest.raises(SettingError, match=f"{next(iter(settings))}: "):
            forward(x, **settings)
    for shape in [(), (2, 0)]:
        with pytest.raises(ShapeError, match="empty axis"):
            forward(np.ones(shape))


def test_gradient_check_rejects_a_backward_through_the_central_channel_alone():
    """Each value also affects the divisors of its neighbours."""

    def backward(dout, cache):
        x, half, share, beta, k = cache
        s = k + share * local_response_norm._window_sum(x * x, half)
        return dout * s**-beta * (1 - 2 * share * beta * x * x / s)

    assert not check_op(
        "local_response_norm", pair=(local_response_norm.local_response_norm_forward_numpy, backward)
    ).ok
