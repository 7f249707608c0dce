"""Each hint appears for the bug that it names, and not for a gradient that is off by slightly more than rounding."""

import numpy as np
import pytest

from tinysegnet.gradcheck.hints import Scene, find_hint

RNG = np.random.default_rng(0)
TRUE = RNG.standard_normal((4, 5, 3))
NOTHING = np.zeros(TRUE.shape, bool)


def hint(analytic, numeric=TRUE, wrong=None, x=None, arguments=(), sizes=(), sample=None, gradient_with=None):
    scene = Scene(np.zeros_like(numeric) if x is None else x, dict(arguments), dict(sizes), sample or (lambda n: None),
                  gradient_with or (lambda name, value: np.zeros(())))  # fmt: skip
    with np.errstate(all="ignore"):  # as in check
        return find_hint(analytic, numeric, np.ones(numeric.shape, bool) if wrong is None else wrong, scene)


def noisy(array, size):
    """Add noise of this size relative to the norm."""
    noise = np.random.default_rng(1).standard_normal(array.shape)
    return array + size * np.linalg.norm(array) * noise / np.linalg.norm(noise)


def test_nan_and_infinite_entries_are_counted():
    analytic = TRUE.copy()
    analytic[0, 0, :2] = np.nan, np.inf
    assert hint(analytic).startswith("2 entries are NaN or infinite")


def test_a_zero_gradient_is_told_from_a_true_gradient_of_zero():
    assert "analytic gradient is zero everywhere" in hint(0 * TRUE)
    assert "true gradient is zero everywhere" in hint(TRUE, 0.9e-5 * np.roll(TRUE, 1))
    assert "true gradient is zero everywhere" not in (hint(TRUE, 1.1e-5 * np.roll(TRUE, 1)) or "")


def test_a_common_factor_is_named():
    assert hint(TRUE / 1.5) == "numeric = 1.5 x analytic everywhere: a factor is missing or superfluous"
    assert "numeric = -1 x analytic: is it the wrong sign?" in hint(-TRUE)
    assert "numeric = -0.333333 x analytic everywhere" in hint(-3 * TRUE)
    assert hint(TRUE * (1 + 9e-6)).startswith("numeric and analytic differ by only 9.0e-06 of their size")
    assert hint(TRUE * (1 + 1.1e-5)).startswith("numeric = 0.999989 x analytic everywhere")
    assert "wrong sign" in hint(TRUE * -(1 + 9e-6))
    assert "wrong sign" not in hint(TRUE * -(1 + 1.1e-5))


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_factor_must_fit_within_a_hundred_thousandth_of_the_norm(share):
    found = hint(noisy(TRUE, share * 1e-5) * 2) or ""
    assert ("numeric = 0.5 x analytic" in found) == (share < 1)


@pytest.mark.parametrize(("c", "found"), [
    (1 / 4, "0.25 x analytic: perhaps you forgot to divide by N = 4."),
    (-1 / 4, "-0.25 x analytic: perhaps you forgot to divide by N = 4. The sign is wrong, too."),
    (4, "4 x analytic: perhaps it is a mean where a sum belongs (N = 4)."),
    (-4, "-4 x analytic: perhaps it is a mean where a sum belongs (N = 4). The sign is wrong, too."),
    (2, "2 x analytic: perhaps it is a mean where a sum belongs (2 = 2)."),
    (1 / 15, "0.06667 x analytic: perhaps you forgot to divide by H*W = 15."),
    (3, "3 x analytic everywhere"),
    (1 / 4 * (1 + 1.1e-5), "0.250003 x analytic everywhere"),
    (1 / 4 * (1 + 0.9e-5), "divide by N = 4."),
    (4 * (1 + 1.1e-5), "4.00004 x analytic everywhere"),
    (4 * (1 + 0.9e-5), "a sum belongs (N = 4)."),
])  # fmt: skip
def test_a_forgotten_size_is_named(c, found):
    text = hint(TRUE / c, sizes={"one": 1, "N": 4, "H*W": 15, "2": 2})
    assert found in text
    assert text.endswith("too.") == ("too" in found)


@pytest.mark.parametrize(("n", "name"), [(0, "the first"), (1, "number 2"), (2, "number 3"), (3, "the last")])
def test_a_gradient_of_one_sample_is_recognised(n, name):
    parts = RNG.standard_normal((4, *TRUE.shape))
    assert f"only {name} of 4 samples" in hint(parts[n], sizes={"N": 4}, sample=lambda k: parts[k])
    assert "samples" not in (hint(parts[n], wrong=NOTHING, sizes={"N": 1}, sample=lambda k: parts[n]) or "")
    assert "samples" not in (hint(parts[n], wrong=NOTHING, sample=lambda k: parts[n]) or "")


CUBE = RNG.standard_normal((3, 3, 2, 3))


