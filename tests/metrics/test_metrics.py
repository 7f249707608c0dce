"""The confusion matrix and its scores equal manual counts, loops that follow the definition, and scikit-learn."""

import json
import math
import re

import numpy as np
import pytest

from tinysegnet import metrics
from tinysegnet.errors import DataError, ShapeError
from tinysegnet.metrics import Scores, confusion_matrix
from tinysegnet.metrics.scores import RankCounts

VOID = 9


def loop_confusion(labels, predictions, num_classes, ignore_label):
    matrix = [[0] * num_classes for _ in range(num_classes)]
    for truth, prediction in zip(labels.ravel().tolist(), predictions.ravel().tolist(), strict=True):
        if truth != ignore_label:
            matrix[truth][prediction] += 1
    return matrix


def test_matrix_and_scores_equal_counts_by_hand():
    labels = np.array([[0, 0, 1], [1, 2, VOID]], np.uint8)
    predictions = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    matrix = confusion_matrix(labels, predictions, 3, ignore_label=VOID)
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]  # one row per true class
    scores = Scores.from_confusion(matrix)
    assert scores.pixels.tolist() == [2, 2, 1]
    np.testing.assert_allclose(scores.accuracy, [1 / 2, 1, 0])
    np.testing.assert_allclose(scores.IoU, [1 / 3, 2 / 3, 0])
    np.testing.assert_allclose([scores.G, scores.C, scores.mIoU], [3 / 5, 1 / 2, 1 / 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64])
def test_the_matrix_equals_loops_for_every_dtype(dtype):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 33, (2, 17, 23)).astype(dtype)  # 32 classes: 31 * 32 + 31 overflows 8 bits
    predictions = rng.integers(0, 32, labels.shape).astype(np.uint8)
    matrix = confusion_matrix(labels, predictions, 32, ignore_label=32)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == loop_confusion(labels, predictions, 32, 32)
    assert matrix.sum() == (labels != 32).sum()


def test_the_matrices_of_parts_add_up():
    rng = np.random.default_rng(4)
    labels, predictions = rng.integers(0, 5, (2, 4, 6, 7))
    parts = sum(confusion_matrix(t, p, 5) for t, p in zip(labels, predictions, strict=True))
    np.testing.assert_array_equal(parts, confusion_matrix(labels, predictions, 5))


def test_only_the_label_decides_whether_a_pixel_is_void():
    labels = np.array([VOID, VOID, 0])
    assert confusion_matrix(labels, np.array([1, 200, 1]), 2, ignore_label=VOID).tolist() == [[0, 1], [0, 0]]
    with pytest.raises(DataError, match=r"prediction 9 at index \(2,\)"):  # "void" predicted on a labelled pixel
        confusion_matrix(labels, np.array([0, 0, VOID]), 2, ignore_label=VOID)


