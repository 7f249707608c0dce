"""Boundary F1 equals manual counts on small pictures, and loops that follow the definition."""

import math

import numpy as np
import pytest

from tinysegnet.errors import DataError, ShapeError
from tinysegnet.metrics import boundary_f1, boundary_f1_by_distance, boundary_map

VOID = 9


def drawn(*rows):
    """Make a label map from strings: digits are labels, # is 1, . is 0, and v is void."""
    return np.array([[int(c.translate(str.maketrans("#.v", "109"))) for c in row] for row in rows])


def within(pixels, shape):
    """Return the tolerance for slightly more than this number of pixels in a picture of this shape."""
    return (pixels + 0.01) / math.hypot(*shape)


# --- boundary maps ----------------------------------------------------------------------------------------------------

MAPS = {
    "inside": (("......", "..##..", "..##..", "......"), (".###..", ".#.#..", ".###..", "......")),
    "at the last row and column": (("....", "....", "..##"), ("....", ".###", ".#..")),
    "at the first row and column": (("##..", "##..", "...."), (".#..", "##..", "....")),
    "one pixel": (("....", "..#.", "...."), (".##.", ".##.", "....")),
    "steps": (("###.", "##..", "#..."), (".##.", "##..", "#...")),
    "uniform": (("###", "###"), ("...", "...")),
    "one row": (("..##.",), (".#.#.",)),
    "all classes at once": (("0022", "1122", "1122"), ("##..", ".#..", ".#..")),
}


@pytest.mark.parametrize(("mask", "expected"), MAPS.values(), ids=MAPS)
def test_boundary_maps_equal_those_drawn_by_hand(mask, expected):
    np.testing.assert_array_equal(boundary_map(drawn(*mask)), drawn(*expected) == 1)


# --- definition -------------------------------------------------------------------------------------------------------


def loop_boundary(labels, value, unknown):
    """Return the pixels whose clipped 2 x 2 window contains `value` and another value, but nothing unknown."""
    found, (H, W) = set(), labels.shape
    for i in range(H):
        for j in range(W):
            window = [(a, b) for a in (i, i + 1) for b in (j, j + 1) if a < H and b < W]
            if len({bool(labels[at] == value) for at in window}) == 2 and not any(at in unknown for at in window):
                found.add((i, j))
    return found


def most_pairs(true, predicted, reach):
    """Return the size of a maximum matching, found by augmenting paths."""
    partner = {}

    def place(p, tried):
        for t in true:
            if t not in tried and math.dist(p, t) <= reach:
                tried.add(t)
                if t not in partner or place(partner[t], tried):
                    partner[t] = p
                    return True
        return False

    return sum(place(p, set()) for p in predicted)


def loop_f1(labels, predictions, num_classes, reach, one_to_one, unknown=frozenset()):
    scores = []
    for k in range(num_classes):
        T, P = (loop_boundary(a, k, unknown) for a in (labels, predictions))
        if not T and not P:
            continue
        found = right = most_pairs(T, P, reach)
        if not one_to_one:
            found = sum(any(math.dist(t, p) <= reach for p in P) for t in T)
            right = sum(any(math.dist(t, p) <= reach for t in T) for p in P)
        precision, recall = right / len(P) if P else 0, found / len(T) if T else 0
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0)
    return sum(scores) / len(scores)


