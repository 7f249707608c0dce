"""Properties of nearest and bilinear upsampling that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import both, few, loose, op, pictures

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check_op
from tinysegnet.ops import upsample

factors = st.tuples(st.integers(1, 4), st.integers(1, 4))
each = pytest.mark.parametrize("name", ["upsample_nearest2d", "upsample_bilinear2d"])


@both
@few
@given(pictures(), factors)
def test_upsample_nearest2d_repeats_every_pixel(variant, drawn, factor):
    x, _ = drawn
    out, _ = op("upsample_nearest2d", variant)[0](x, factor=factor)
    assert out.shape[1:3] == (factor[0] * x.shape[1], factor[1] * x.shape[2])
    for i, j in np.ndindex(factor):
        np.testing.assert_array_equal(out[:, i :: factor[0], j :: factor[1]], x)


@each
@both
@few
@given(pictures(), factors)
def test_upsampling_keeps_constants_and_the_range(name, variant, drawn, factor):
    x, _ = drawn
    forward = op(name, variant)[0]
    np.testing.assert_allclose(forward(0 * x + 7, factor=factor)[0], 7, rtol=1e-6)
    out, _ = forward(x, factor=factor)
    assert out.min() >= x.min() - 1e-5
    assert out.max() <= x.max() + 1e-5


@both
@few
@given(pictures(), factors)
def test_upsample_bilinear2d_of_a_slope_is_a_slope_with_a_flat_border(variant, drawn, factor):
    x, rng = drawn
    (_, H, W, _), (down, across, shift) = x.shape, rng.standard_normal(3)
    forward = op("upsample_bilinear2d", variant)[0]
    slope = down * np.arange(H)[:, None] + across * np.arange(W) + shift
    rows, columns = ((np.arange(n * f) + 0.5) / f - 0.5 for n, f in zip((H, W), factor, strict=True))
    expected = down * rows.clip(0, H - 1)[:, None] + across * columns.clip(0, W - 1) + shift
    out, _ = forward(np.broadcast_to(slope[..., None], x.shape).astype(x.dtype), factor=factor)
    np.testing.assert_allclose(out, np.broadcast_to(expected[..., None], out.shape), **loose(x))


@both
def test_upsample_bilinear2d_by_2_blends_with_quarters(variant):
    x = np.array([0.0, 4.0, 8.0]).reshape(1, 1, 3, 1)
    out, cache = op("upsample_bilinear2d", variant)[0](x, factor=(1, 2))
    np.testing.assert_array_equal(out.ravel(), [0, 1, 3, 5, 7, 8])
    dx = op("upsample_bilinear2d", variant)[1](np.ones((1, 1, 6, 1)), cache)
    np.testing.assert_array_equal(dx.ravel(), [2, 2, 2])


@each
@both
@few
@given(pictures(), factors)
def test_upsampling_crops_at_the_end(name, variant, drawn, factor):
    x, rng = drawn
    forward, backward = op(name, variant)
    whole, cache = forward(x, factor=factor)
    H, W = (int(n - rng.integers(0, f)) for n, f in zip(whole.shape[1:3], factor, strict=True))
    out, cropped = forward(x, factor=factor, output_size=(H, W))
    np.testing.assert_array_equal(out, whole[:, :H, :W])
    dout = rng.standard_normal(whole.shape).astype(x.dtype)
    dout[:, H:], dout[:, :, W:] = 0, 0
    np.testing.assert_allclose(backward(dout[:, :H, :W], cropped), backward(dout, cache), **loose(x))


@each
@both
@few
@given(pictures(), factors)
def test_upsampling_restores_the_size_before_pooling(name, variant, drawn, factor):
    x, _ = drawn
    (pooled, _), _ = ops.max_pool2d_forward(x, size=factor, stride=factor)
    assert op(name, variant)[0](pooled, factor=factor, output_size=x.shape[1:3])[0].shape == x.shape


@each
@both
def test_upsampling_rejects_impossible_sizes_and_factors(name, variant):
    forward, x = op(name, variant)[0], np.ones((1, 23, 30, 2))
    assert forward(x, output_size=(45, 60))[0].shape == (1, 45, 60, 2)
    for size in [(44, 60), (47, 60), (46, 58), (46, 61), (0, 0)]:
        with pytest.raises(ShapeError, match=rf"{name}: 23 x 30 .* 45..46 rows and 59..60 columns"):
            forward(x, output_size=size)
    for factor in (0, -1, 1.5, (2, 2, 2), None):
        with pytest.raises(ShapeError):
            forward(x, factor=factor)
    for shape in [(23, 30, 2), (1, 0, 30, 2)]:
        with pytest.raises(ShapeError, match=r"x .*\(N, H, W, C\)"):
            forward(np.ones(shape))


def test_gradient_check_rejects_a_backward_that_ignores_the_border():
    """Where a position is clipped to the picture, the border pixel has weight 1."""

    def backward(dout, cache):
        (_, H, W, _), _, factor, (rows, columns) = cache
        middles = [(np.arange(n) + 0.5) / f - 0.5 for n, f in zip((rows, columns), factor, strict=True)]
        row_weights, column_weights = (np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n)))
                                       for at, n in zip(middles, (H, W), strict=True))  # fmt: skip
        return np.einsum("nyxc,yh,xw->nhwc", dout, row_weights, column_weights)

    pair = upsample.upsample_bilinear2d_forward_numpy, backward
    assert not check_op("upsample_bilinear2d", pair=pair).ok