def test_wrong_values_and_shapes_are_rejected():
    labels = np.zeros((2, 3), np.uint8)
    labels[1, 2] = 37
    with pytest.raises(DataError, match=r"label 37 at index \(1, 2\).*0\.\.10.*11"):
        confusion_matrix(labels, np.zeros_like(labels), 11, ignore_label=11)
    with pytest.raises(DataError, match=r"prediction -1 at index \(0, 1\)"):
        confusion_matrix(np.zeros((1, 2), int), np.array([[0, -1]]), 2)
    for truth, prediction in (([0], [2]), ([2], [0])):  # the smallest value that is not a class
        with pytest.raises(DataError, match="2 at index"):
            confusion_matrix(np.array(truth), np.array(prediction), 2)
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\)"):
        confusion_matrix(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
    with pytest.raises(ShapeError, match="float64"):
        confusion_matrix(np.zeros((2, 3), int), np.zeros((2, 3)), 2)
    with pytest.raises(ShapeError, match="square"):
        Scores.from_confusion(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"3.*2"):
        Scores.from_confusion(np.eye(2), names="abc")


def test_absent_classes_do_not_count_unless_they_are_predicted():
    # Class 1 does not occur and counts in no mean. Class 2 is only predicted, so its IoU is 0, and it has no accuracy.
    matrix = np.array([[6, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]])
    scores = Scores.from_confusion(matrix, ["Sky", "Fence", "Car", "Road"])
    np.testing.assert_array_equal(scores.accuracy, [0.75, np.nan, np.nan, 1])
    np.testing.assert_array_equal(scores.IoU, [0.75, np.nan, 0, 1])
    np.testing.assert_allclose([scores.G, scores.C, scores.mIoU], [10 / 12, 1.75 / 2, 1.75 / 3])
    sky, fence, car, road = scores.table().splitlines()[1:5]
    assert sky.split() == ["Sky", "8", "66.7", "%", "0.750", "0.750"]
    assert fence.split() == ["Fence", "0", "absent", "-", "-"]
    assert car.split() == ["Car", "0", "absent", "-", "0.000"]
    assert road.split() == ["Road", "4", "33.3", "%", "1.000", "1.000"]
    assert "(2 of 4 classes present)" in scores.table()
    assert scores.table().splitlines()[-1].endswith(": Car")


def test_the_table_shows_a_baseline_beside_the_scores():
    scores = Scores.from_confusion(np.array([[1500, 500], [0, 0]]), ["Sky", "Tree"])
    baseline = Scores.from_confusion(np.array([[1000, 1000], [0, 0]]), ["Sky", "Tree"])
    head, sky, tree, averages, beside = scores.table(baseline, "position prior").splitlines()[:5]
    assert head.endswith("IoU  position prior: IoU")
    assert sky.split() == ["Sky", "2,000", "100.0", "%", "0.750", "0.750", "0.500"]
    assert tree.split() == ["Tree", "0", "absent", "-", "0.000", "0.000"]
    assert len(head) == len(sky) == len(tree)
    assert averages.startswith("G 0.750")
    assert beside == "G 0.500  C 0.500  mIoU 0.250  position prior"


def test_as_dict_returns_plain_numbers_for_json():
    scores = Scores.from_confusion(np.array([[3, 1], [0, 0]]), ["Sky", "Tree"])
    values = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert values["G"] == values["C"] == 0.75
    assert values["IoU"] == {"Sky": 0.75, "Tree": 0.0}
    assert values["accuracy"] == {"Sky": 0.75, "Tree": None}
    assert values["pixels"] == {"Sky": 4, "Tree": 0}


TABLE = """\
class         pixels    share  accuracy     IoU  guess: IoU
a                  4   80.0 %     1.000   0.800       0.600
bc                 0   absent         -       -           -
d                  1   20.0 %     0.000   0.000       0.000
G 0.800  C 0.500  mIoU 0.400  (2 of 3 classes present)
G 0.600  C 0.375  mIoU 0.300  guess"""


def test_the_table_has_aligned_columns():
    """Class d is labelled but never found, and this is not "predicted but absent from the labels"."""
    names = ("a", "bc", "d")
    scores = Scores.from_confusion(np.array([[4, 0, 0], [0, 0, 0], [1, 0, 0]]), names)
    guess = Scores.from_confusion(np.array([[3, 0, 1], [0, 0, 0], [1, 0, 0]]), names)
    assert scores.table(guess, "guess") == TABLE


def test_scores_without_labelled_pixels_are_nan():
    with np.errstate(all="raise"):
        scores = Scores.from_confusion(np.zeros((2, 2), np.int64))
    assert all(math.isnan(v) for v in (scores.G, scores.C, scores.mIoU))
    assert scores.as_dict()["mIoU"] is None
    assert "nan" in scores.table()


@pytest.mark.long  # importing scikit-learn takes a second; the tests above and below make the same claim
def test_scores_equal_those_of_scikit_learn():
    from sklearn import metrics as sk

    rng = np.random.default_rng(5)
    labels, predictions = rng.integers(0, 6, (2, 3, 20, 25))
    labels[:, 3:5] = VOID
    labels[labels == 4] = 0  # class 4 is only predicted, and class 5 does not occur
    labels[labels == 5] = predictions[predictions == 5] = 1
    scores = Scores.from_confusion(confusion_matrix(labels, predictions, 6, VOID))
    truth, found = labels[labels != VOID], predictions[labels != VOID]
    np.testing.assert_array_equal(scores.confusion, sk.confusion_matrix(truth, found, labels=range(6)))
    assert sk.accuracy_score(truth, found) == scores.G
    np.testing.assert_allclose(scores.accuracy[:4], sk.recall_score(truth, found, labels=range(4), average=None))
    np.testing.assert_allclose(scores.IoU[:5], sk.jaccard_score(truth, found, labels=range(5), average=None))
    np.testing.assert_allclose(scores.C, sk.recall_score(truth, found, labels=range(4), average="macro"))
    np.testing.assert_allclose(scores.mIoU, sk.jaccard_score(truth, found, labels=range(5), average="macro"))
    assert np.isnan([scores.accuracy[4], scores.accuracy[5], scores.IoU[5]]).all()


@pytest.mark.long
def test_auroc_equals_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    values, positive = rng.integers(0, 9, 400) / 8, rng.random(400) < 0.3  # many values are equal
    assert abs(metrics.auroc(values, positive) - roc_auc_score(positive, values)) < 1e-12
    assert np.isnan(metrics.auroc(values, np.zeros(400, bool)))
    counts = RankCounts()
    for part in np.split(np.arange(400), 4):
        counts.add(values[part], positive[part])
    assert abs(counts.auroc() - metrics.auroc(values, positive)) < 1e-12
    assert np.isnan(RankCounts().auroc())


@pytest.mark.parametrize(("values", "positive"), [
    (np.ones(3), np.ones(2, bool)), (np.ones((2, 3)), np.ones((3, 2), bool)), (np.ones(2), np.ones(2)),
    (np.array(["a", "b"]), np.ones(2, bool)), (np.ones(2, complex), np.ones(2, bool)),
])  # fmt: skip
def test_auroc_takes_numbers_and_booleans_of_one_shape(values, positive):
    with pytest.raises(ShapeError, match="numbers and booleans"):
        metrics.auroc(values, positive)


@pytest.mark.parametrize("matrix", [np.ones(3), np.ones((2, 3)), np.array([["a"]]), np.ones((2, 3, 2)), np.ones(())])
def test_counts_need_square_matrices_of_numbers(matrix):
    for function in (metrics.class_counts, Scores.from_confusion):
        with pytest.raises(ShapeError, match="square"):
            function(matrix)
    with pytest.raises(ShapeError, match="square"):
        Scores.from_confusion(np.ones((2, 2, 2)))
    assert metrics.class_counts(np.eye(2, dtype=bool)).tolist() == [[1, 1]] * 3


def pairs_in_order(values, positive):
    """Return the AUROC by its definition: over all pairs, how often the positive is larger, with ties as one half."""
    values = np.asarray(values).tolist()
    pairs = [(p, n) for p, yes in zip(values, positive, strict=True) if yes
             for n, no in zip(values, positive, strict=True) if not no]  # fmt: skip
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)


