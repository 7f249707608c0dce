"""Properties of convolution, batch normalisation and activations that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import both, loose, op, pictures, typed

from tinysegnet import ops
from tinysegnet.errors import ShapeError

# --- conv2d --------------------------------------------------------------------------------------------------


@both
@given(pictures())
def test_conv2d_with_a_delta_kernel_is_the_identity(variant, drawn):
    x, _ = drawn
    weight = np.zeros((3, 3, x.shape[3], x.shape[3]), x.dtype)
    weight[1, 1] = np.eye(x.shape[3])
    out, _ = op("conv2d", variant)[0](x, weight)
    np.testing.assert_array_equal(out, x)


@both
@given(pictures())
def test_conv2d_with_a_1x1_kernel_is_a_matrix_product(variant, drawn):
    x, rng = drawn
    weight = rng.standard_normal((1, 1, x.shape[3], 4)).astype(x.dtype)
    out, _ = op("conv2d", variant)[0](x, weight)
    np.testing.assert_allclose(out, x @ weight[0, 0], **loose(x))


@both
@given(pictures(), st.sampled_from([1, 2, 3, 4, 9, 10]), st.integers(1, 3))
def test_conv2d_follows_its_formula(variant, drawn, K, stride):
    """A random value of out equals the sum in the formula, for different kernel sizes, strides and paddings per
    axis."""
    x, rng = drawn
    weight = rng.standard_normal((K, K + 1, x.shape[3], 3)).astype(x.dtype)
    bias = rng.standard_normal(3).astype(x.dtype)
    out, _ = op("conv2d", variant)[0](x, weight, bias, stride=(stride, stride + 1), padding=(K, K + 1))
    padded = np.pad(x, ((0, 0), (K, K), (K + 1, K + 1), (0, 0)))
    n, y, column, f = (int(rng.integers(size)) for size in out.shape)
    top, left = y * stride, column * (stride + 1)
    window = padded[n, top : top + K, left : left + K + 1]
    np.testing.assert_allclose(out[n, y, column, f], (window * weight[..., f]).sum() + bias[f], **loose(x))


@both
@given(pictures(least=4))
def test_conv2d_commutes_with_shifts_inside_the_picture(variant, drawn):
    x, rng = drawn
    weight = rng.standard_normal((3, 3, x.shape[3], 2)).astype(x.dtype)
    forward = op("conv2d", variant)[0]
    shifted, out = forward(np.roll(x, (1, 1), (1, 2)), weight)[0], forward(x, weight)[0]
    np.testing.assert_allclose(shifted[:, 2:-1, 2:-1], out[:, 1:-2, 1:-2], **loose(x))


@both
def test_conv2d_of_a_1x1_picture_uses_only_the_centre_of_the_kernel(variant):
    x, weight = np.array([[[[2.0, -1.0]]]]), np.random.default_rng(0).standard_normal((3, 3, 2, 5))
    np.testing.assert_allclose(op("conv2d", variant)[0](x, weight)[0], x @ weight[1, 1], rtol=1e-14)


@both
@given(pictures(), st.integers(1, 5), st.integers(1, 4))
def test_conv2d_with_same_padding_has_size_over_stride_rounded_up(variant, drawn, K, stride):
    x, _ = drawn
    out, _ = op("conv2d", variant)[0](x, np.ones((K, K, x.shape[3], 1), x.dtype), stride=stride)
    assert out.shape[1:3] == (-(-x.shape[1] // stride), -(-x.shape[2] // stride))
    assert out.shape[1:3] == ops.conv2d_output_size(x.shape[1:3], K, stride=stride)


@both
@given(pictures())
def test_conv2d_backward_can_omit_the_input_gradient(variant, drawn):
    x, rng = drawn
    forward, backward = op("conv2d", variant)
    out, cache = forward(x, rng.standard_normal((3, 3, x.shape[3], 2)).astype(x.dtype))
    (dx, dweight, dbias), (none, same, _) = backward(out, cache), backward(out, cache, input_gradient=False)
    assert dx.shape == x.shape
    assert none is dbias is None
    np.testing.assert_array_equal(dweight, same)


@both
@pytest.mark.parametrize(("x", "weight", "bias", "settings"), [
    ((2, 3, 3, 2), (5, 5, 2, 1), None, {"padding": "valid"}),
    ((2, 3, 3, 2), (5, 5, 2, 1), None, {"padding": 0}),
    ((2, 3, 3, 2), (3, 3, 3, 1), None, {}),
    ((3, 3, 2), (3, 3, 2, 1), None, {}),
    ((2, 3, 3, 2), (3, 3, 2, 4), 3, {}),
    ((0, 4, 4, 1), (3, 3, 1, 1), None, {}),
    ((1, 4, 4, 1), (0, 3, 1, 1), None, {}),
    ((1, 4, 4, 1), (3, 3, 1, 1), None, {"stride": 0}),
    ((1, 4, 4, 1), (3, 3, 1, 1), None, {"padding": "Same"}),
    ((1, 4, 4, 1), (3, 3, 1, 1), None, {"padding": -1}),
])  # fmt: skip
def test_conv2d_rejects_impossible_shapes(variant, x, weight, bias, settings):
    with pytest.raises(ShapeError, match="conv2d"):
        op("conv2d", variant)[0](np.ones(x), np.ones(weight), None if bias is None else np.ones(bias), **settings)


@both
@given(pictures())
def test_samples_of_a_batch_are_independent(variant, drawn):
    """Every op except batch normalisation processes each sample on its own."""
    x, rng = drawn
    weight = rng.standard_normal((3, 3, x.shape[3], 2)).astype(x.dtype)
    turned, single = weight.swapaxes(2, 3), weight[:, :, :1, :1].repeat(x.shape[3], 3)
    for name, more in (("conv2d", (weight,)), ("conv_transpose2d", (turned,)), ("depthwise_conv2d", (single,)),
                       ("max_pool2d", ()), ("relu", ()), ("softmax", ())):  # fmt: skip
        forward, _ = op(name, variant)
        whole, parts = forward(x, *more)[0], [forward(x[n : n + 1], *more)[0] for n in range(len(x))]
        whole, parts = (whole[0], [p[0] for p in parts]) if name == "max_pool2d" else (whole, parts)
        np.testing.assert_allclose(whole, np.concatenate(parts), **loose(x), err_msg=name)


# --- batch norm ----------------------------------------------------------------------------------------------


def batch(x):
    """Return pictures with enough values per channel for statistics."""
    return np.concatenate([x, x[:, ::-1] + np.linspace(0.5, 1.5, x.shape[2], dtype=x.dtype)[:, None]])


@both
@given(pictures(least=2))
def test_batchnorm2d_sets_mean_and_deviation(variant, drawn):
    x, rng = batch(drawn[0]), drawn[1]
    gamma, beta = rng.standard_normal((2, x.shape[3])).astype(x.dtype)
    (out, mean, var), _ = op("batchnorm2d", variant)[0](x, gamma, beta)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(var, x.astype(float).var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(out.astype(float).mean((0, 1, 2)), beta, atol=1e-5)
    np.testing.assert_allclose(out.astype(float).std((0, 1, 2)), np.abs(gamma) * np.sqrt(var / (var + 1e-5)), rtol=1e-4)


@both
@given(pictures(least=2), st.floats(0.5, 20), st.floats(-5, 5))
def test_batchnorm2d_ignores_scale_and_shift_of_its_input(variant, drawn, scale, shift):
    x = batch(drawn[0]).astype(float)
    ones, forward = np.ones(x.shape[3]), op("batchnorm2d", variant)[0]
    (out, *_), _ = forward(x, ones, 0 * ones, eps=1e-12)
    (same, *_), _ = forward(scale * x + shift, ones, 0 * ones, eps=1e-12)
    np.testing.assert_allclose(out, same, atol=1e-7)


@typed
def test_batchnorm2d_keeps_its_digits_far_from_zero(variant, dtype):
    """The one-pass formula mean(x^2) - mean(x)^2 would lose all digits of the variance."""
    eps = np.finfo(dtype).eps
    offset = dtype(1e-3 / eps)  # floating-point numbers near the offset are about 0.001 apart
    x = np.random.default_rng(0).standard_normal((4, 32, 32, 3)).astype(dtype) + offset
    (out, mean, var), _ = op("batchnorm2d", variant)[0](x, np.ones(3, dtype), np.zeros(3, dtype))
    exact = (x - offset).astype(float)
    np.testing.assert_allclose((mean - offset).astype(float), exact.mean((0, 1, 2)), atol=eps * offset)
    np.testing.assert_allclose(var, exact.var((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(out, (exact - exact.mean((0, 1, 2))) / exact.std((0, 1, 2)), atol=2e-3)


@both
@given(pictures())
def test_batchnorm2d_uses_given_statistics_instead_of_the_batch(variant, drawn):
    x, rng = drawn
    C = x.shape[3]
    mean, gamma, beta = rng.standard_normal((3, C)).astype(x.dtype)
    var = rng.uniform(0.5, 2, C).astype(x.dtype)
    forward = op("batchnorm2d", variant)[0]
    (out, same_mean, same_var), _ = forward(x, gamma, beta, mean=mean, var=var)
    (one, *_), _ = forward(x[:1, :1, :1], gamma, beta, mean=mean, var=var)
    np.testing.assert_array_equal(out[:1, :1, :1], one)
    np.testing.assert_array_equal([same_mean, same_var], [mean, var])


@both
def test_batchnorm2d_rejects_single_values_and_wrong_shapes(variant):
    forward, one = op("batchnorm2d", variant)[0], np.ones(3)
    with pytest.raises(ShapeError, match="one value per channel"):
        forward(np.ones((1, 1, 1, 3)), one, one)
    with pytest.raises(ShapeError, match="mean and var"):
        forward(np.ones((2, 2, 2, 3)), one, one, mean=one)
    with pytest.raises(ShapeError, match=r"gamma \(2,\)"):
        forward(np.ones((2, 2, 2, 3)), one[:2], one)


# --- activations ---------------------------------------------------------------------------------------------


@both
@given(pictures(values="ties"))
def test_relu_and_its_gradient_are_zero_where_x_is_not_positive(variant, drawn):
    x, rng = drawn
    forward, backward = op("relu", variant)
    out, cache = forward(x)
    np.testing.assert_array_equal(out, np.where(x > 0, x, 0))
    np.testing.assert_array_equal(forward(out)[0], out)
    dout = rng.standard_normal(x.shape).astype(x.dtype)
    np.testing.assert_array_equal(backward(dout, cache), np.where(x > 0, dout, 0))  # 0 at x = 0, as in PyTorch


@both
@given(pictures(), st.floats(-1e3, 1e3))
def test_softmax_sums_to_one_and_ignores_shifts(variant, drawn, shift):
    x, rng = drawn
    forward, backward = op("softmax", variant)
    probs, cache = forward(x)
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(forward(x.astype(float) + shift)[0], forward(x.astype(float))[0], rtol=1e-9, atol=1e-12)
    dx = backward(rng.standard_normal(x.shape).astype(x.dtype), cache)
    np.testing.assert_allclose(dx.sum(-1), 0, atol=1e-5)


@both
def test_softmax_of_huge_logits_is_exact(variant):
    probs, _ = op("softmax", variant)[0](np.array([[1e4, 0.0, -1e4], [-np.inf, 0.0, 0.0]]))
    np.testing.assert_array_equal(probs, [[1, 0, 0], [0, 0.5, 0.5]])


@typed
def test_cross_entropy_is_exact_where_logits_are_huge(variant, dtype):
    """The loss is log 2 for any two equal logits."""
    for value in (0, 1e4, 1e8, -1e8):
        loss, _ = op("softmax_cross_entropy", variant)[0](np.full((1, 2), value, dtype), np.zeros(1, np.uint8))
        assert loss == pytest.approx(np.log(2), rel=1e-6)
