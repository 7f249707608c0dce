"""Properties of the sigmoid and its cross-entropy for any input."""

from __future__ import annotations

import numpy as np
import pytest
from forms import amount
from hypothesis import given
from hypothesis import strategies as st
from properties import both, loose, op, pictures

from tinysegnet.errors import DataError, SettingError, ShapeError

VOID = 255
any_variant = pytest.mark.parametrize("variant", amount(["numpy"], ["numpy", "numba"]))
LOSS, TWO_LOGITS = "sigmoid_cross_entropy", "softmax_cross_entropy"


@st.composite
def labelled(draw):
    """Draw logits (N, H, W, 1), labels (some void, but not all), and class weights."""
    x, rng = draw(pictures())
    labels = rng.integers(0, 2, x.shape[:3]).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = VOID
    labels[0, 0, 0] = 0
    return 3 * x[..., :1], labels, rng.uniform(0.5, 2, 2)


def loss_of(name, variant, logits, labels, **settings):
    forward, backward = op(name, variant)
    loss, cache = forward(logits, labels, ignore_label=VOID, **settings)
    return loss, backward(1.0, cache)


# --- sigmoid ---------------------------------------------------------------------------------------------------------


@any_variant
@given(pictures())
def test_sigmoid_is_the_softmax_of_two_logits(variant, drawn):
    x, rng = drawn
    probs, cache = op("sigmoid", variant)[0](x)
    both_probs, both_cache = op("softmax", variant)[0](np.stack([0 * x, x], -1))
    np.testing.assert_allclose(probs, both_probs[..., 1], **loose(x))
    np.testing.assert_allclose(op("sigmoid", variant)[0](-x)[0], 1 - probs, **loose(x))
    dout = rng.standard_normal(x.shape).astype(x.dtype)
    two = op("softmax", variant)[1](np.stack([0 * dout, dout], -1), both_cache)
    np.testing.assert_allclose(op("sigmoid", variant)[1](dout, cache), two[..., 1], **loose(x))


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_of_very_large_numbers_is_exact(variant, dtype):
    x = np.array([-np.inf, -1e4, 0, 1e4, np.inf, np.nan], dtype)
    probs, cache = op("sigmoid", variant)[0](x)
    np.testing.assert_array_equal(probs, [0, 0, 0.5, 1, 1, np.nan])
    np.testing.assert_array_equal(op("sigmoid", variant)[1](np.ones_like(x), cache), [0, 0, 0.25, 0, 0, np.nan])


# --- loss ------------------------------------------------------------------------------------------------------------


@any_variant
@given(labelled(), st.sampled_from(["count", "weights"]))
def test_the_loss_equals_the_softmax_loss_of_the_logits_0_and_z(variant, drawn, normalizer):
    z, labels, weights = drawn
    settings = {"class_weights": weights, "normalizer": normalizer}
    loss, gradient = loss_of(LOSS, variant, z, labels, **settings)
    same, both_gradients = loss_of(TWO_LOGITS, variant, np.concatenate([0 * z, z], -1), labels, **settings)
    np.testing.assert_allclose(loss, same, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient[..., 0], both_gradients[..., 1], **loose(z))
    assert not gradient[labels == VOID].any()
    # exchanging the classes changes the sign of the logits
    swapped = np.where(labels == VOID, VOID, 1 - labels.astype(int))
    settings["class_weights"] = weights[::-1]
    mirrored, opposite = loss_of(LOSS, variant, -z, swapped, **settings)
    np.testing.assert_allclose(mirrored, loss, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(opposite, -gradient, **loose(z))


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_of_very_large_logits_is_finite_and_exact(variant, dtype):
    z = np.array([[1e4], [-1e4], [1e4], [-1e4]], dtype)
    loss, gradient = loss_of(LOSS, variant, z, np.array([1, 0, 0, 1]))
    assert loss == 5e3  # (0 + 0 + 1e4 + 1e4) / 4
    np.testing.assert_array_equal(gradient[:, 0], [0, 0, 0.25, -0.25])
    assert loss_of(LOSS, variant, z[:2] * np.inf, np.array([1, 0]))[0] == 0
    loss, gradient = loss_of(LOSS, variant, np.array([[40.0]], dtype), np.array([1]))  # where sigmoid(z) rounds to 1
    np.testing.assert_allclose([loss, -gradient[0, 0]], np.exp(-40.0), rtol=1e-5)


@both
@pytest.mark.parametrize("normalizer", ["count", "weights"])
def test_a_batch_without_labels_has_loss_0_and_gradient_0(variant, normalizer):
    logits = np.random.default_rng(0).standard_normal((2, 3, 4, 1)).astype(np.float32)
    loss, gradient = loss_of(LOSS, variant, logits, np.full((2, 3, 4), VOID), normalizer=normalizer)
    assert loss == 0
    assert loss.dtype == gradient.dtype == np.float32
    assert gradient.shape == logits.shape
    assert not gradient.any()


@both
def test_the_loss_rejects_wrong_labels_shapes_and_settings(variant):
    forward, logits = op(LOSS, variant)[0], np.zeros((1, 2, 3, 1))
    labels = np.zeros((1, 2, 3), np.uint8)
    labels[0, 1, 2] = 7
    with pytest.raises(DataError, match=r"label 7 at \(0, 1, 2\) .*0..1 and 255"):
        forward(logits, labels, ignore_label=255)
    with pytest.raises(DataError, match="label -1"):
        forward(logits, np.full((1, 2, 3), -1))
    with pytest.raises(ShapeError, match=r"labels .*integers.* float64"):
        forward(logits, 0.0 * labels)
    with pytest.raises(ShapeError, match="need labels"):
        forward(logits, labels[0])
    with pytest.raises(ShapeError, match=r"logits \(..., 1\), got \(1, 2, 3, 2\)"):
        forward(np.zeros((1, 2, 3, 2)), 0 * labels)
    with pytest.raises(ShapeError, match="2 classes"):
        forward(logits, 0 * labels, class_weights=np.ones(3))
    with pytest.raises(ShapeError, match="sigmoid_cross_entropy needs arrays that are all float32"):
        forward(logits.astype(np.float16), 0 * labels)
    with pytest.raises(SettingError, match="normalizer"):
        forward(logits, 0 * labels, normalizer="mean")
