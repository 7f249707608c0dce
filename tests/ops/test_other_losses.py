"""Label smoothing, focal loss and Dice loss: values by hand, and properties that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from properties import both, few, op
from test_loss import VOID, labelled

from tinysegnet.errors import DataError, SettingError, ShapeError

CE, FOCAL, DICE = "softmax_cross_entropy", "focal_loss", "dice_loss"


def loss_of(name, variant, logits, labels, **settings):
    forward, backward = op(name, variant)
    loss, cache = forward(logits, labels, ignore_label=VOID, **settings)
    return loss, backward(1.0, cache)


# --- label smoothing -------------------------------------------------------------------------------------------------


@both
def test_smoothed_cross_entropy_equals_a_target_by_hand(variant):
    """Of two classes with p = (3/4, 1/4), smoothing 0.2 makes the target (0.9, 0.1)."""
    logits, labels = np.array([[np.log(3), 0.0]]), np.array([0])
    loss, gradient = loss_of(CE, variant, logits, labels, label_smoothing=0.2)
    assert loss == pytest.approx(-0.9 * np.log(3 / 4) - 0.1 * np.log(1 / 4), rel=1e-14)
    np.testing.assert_allclose(gradient, [[3 / 4 - 0.9, 1 / 4 - 0.1]], rtol=1e-13)
    weighted, gradient = loss_of(CE, variant, logits, labels, label_smoothing=0.2, class_weights=np.array([1.0, 5.0]))
    assert weighted == pytest.approx(-0.9 * np.log(3 / 4) - 5 * 0.1 * np.log(1 / 4), rel=1e-14)
    np.testing.assert_allclose(gradient, [[(0.9 + 0.5) * 3 / 4 - 0.9, (0.9 + 0.5) / 4 - 0.5]], rtol=1e-13)


@both
def test_smoothed_cross_entropy_rejects_shares_outside_its_range(variant):
    for wrong in (-0.1, 1.0, np.nan, "a", True):
        with pytest.raises(SettingError, match="label_smoothing"):
            loss_of(CE, variant, np.zeros((1, 2)), np.zeros(1, int), label_smoothing=wrong)


@both
@few
@given(labelled())
def test_smoothed_losses_ignore_void_pixels_and_shifts_of_the_logits(variant, drawn):
    logits, labels, _, rng = drawn
    moved = logits.astype(float) + rng.standard_normal((*labels.shape, 1))
    moved[labels == VOID] = 99 * rng.standard_normal(moved[labels == VOID].shape)
    moved[labels == VOID, 0] = np.nan
    for name, settings in ((CE, {"label_smoothing": 0.3}), (FOCAL, {}), (DICE, {})):
        loss, gradient = loss_of(name, variant, logits, labels, **settings)
        assert loss >= 0
        assert (gradient[labels == VOID] == 0).all()
        np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-6)
        same, gradient = loss_of(name, variant, moved, labels, **settings)
        np.testing.assert_allclose(same, loss, rtol=1e-5, atol=1e-6)
        assert (gradient[labels == VOID] == 0).all()


# --- focal loss ------------------------------------------------------------------------------------------------------


@both
@few
@given(labelled())
def test_focal_loss_of_gamma_0_is_the_cross_entropy(variant, drawn):
    logits, labels, weights, _ = drawn
    loss, gradient = loss_of(FOCAL, variant, logits, labels, class_weights=weights, gamma=0)
    expected, same = loss_of(CE, variant, logits, labels, class_weights=weights)
    np.testing.assert_allclose(loss, expected, rtol=1e-6 if logits.dtype == np.float32 else 1e-14)
    np.testing.assert_allclose(gradient, same, atol=1e-7 if logits.dtype == np.float32 else 1e-15)


@both
def test_focal_loss_equals_its_value_by_hand(variant):
    """p = 3/4 is discounted by (1/4)^2, and p = 1/4 by (3/4)^2; the mean is over two pixels."""
    logits = np.array([[np.log(3), 0.0], [np.log(3), 0.0]])
    loss, _ = loss_of(FOCAL, variant, logits, np.array([0, 1]), gamma=2, class_weights=[1, 10])
    assert loss == pytest.approx(-(np.log(3 / 4) / 16 + 10 * np.log(1 / 4) * 9 / 16) / 2, rel=1e-14)


@both
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_focal_loss_is_finite_where_the_softmax_saturates(variant, gamma):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [40.0, 0.0, 0.0]])
    loss, gradient = loss_of(FOCAL, variant, logits, np.array([0, 0, 0]), gamma=gamma)
    assert loss == pytest.approx(2e4 / 3)  # only the second pixel counts
    np.testing.assert_allclose(gradient, np.array([[0, 0, 0], [-1, 1, 0], [0, 0, 0]]) / 3, atol=1e-8)


@both
def test_focal_loss_rejects_wrong_arguments(variant):
    for wrong in (-1, np.inf, "2"):
        with pytest.raises(SettingError, match="gamma"):
            loss_of(FOCAL, variant, np.zeros((1, 2)), np.zeros(1, int), gamma=wrong)
    with pytest.raises(ShapeError, match="2 classes"):
        loss_of(FOCAL, variant, np.zeros((1, 2)), np.zeros(1, int), class_weights=np.ones(3))


# --- Dice ------------------------------------------------------------------------------------------------------------


@both
def test_dice_loss_equals_its_value_by_hand(variant):
    """Class 0 has one pixel, class 1 has one, class 2 has none and does not count, and one pixel is void."""
    probs = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8]])
    loss, _ = loss_of(DICE, variant, np.log(probs), np.array([0, 1, VOID]))
    assert loss == pytest.approx(1 - 2 * 0.5 / (0.75 + 1), rel=1e-14)  # both classes have the same Dice coefficient


@both
def test_dice_loss_is_0_for_a_perfect_prediction_and_1_for_a_wrong_one(variant):
    labels = np.array([[0, 1, 1, 2]])
    right = 1e3 * (labels[..., None] == np.arange(4))
    assert loss_of(DICE, variant, right, labels)[0] == 0
    assert loss_of(DICE, variant, right, (labels + 1) % 3)[0] == 1


@both
def test_dice_loss_counts_rare_classes_as_much_as_common_ones(variant):
    """A class of 1 pixel among 99 others, completely missed, costs as much as half of the loss."""
    labels = np.zeros(100, int)
    labels[7] = 1
    logits = np.tile([1e3, 0.0], (100, 1))
    assert loss_of(DICE, variant, logits, labels)[0] == pytest.approx(1 - (2 * 99 / 199 + 0) / 2)


# --- all -------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", [FOCAL, DICE])
def test_other_losses_are_0_without_labelled_pixels_and_reject_wrong_labels(variant, name):
    logits = np.random.default_rng(0).standard_normal((2, 3, 4))
    loss, gradient = loss_of(name, variant, logits, np.full((2, 3), VOID))
    assert loss == 0
    assert not gradient.any()
    for label in (-1, 4, 2**32):
        labels = np.zeros((2, 3), np.int64)
        labels[1, 2] = label
        with pytest.raises(DataError, match=rf"label {label} at \(1, 2\)"):
            loss_of(name, variant, logits, labels)


@both
@pytest.mark.parametrize("name", [FOCAL, DICE])
def test_a_nan_of_a_labelled_pixel_reaches_the_loss(variant, name):
    logits, labels = np.zeros((2, 3, 4)), np.zeros((2, 3), int)
    logits[1, 1, 2] = np.nan
    assert np.isnan(loss_of(name, variant, logits, labels)[0])
    labels[1, 1] = VOID
    assert np.isfinite(loss_of(name, variant, logits, labels)[0])