def blobs(rng, shape, classes):
    """Draw random labels in patches of 2 x 2, with some single pixels."""
    coarse = rng.integers(0, classes, [(n + 1) // 2 for n in shape])
    labels = coarse.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]
    return np.where(rng.random(shape) < 0.1, rng.integers(0, classes, shape), labels)


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("pixels", [0, 1, 1.5, 2.3])
def test_the_scores_equal_the_definition(pixels, void):
    rng = np.random.default_rng(5)
    for shape in ((7, 10), (9, 6)):
        labels, predictions = blobs(rng, shape, 3), blobs(rng, shape, 3)
        if void:
            labels[rng.random(shape) < 0.05] = VOID
        unknown, tolerance = set(zip(*np.nonzero(labels == VOID), strict=True)), within(pixels, shape)
        for f1, one_to_one in ((boundary_f1, True), (boundary_f1_by_distance, False)):
            found = f1(labels, predictions, 3, VOID, tolerance=tolerance)
            assert found == pytest.approx(loop_f1(labels, predictions, 3, pixels + 0.01, one_to_one, unknown))
            script = f1(labels, predictions, 3, VOID, tolerance=tolerance, mask_void=False)
            assert script == pytest.approx(loop_f1(labels, predictions, 3, pixels + 0.01, one_to_one))


def test_the_score_by_distance_is_never_lower():
    rng = np.random.default_rng(6)
    for _ in range(30):
        labels, predictions = blobs(rng, (12, 15), 4), blobs(rng, (12, 15), 4)
        tolerance = within(rng.uniform(0, 4), (12, 15))
        one_to_one = boundary_f1(labels, predictions, 4, tolerance=tolerance)
        by_distance = boundary_f1_by_distance(labels, predictions, 4, tolerance=tolerance)
        assert 0 < one_to_one <= by_distance + 1e-15 <= 1 + 1e-15


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_an_outline_that_is_one_pixel_off_needs_a_tolerance_of_one():
    labels, predictions = drawn(*4 * ["...###"]), drawn(*4 * ["....##"])
    for f1 in (boundary_f1, boundary_f1_by_distance):
        assert f1(labels, labels, 2) == 1
        assert f1(labels, predictions, 2, tolerance=within(0.9, (4, 6))) == 0
        assert f1(labels, predictions, 2, tolerance=within(1, (4, 6))) == 1


def test_each_true_pixel_is_the_partner_of_only_one():
    """A line instead of an edge has 8 boundary pixels: 4 are matched one to one, and all are matched by distance."""
    labels, predictions = drawn(*4 * ["...###"]), drawn(*4 * ["...#.."])
    tolerance = within(1, labels.shape)
    assert boundary_f1(labels, predictions, 2, tolerance=tolerance) == pytest.approx(2 * 4 / (4 + 8))
    assert boundary_f1_by_distance(labels, predictions, 2, tolerance=tolerance) == 1


@pytest.mark.parametrize(("off", "score"), [(4, 1), (5, 0)])
def test_the_papers_tolerance_is_four_and_a_half_pixels(off, score):
    labels = np.zeros((360, 480), np.uint8)
    labels[:, 240:] = 1
    predictions = np.roll(labels, off, axis=1)
    predictions[:, :off] = 0
    assert boundary_f1(labels, predictions, 2) == boundary_f1_by_distance(labels, predictions, 2) == score


@pytest.mark.parametrize(("step", "pixels"), [((3, 0), 3), ((0, 3), 3), ((3, 4), 5), ((4, 3), 5), ((6, 8), 10)])
@pytest.mark.parametrize("f1", [boundary_f1, boundary_f1_by_distance])
def test_a_pair_exactly_as_far_as_the_tolerance_counts_and_one_just_beyond_does_not(f1, step, pixels):
    """In pictures of 30x40, the diagonal is 50. Only two windows of 2 x 2 are known, so each map has one pixel."""
    labels, predictions, known = np.zeros((3, 30, 40), int)
    for array, (row, column) in ((labels, (10, 10)), (predictions, (10 + step[0], 10 + step[1]))):
        array[row + 1, column + 1] = 1
        known[row : row + 2, column : column + 2] = 1
    labels[known == 0] = VOID
    assert f1(labels, predictions, 2, VOID, tolerance=pixels / 50) == 1
    assert f1(labels, predictions, 2, VOID, tolerance=pixels / 50 - 1e-12) == 0


def test_a_tolerance_of_0_counts_equal_pixels_only():
    labels, predictions = drawn(*4 * ["...###"]), drawn("...###", "...###", "....##", "....##")
    for f1, one_to_one in ((boundary_f1, True), (boundary_f1_by_distance, False)):
        assert f1(labels, labels, 2, tolerance=0) == 1
        right = loop_f1(labels, predictions, 2, 0, one_to_one)
        assert f1(labels, predictions, 2, tolerance=0) == pytest.approx(right)
        assert 0 < right < 1


@pytest.mark.parametrize("f1", [boundary_f1, boundary_f1_by_distance])
def test_the_default_tolerance_is_75_in_10000_of_the_diagonal(f1):
    labels = np.zeros((240, 320), np.uint8)  # a diagonal of 400, so 3 pixels
    labels[:, 160:] = 1
    for off, score in ((2, 1), (3, 1), (4, 0)):
        predictions = np.zeros_like(labels)
        predictions[:, 160 + off :] = 1
        assert f1(labels, predictions, 2) == score


def test_a_class_in_only_one_of_the_maps_scores_0():
    labels, three = drawn("001111", "001111", "001111"), drawn("001111", "001112", "001111")
    # Class 0 agrees. Class 1 has 3 boundary pixels in one map and 7 in the other, and class 2 has 0 and 4.
    expected = (1 + 2 * 3 / (3 + 7) + 0) / 3
    for truth, prediction in ((labels, three), (three, labels)):
        assert boundary_f1(truth, prediction, 4, tolerance=within(0, labels.shape)) == pytest.approx(expected)


def test_a_picture_without_boundaries_has_no_score():
    assert math.isnan(boundary_f1(np.zeros((4, 5), int), np.zeros((4, 5), int), 3))
    assert math.isnan(boundary_f1_by_distance(np.zeros((1, 1), int), np.zeros((1, 1), int), 3))


# --- void -------------------------------------------------------------------------------------------------------------


def test_windows_that_contain_void_are_removed_from_both_maps():
    labels = drawn("..v###", "...###", "...###", "...###", "...###")
    predictions = drawn(*5 * ["....##"])
    # The true boundary is column 2 in rows 1 to 4, and the predicted one is column 3 in rows 0 to 4.
    found = boundary_f1(labels, predictions, 2, VOID, tolerance=within(1, labels.shape))
    assert found == pytest.approx(2 * 4 / (4 + 5))


def test_a_strip_of_void_between_classes_hides_their_boundary():
    labels, predictions = drawn(*3 * ["...vv###"]), drawn(*3 * ["....####"])
    tolerance = within(0, labels.shape)
    assert math.isnan(boundary_f1(labels, predictions, 2, VOID, tolerance=tolerance))
    # As in the script, class 0 ends in column 2, class 1 begins after column 4, and both are predicted in column 3.
    assert boundary_f1(labels, predictions, 2, VOID, tolerance=tolerance, mask_void=False) == 0
    assert boundary_f1(labels, predictions, 2, VOID, tolerance=within(1, labels.shape), mask_void=False) == 1


@pytest.mark.parametrize("f1", [boundary_f1, boundary_f1_by_distance])
def test_predictions_on_void_do_not_affect_the_score(f1):
    rng = np.random.default_rng(7)
    labels, predictions = blobs(rng, (20, 24), 3), blobs(rng, (20, 24), 3)
    labels[4:9, 3:20] = VOID
    noise = rng.integers(0, 200, labels.shape)
    void = labels == VOID
    assert f1(labels, np.where(void, noise, predictions), 3, VOID) == f1(labels, predictions, 3, VOID) < 1
    assert f1(labels, np.where(void, noise, labels), 3, VOID) == 1


# --- rejections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f1", [boundary_f1, boundary_f1_by_distance])
def test_wrong_shapes_and_labels_are_rejected(f1):
    picture = np.zeros((4, 5), int)
    for mask in (np.zeros(3), np.zeros((1, 2, 3))):
        with pytest.raises(ShapeError, match=r"\(H, W\)"):
            boundary_map(mask)
    with pytest.raises(ShapeError, match=r"\(2, 4, 5\)"):
        f1(np.zeros((2, 4, 5), int), np.zeros((2, 4, 5), int), 2)
    with pytest.raises(ShapeError, match=r"\(4, 5\).*\(5, 4\)"):
        f1(picture, picture.T, 2)
    with pytest.raises(DataError, match=r"label 9 at index \(0, 0\)"):
        f1(picture + 9, picture, 2)
    with pytest.raises(DataError, match=r"prediction 2 at index \(0, 0\)"):
        f1(picture, picture + 2, 2)