@pytest.mark.parametrize("seed", range(6))
def test_auroc_equals_the_definition_over_all_pairs(seed):
    rng = np.random.default_rng(seed)
    size = (7, 9)
    values = [rng.random(size), rng.integers(0, 4, size) / 4, np.zeros(size)][seed % 3].astype(np.float32)
    positive = rng.random(size) < (0.1, 0.7)[seed % 2]
    right = pairs_in_order(values.ravel(), positive.ravel())
    assert metrics.auroc(values, positive) == pytest.approx(right, rel=1e-12)
    counts = RankCounts()
    for part in (np.s_[:2], np.s_[2:]):
        counts.add(values[part], positive[part])
    assert np.isnan(metrics.auroc(values, np.zeros(size, bool)))
    assert np.isnan(metrics.auroc(values, np.ones(size, bool)))
    assert np.isnan(RankCounts().auroc())
    assert counts.auroc() == pytest.approx(right, abs=2e-3 if seed % 3 == 0 else 1e-12)  # three digits


@pytest.mark.parametrize("value", [2.0**-20, 0.25, 1.0, 2.0**20])
def test_the_histogram_of_auroc_separates_values_that_differ_by_1_in_2048(value):
    """A power of two begins a bin, which is 2^-11 of it wide."""

    def of_two(low, high):
        counts = RankCounts()
        counts.add(np.float32([low, high]), np.array([False, True]))
        return counts.auroc()

    width = value / 2048
    assert of_two(value, value + width) == 1
    assert of_two(value + width, value) == 0
    assert of_two(value, np.nextafter(np.float32(value + width), np.float32(0))) == 0.5
    assert of_two(np.nextafter(np.float32(value), np.float32(0)), value) == 1
    assert of_two(0.0, value) == 1
    assert of_two(0.0, 0.0) == 0.5


