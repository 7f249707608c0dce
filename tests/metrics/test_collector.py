"""A collector counts the labelled pixels only, refuses what it cannot rank, and yields plain numbers."""

import json

import numpy as np
import pytest

from tinysegnet.errors import DataError, ShapeError
from tinysegnet.metrics import Collector, Scores, auroc, confusion_matrix
from tinysegnet.metrics.scores import RankCounts


@pytest.mark.parametrize("void", [0, 1, 2, 3, -1, 255])
def test_void_may_be_the_number_of_a_class_or_any_other(void):
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, (2, 9, 11))
    labels[rng.random(labels.shape) < 0.3] = void
    uncertainty = rng.random(labels.shape).astype(np.float32)
    collector = Collector(3, void)
    collector.add(labels, predictions, uncertainty=uncertainty)
    known, scores = labels != void, collector.scores()
    matrix = confusion_matrix(labels[known], predictions[known], 3)
    np.testing.assert_array_equal(scores.confusion, matrix)
    right = auroc(uncertainty[known], labels[known] != predictions[known])
    assert scores.uncertainty_AUROC == pytest.approx(right, abs=2e-3)
    assert abs(right - auroc(uncertainty, labels != predictions)) > 5e-3  # void pixels would change it


def test_minus_zero_counts_as_zero():
    """The entropy of a certain prediction is -(1 * log 1) = -0.0."""
    counts = RankCounts()
    counts.add(np.float32([-0.0, 0.0, 0.5, -0.0]), np.array([True, False, True, False]))
    assert counts.auroc() == auroc(np.array([0, 0, 0.5, 0]), np.array([True, False, True, False]))


@pytest.mark.parametrize("wrong", [-0.25, -np.inf, np.nan, -np.nan])
def test_uncertainties_below_zero_and_nan_are_refused_on_labelled_pixels(wrong):
    labels, predictions = np.array([[0, 1, 9]]), np.array([[0, 0, 0]])
    collector = Collector(2, 9)
    with pytest.raises(DataError, match=rf"doubt contains {wrong}"):
        collector.add(labels, predictions, doubt=np.array([[0.5, wrong, 0.5]]))
    collector.add(labels, predictions, uncertainty=np.array([[0.5, 0.75, wrong]]))  # void pixels do not count
    assert collector.scores().uncertainty_AUROC == 1


@pytest.mark.parametrize("boundary", [False, True])
@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((1, 2), bool), np.array([[0.5, -1]])], ids=str)
def test_a_refused_picture_does_not_count(wrong, boundary):
    labels, predictions, doubt = np.array([[0, 1]]), np.array([[0, 0]]), np.array([[0.25, 0.5]])
    collector, other = (Collector(2, boundary=boundary) for _ in range(2))
    for each in (collector, other):
        each.add(labels, predictions, uncertainty=doubt)
    with pytest.raises((ShapeError, DataError)):
        other.add(labels, predictions, uncertainty=doubt, MSP=wrong)
    for several in (labels[None], labels[:, 0]):  # one picture has two axes
        if boundary:
            with pytest.raises(ShapeError):
                other.add(several, 0 * several)
    assert other.scores().as_dict() == collector.scores().as_dict()


def test_no_number_for_json_is_nan():
    nan = float("nan")
    more = dict.fromkeys(("BF", "BF_by_distance", "uncertainty_AUROC", "MSP_AUROC"), nan)
    intervals = {"G": (nan, nan), "BF": (0.25, nan)}
    scores = Scores.from_confusion(np.zeros((2, 2), int), **more, intervals=intervals)
    values = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert values["intervals"] == {"G": [None, None], "BF": [0.25, None]}
    assert all(values[name] is None for name in (*more, "doubt_AUROC", "G", "C", "mIoU"))