@pytest.mark.parametrize(("analytic", "words"), [
    (CUBE.transpose(1, 0, 2, 3), "transposed over axes (0, 1):"),
    (CUBE.transpose(3, 1, 2, 0), "transposed over axes (0, 3):"),
    (CUBE.transpose(1, 3, 2, 0), "transposed over axes (0, 1, 3):"),
    (CUBE[::-1], "flipped along axes (0,):"),
    (CUBE[::-1, ::-1], "flipped along axes (0, 1):"),
    (CUBE[..., ::-1, :], "flipped along axes (2,):"),
    (CUBE.transpose(1, 0, 2, 3)[..., ::-1], "transposed over axes (0, 1) and flipped along axes (3,):"),
])  # fmt: skip
def test_swapped_and_flipped_axes_are_named(analytic, words):
    assert hint(analytic, CUBE).startswith(f"numeric equals analytic {words}")


def test_the_simplest_rearrangement_is_named():
    """A symmetric array is equal to its transpose, so a flip of one axis and other changes explain it as well."""
    symmetric = np.array([[1.0, 2, 3], [2, 5, 4], [3, 4, 1]])
    assert "flipped along axes (0,)" in hint(symmetric[::-1], symmetric)
    pair = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert "transposed over axes (0, 1):" in hint(pair.T, pair)
    assert "flipped along axes (0, 1):" in hint(pair[::-1, ::-1], pair)


@pytest.mark.parametrize(("shape", "found"), [((5000,), True), ((5001,), False), ((2, 2, 2, 2, 3), True),
                                              ((2, 2, 2, 2, 2, 3), False)])  # fmt: skip
def test_rearrangements_are_only_tried_for_small_arrays(shape, found):
    numeric = np.random.default_rng(1).standard_normal(shape)
    assert ("flipped" in (hint(numeric[::-1], numeric) or "")) == found


@pytest.mark.parametrize("step", [1, -1, 2, -2, 3, -3])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_is_named(step, axis):
    numeric = RNG.standard_normal((6, 5, 7))
    analytic = np.roll(numeric, -step, axis)
    lost = [slice(None)] * 3
    lost[axis] = slice(-step, None) if step > 0 else slice(None, -step)
    analytic[tuple(lost)] = 0  # so that only the overlap is equal
    assert f"shifted by {step:+d} along axis {axis}:" in hint(analytic, numeric)


def test_a_shift_needs_an_overlap_of_two():
    numeric = RNG.standard_normal((3, 1, 1))
    assert "shifted by +1" in hint(np.concatenate([numeric[1:], [[[9.0]]]]), numeric)
    assert "shifted" not in (
        hint(np.concatenate([numeric[2:], [[[9.0]], [[5.0]]]]), numeric, NOTHING[:3, :1, :1]) or ""
    )


def test_parts_of_zeros_are_not_a_shift():
    assert hint(np.array([0, 0, 0, 3.0]), np.array([2.0, 0, 0, 0]), np.zeros(4, bool)) is None


def test_a_factor_per_channel_is_named():
    c = np.array([0.5, 2, -3])
    analytic = TRUE / c
    assert (
        hint(analytic) == "numeric = c x analytic with one c per channel, 0.5, 2, -3: a factor per channel is missing"
    )
    assert hint(analytic, arguments={"other": np.ones(3), "gamma": c}) == "numeric = gamma x analytic: gamma is missing"
    assert "numeric = analytic / std: the factor std is superfluous" in hint(analytic, arguments={"std": 1 / c})
    assert "per channel is missing" in hint(analytic, arguments={"gamma": c[:2], "list": 3})
    many = np.arange(1.0, 6)
    assert "per channel, 1, 2, 3, 4, ...: a factor" in hint(np.ones((4, 5)) / many, np.ones((4, 5)))
    gone = TRUE * [0, 1, 2]
    assert "one c per channel, 0, 1, 0.5" in hint(gone, TRUE * [0, 1, 1])
    assert "channel" not in (hint(np.array([1.0, 2]), np.array([3.0, 8])) or "")


def test_a_factor_per_pixel_is_named():
    c = np.ones((4, 5, 1))
    c[0, :2], c[1, 0] = 3, 0.5
    assert "one c per pixel, 0.3333, 1, 2: is a weight missing?" in hint(TRUE * c)
    assert "one c per pixel, 0.3333, 1, 2: is a weight missing?" in hint(TRUE[..., :2] * c, TRUE[..., :2])
    void = TRUE.copy()
    void[0, 1], void[2, 3] = 0, 0
    assert "one c per pixel, 0 at 2 pixels" in hint(TRUE, void)
    same = TRUE.copy()
    same[3, 4] = 0  # both are 0 at this pixel, which therefore has no factor
    assert "pixel" not in (hint(TRUE[..., :1] * c, TRUE[..., :1]) or "")  # one channel fits any factors
    weighted = same.copy()
    weighted[0, 0] *= 2
    assert "one c per pixel, 1, 2: is a weight missing?" in hint(same, weighted)


