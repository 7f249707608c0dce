"""Properties of the softmax cross-entropy that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import both, op, pictures, typed

from tinysegnet.errors import DataError, SettingError, ShapeError

VOID = 255


@st.composite
def labelled(draw):
    """Draw logits (N, H, W, K), labels (some void, but not all), and class weights."""
    x, rng = draw(pictures())
    labels = rng.integers(0, x.shape[3], x.shape[:3]).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = VOID
    labels[0, 0, 0] = 0
    return x, labels, rng.uniform(0.5, 2, x.shape[3]), rng


def loss_of(variant, logits, labels, **settings):
    forward, backward = op("softmax_cross_entropy", variant)
    loss, cache = forward(logits, labels, ignore_label=VOID, **settings)
    return loss, backward(1.0, cache)


@both
@given(labelled(), st.sampled_from(["count", "weights"]))
def test_loss_ignores_void_pixels_and_shifts_of_the_logits(variant, drawn, normalizer):
    logits, labels, weights, rng = drawn
    settings = {"class_weights": weights, "normalizer": normalizer}
    loss, gradient = loss_of(variant, logits, labels, **settings)
    assert loss >= 0
    assert (gradient[labels == VOID] == 0).all()
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-6)
    # neither a shift of a pixel's logits nor the logits of void pixels change the loss
    moved = logits.astype(float) + rng.standard_normal((*labels.shape, 1))
    moved[labels == VOID] = 99 * rng.standard_normal(moved[labels == VOID].shape)
    np.testing.assert_allclose(loss_of(variant, moved, labels, **settings)[0], loss, rtol=1e-5, atol=1e-6)


@both
@given(labelled())
def test_loss_scales_with_class_weights_only_if_the_count_divides(variant, drawn):
    """If the sum of the weights is the divisor, a common factor of the weights changes nothing."""
    logits, labels, weights, _ = drawn
    logits = logits.astype(float)
    for normalizer, factor in (("weights", 1), ("count", 3)):
        once, gradient = loss_of(variant, logits, labels, class_weights=weights, normalizer=normalizer)
        thrice, steeper = loss_of(variant, logits, labels, class_weights=3 * weights, normalizer=normalizer)
        np.testing.assert_allclose([thrice, *steeper.ravel()], [factor * once, *factor * gradient.ravel()], rtol=1e-9)


@both
@given(labelled())
def test_loss_commutes_with_renaming_the_classes(variant, drawn):
    logits, labels, weights, rng = drawn
    order = rng.permutation(logits.shape[3])
    renamed = np.where(labels == VOID, VOID, np.argsort(order)[np.where(labels == VOID, 0, labels)]).astype(np.uint8)
    loss, gradient = loss_of(variant, logits, labels, class_weights=weights)
    same, permuted = loss_of(variant, logits[..., order], renamed, class_weights=weights[order])
    np.testing.assert_allclose(same, loss, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(permuted, gradient[..., order], rtol=1e-4, atol=1e-6)


@both
@given(labelled())
def test_loss_of_equal_logits_is_log_K(variant, drawn):
    logits, labels, _, _ = drawn
    loss, _ = loss_of(variant, 0 * logits + 7, labels)
    np.testing.assert_allclose(loss, np.log(logits.shape[3]), rtol=1e-5, atol=1e-6)


@both
def test_loss_of_huge_logits_is_finite_and_exact(variant):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]])
    loss, gradient = loss_of(variant, logits, np.array([0, 0]))
    assert loss == 1e4  # (0 + 2e4) / 2
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [-0.5, 0.5, 0]])


@typed
@pytest.mark.parametrize("normalizer", ["count", "weights"])
def test_loss_and_gradient_are_0_without_labelled_pixels(variant, dtype, normalizer):
    logits = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(dtype)
    loss, gradient = loss_of(variant, logits, np.full((2, 3, 4), VOID), normalizer=normalizer)
    assert loss == 0
    assert loss.dtype == gradient.dtype == dtype
    assert not gradient.any()


@both
def test_loss_rejects_wrong_labels_and_settings(variant):
    forward, logits = op("softmax_cross_entropy", variant)[0], np.zeros((1, 2, 3, 4))
    labels = np.zeros((1, 2, 3), np.uint8)
    labels[0, 1, 2] = 7
    with pytest.raises(DataError, match=r"label 7 at \(0, 1, 2\) .*0..3 and 255"):
        forward(logits, labels, ignore_label=255)
    with pytest.raises(DataError, match=r"0..3$"):
        forward(logits, labels)
    with pytest.raises(DataError, match="label -1"):
        forward(logits, np.full((1, 2, 3), -1))
    with pytest.raises(DataError, match="label 4294967296"):
        forward(logits, np.full((1, 2, 3), 2**32))
    with pytest.raises(ShapeError, match=r"labels .*integers.* float64"):
        forward(logits, 0.0 * labels)
    with pytest.raises(ShapeError, match=r"labels .*\(1, 2, 3\)"):
        forward(logits, labels[0])
    with pytest.raises(ShapeError, match="4 classes"):
        forward(logits, 0 * labels, class_weights=np.ones(3))
    with pytest.raises(SettingError, match="normalizer"):
        forward(logits, 0 * labels, normalizer="mean")


@both
@pytest.mark.parametrize("K", [1, 2, 4, 128, 200])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int64, np.uint64])
def test_loss_accepts_exactly_the_labels_of_its_classes(variant, K, dtype):
    forward, logits, most = op("softmax_cross_entropy", variant)[0], np.zeros((2, K)), np.iinfo(dtype).max
    for label in {0, K - 1, K, K + 1, most} & {*range(most + 1)} if most < 1 << 16 else {0, K - 1, K, 1 << 32}:
        labels = np.array([0, label], dtype)
        if label < K:
            assert forward(logits, labels)[0] == pytest.approx(np.log(K))
        else:
            with pytest.raises(DataError, match=rf"label {label} at \(1,\)"):
                forward(logits, labels)
            assert forward(logits, labels, ignore_label=label)[0] == pytest.approx(np.log(K))
            with pytest.raises(DataError):
                forward(logits, labels, ignore_label=label + 1)


@both
def test_binary_loss_accepts_only_0_1_and_void(variant):
    forward = op("sigmoid_cross_entropy", variant)[0]
    for label in (2, 3, 255):
        with pytest.raises(DataError, match=f"label {label} at"):
            forward(np.zeros((2, 1)), np.array([1, label], np.uint8))
        assert forward(np.zeros((2, 1)), np.array([1, label], np.uint8), ignore_label=label)[0] == np.log(2)
    with pytest.raises(ShapeError, match=r"\(\.\.\., 1\)"):
        forward(np.zeros((2, 2)), np.zeros(2, np.uint8))
