"""check gives the hints the sizes, samples, arguments and wrong entries that they need."""

import numpy as np
import pytest

from tinysegnet.gradcheck import check


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