X = RNG.standard_normal((4, 5, 3)) + 10
CENTRED = X - X.mean((0, 1))
MEAN, SLOPE = np.array([0.5, 1.0, -2.0]), np.array([3.0, 0.25, -1.0])


@pytest.mark.parametrize(("missing", "words"), [
    (MEAN + 0 * X, "one value per channel: is the term through the mean missing?"),
    (SLOPE * CENTRED, "a multiple of x - mean in each channel: is the term through the variance missing?"),
    (MEAN + SLOPE * CENTRED, "alpha + beta * x in each channel: are the terms through mean and variance missing?"),
])  # fmt: skip
def test_missing_terms_of_statistics_are_named(missing, words):
    assert hint(TRUE - missing, x=X).startswith(f"numeric - analytic is {words}")


def test_constant_arguments_have_no_terms_of_statistics():
    assert "mean" not in (hint(TRUE - SLOPE * CENTRED, wrong=NOTHING, x=np.ones(TRUE.shape)) or "")


def test_missing_terms_of_statistics_need_four_pixels():
    for pixels in (4, 3):
        numeric, x = TRUE[:pixels, 0], X[:pixels, 0]
        assert ("through the mean" in (hint(numeric - MEAN, numeric, x=x) or "")) == (pixels == 4)
    wide = RNG.normal(size=(1, 3, 12))  # 3 pixels of 12 channels, and not 12 pixels of 3
    assert "through the mean" not in (hint(wide - 1, wide, x=RNG.normal(size=wide.shape)) or "")


def test_entries_that_the_gradient_does_not_reach_are_counted():
    analytic, wrong = TRUE.copy(), NOTHING.copy()
    for index in ((0, 1, 2), (2, 3, 1), (3, 0, 0)):
        analytic[index], wrong[index] = 0, True
    assert hint(analytic, wrong=wrong).startswith("analytic is 0 at all 3 wrong entries")
    numeric = np.where(wrong, 0, TRUE)
    assert hint(TRUE, numeric, wrong).startswith("the true gradient is 0 at all 3 wrong entries")
    for share in (0.9, 1.1):
        small = np.where(wrong, share * 1e-5 * np.abs(TRUE).max(), TRUE)
        assert ("true gradient is 0" in (hint(TRUE, small, wrong) or "")) == (share < 1)
    assert hint(TRUE + np.where(TRUE > 1, 0.3, 0), wrong=NOTHING) is None


def test_an_argument_used_the_wrong_way_round_is_named():
    weight, other = RNG.standard_normal((2, 3, 3))
    asked = []

    def gradient_with(name, value):
        asked.append(name)
        return TRUE if name == "weight" and np.array_equal(value, weight[::-1]) else -TRUE

    arguments = {"labels": np.ones((3, 3), int), "bias": np.ones(3), "stride": 2, "other": other, "weight": weight}
    text = hint(np.random.default_rng(3).standard_normal(TRUE.shape), arguments=arguments, gradient_with=gradient_with)
    assert text.startswith("it would be right for weight flipped along axes (0,)")
    assert set(asked) == {"other", "weight"}
    asked.clear()
    hint(noisy(TRUE, 1), wrong=NOTHING, arguments={"w": np.ones((2,) * 5)}, gradient_with=gradient_with)
    assert len(asked) == 40  # of 3839 rearrangements


@pytest.mark.parametrize(("places", "words"), [
    ([(1, 0, 0), (1, 4, 2)], "at index 1 of axis 0 (of 4)"),
    ([(0, 3, 0), (2, 3, 2)], "at index 3 of axis 1 (of 5)"),
    ([(0, 0, 0), (1, 4, 1)], "at the two ends of axis 1: is it a border?"),
    ([(0, 2, 0), (3, 1, 1)], "at the two ends of axis 0: is it a border?"),
    ([(0, 2, 0), (1, 1, 1)], None),
])  # fmt: skip
def test_wrong_entries_in_one_place_are_located(places, words):
    analytic, wrong = TRUE.copy(), NOTHING.copy()
    for index in places:
        analytic[index] += 7 + index[0]
        wrong[index] = True
    found = hint(analytic, wrong=wrong)
    assert found is None if words is None else f"all wrong entries are {words}" in found


def test_axes_of_one_and_two_entries_locate_nothing():
    numeric, wrong = RNG.standard_normal((1, 2, 9)), np.zeros((1, 2, 9), bool)
    wrong[0, 0, 2] = wrong[0, 1, 5] = True
    assert hint(numeric + 7 * wrong, numeric, wrong) is None
    assert hint(numeric[0, 0] + [0, 0, 9, 0, 0, 0, 0, 0, 0], numeric[0, 0], wrong[0, 0]) is None