def test_the_histogram_of_auroc_takes_the_largest_numbers_and_infinity():
    counts = RankCounts()
    counts.add(np.array([0.0, 1e-45, 3e38, np.inf]), np.array([False, False, True, True]))
    assert counts.auroc() == 1
    assert counts.counts.nbytes == 8 << 20


@pytest.mark.parametrize("classes", [1, 2, 11, 127, 128, 254, 255])
def test_labels_up_to_the_last_class_count_and_the_next_one_is_refused(classes):
    last = classes - 1
    labels, predictions = np.array([[0, last], [last, 0]], np.uint8), np.array([[0, last], [0, last]], np.uint8)
    assert confusion_matrix(labels, predictions, classes).tolist() == loop_confusion(labels, predictions, classes, None)
    beyond = labels.copy()
    beyond[-1, -1] = classes
    with pytest.raises(DataError, match=rf"label {classes} at index \(1, 1\).*0\.\.{last}"):
        confusion_matrix(beyond, predictions, classes)
    assert confusion_matrix(beyond, predictions, classes, ignore_label=classes).sum() == 3
    with pytest.raises(DataError, match=rf"prediction {classes} at index \(1, 1\)"):
        confusion_matrix(labels, beyond, classes, ignore_label=255 if classes < 255 else None)


def test_void_may_be_any_number_outside_the_classes():
    predictions = np.array([0, 1, 1, 0])
    for void in (-1, 2, 255, 65535):
        labels = np.array([0, void, 1, void])
        assert confusion_matrix(labels, predictions, 2, void).tolist() == [[1, 0], [0, 1]]
    everything = confusion_matrix(np.full((2, 3), 255), np.zeros((2, 3), int), 4, 255)
    assert everything.shape == (4, 4)
    assert not everything.any()


def test_a_collector_scores_the_uncertainty_of_labelled_pixels():
    labels, predictions = np.array([[0, 1, 9]]), np.array([[0, 0, 0]])
    collector = metrics.Collector(2, 9)
    collector.add(labels, predictions, uncertainty=np.array([[0.1, 0.8, 0.9]]), MSP=np.array([[0.5, 0.5, 0.9]]))
    scores = collector.scores()
    assert scores.BF is None
    assert scores.uncertainty_AUROC == scores.as_dict()["uncertainty_AUROC"] == 1
    assert scores.as_dict()["doubt_AUROC"] == 1  # the name in version 0.1
    assert scores.MSP_AUROC == scores.as_dict()["MSP_AUROC"] == 0.5
    assert re.search(r"AUROC 1\.000.*softmax.* 0\.500", scores.table())
