"""Each hint appears for the bug that it names, and not for a gradient that is off by slightly more than rounding."""

import numpy as np
import pytest

from tinysegnet.gradcheck import check
from tinysegnet.gradcheck.hints import Scene, find_hint

RNG = np.random.default_rng(0)
TRUE = RNG.standard_normal((4, 5, 3))
NOTHING = np.zeros(TRUE.shape, bool)


def hint(analytic, numeric=TRUE, wrong=None, x=None, arguments=(), sizes=(), sample=None, gradient_with=None):
    scene = Scene(np.zeros_like(numeric) if x is None else x, dict(arguments), dict(sizes), sample or (lambda n: None),
                  gradient_with or (lambda name, value: np.zeros(())))  # fmt: skip
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


def test_missing_terms_of_statistics_need_four_pixels():
    for pixels in (4, 3):
        numeric, x = TRUE[:pixels, 0], X[:pixels, 0]
        assert ("through the mean" in (hint(numeric - MEAN, numeric, x=x) or "")) == (pixels == 4)


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


# --- what check tells the hints --------------------------------------------------------------------------------------


def found_in(shape, factor, **settings):
    """The hint for x^2, with a gradient that is `factor` times as large as it should be."""
    x = np.random.default_rng(0).uniform(1, 2, shape)
    return check(lambda x: (x**2, x), lambda d, x: 2 * x * d * factor, x, **settings).tensors[0].hint


@pytest.mark.parametrize(("shape", "factor", "words"), [
    ((3, 5, 7, 11), 3, "divide by N = 3"), ((3, 5, 7, 11), 35, "divide by H*W = 35"),
    ((3, 5, 7, 11), 105, "divide by N*H*W = 105"), ((3, 5, 7, 11), 11, "divide by C = 11"),
    ((3, 5, 7, 11), 2, "divide by 2 = 2"), ((3, 5), 3, "divide by N = 3"), ((3, 5), 15, "divide by the size = 15"),
    ((3, 5), 5, "divide by the last axis = 5"), ((3, 5), 1 / 2, "(2 = 2)"),
])  # fmt: skip
def test_sizes_of_samples_pixels_and_channels_are_candidates(shape, factor, words):
    assert words in found_in(shape, factor)


def test_a_layer_of_numbers_has_no_sizes():
    report = check(lambda x: (x * x, x), lambda d, x: 2 * x * d * 2, np.array(1.5))
    assert "divide by 2 = 2" in report.tensors[0].hint


def test_sizes_come_from_the_array_with_the_most_axes():
    """The bias has one axis only, but its gradient is summed over 6 pixels of 2 pictures."""
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 5))
    report = check(lambda x, bias: (x + bias, None), lambda d, _: (d, d.sum((0, 1, 2)) / 12), x, np.ones(5))
    assert "a mean where a sum belongs (N*H*W = 12)" in report.tensor("bias").hint


@pytest.mark.parametrize(("n", "name"), [(0, "the first"), (1, "number 2"), (2, "the last")])
def test_check_finds_that_only_one_sample_counts(n, name):
    x, weight = np.random.default_rng(0).standard_normal((2, 3, 3))
    report = check(lambda x, weight: (x @ weight, (x, weight)),
                   lambda d, c: (d @ c[1].T, np.outer(c[0][n], d[n])), x, weight)  # fmt: skip
    assert f"only {name} of 3 samples counts" in report.tensor("weight").hint


def test_one_sample_is_recognised_in_results_with_one_axis_and_not_asked_for_in_a_number():
    x = np.random.default_rng(0).standard_normal((3, 4))
    report = check(lambda x, w: (x @ w, x), lambda d, x: (np.outer(d, w), x[1] * d[1]), x, w := np.arange(1.0, 5))
    assert "only number 2 of 3 samples counts" in report.tensor("w").hint
    report = check(lambda x: ((x**3).sum(), x), lambda d, x: d * x, x)
    assert report.tensors[0].hint is None


def test_check_offers_arguments_and_settings_to_the_hints():
    x, gamma = np.random.default_rng(0).standard_normal((4, 3)), np.array([0.5, 2.0, 3.0])
    right = check(lambda x, gamma: (x * gamma, (x, gamma)), lambda d, c: (d, (d * c[0]).sum(0)), x, gamma)
    assert right.tensor("x").hint == "numeric = gamma x analytic: gamma is missing"
    setting = check(lambda x, gamma: (x * gamma, None), lambda d, c: d, x, gamma=gamma)
    assert setting.tensor("x").hint == "numeric = gamma x analytic: gamma is missing"
    squared = check(lambda x: (x * x, x), lambda d, x: d * x, np.abs(x) + 1)
    assert "a mean where a sum belongs (2 = 2)" in squared.tensors[0].hint


def test_check_marks_the_wrong_entries_for_the_hints():
    def backward(dout, x):
        dx = np.cos(x) * dout
        dx[1, 2] += 0.25
        return dx

    x = np.random.default_rng(0).standard_normal((4, 5))
    assert "at index 1 of axis 0 (of 4)" in check(lambda x: (np.sin(x), x), backward, x).tensors[0].hint
    assert check(lambda x: (np.sin(x), x), backward, x, every=3, entries=8).tensors[0].hint is None
