"""Confidence intervals equal those of a loop over resamples, and a `Collector` equals its parts."""

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from forms import amount

from tinysegnet.errors import DataError, SettingError, ShapeError
from tinysegnet.metrics import (
    Collector,
    Scores,
    bootstrap_intervals,
    boundary_f1,
    boundary_f1_by_distance,
    class_counts,
    confusion_matrix,
    difference_interval,
)


def pictures(count, seed=0, classes=4):
    """Draw confusion matrices of pictures of different difficulty. The last class occurs in only a few pictures."""
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, 50, (count, classes, classes)) + rng.integers(0, 300, (count, 1, 1)) * np.eye(
        classes, dtype=int
    )
    matrices[rng.random(count) < 0.8, -1] = 0
    return matrices


def bounds(score, drawn, blocks, t):
    """Compute the interval of a score in 0..1 on the logit scale, from the scores of the draws."""
    half = t * np.sqrt(blocks / (blocks - 1)) * np.std(drawn) / (score * (1 - score))
    return [1 / (1 + (1 - score) / score * np.exp(sign * half)) for sign in (1, -1)]


def test_intervals_equal_a_loop_over_resamples():
    matrices, BF = pictures(57), np.random.default_rng(1).random(57)
    BF[::9] = np.nan
    found = bootstrap_intervals(class_counts(matrices), {"BF": BF}, rng=np.random.default_rng(2), resamples=50)
    rng, blocks, values = np.random.default_rng(2), np.split(np.arange(57), [10, 20, 30, 39, 48]), []
    assert [len(block) for block in blocks] == [10, 10, 10, 9, 9, 9]
    for times in [[1] * 6, *rng.multinomial(6, [1 / 6] * 6, size=50)]:
        picked = np.concatenate([block for block, n in zip(blocks, times, strict=True) for _ in range(n)])
        scores = Scores.from_confusion(matrices[picked].sum(axis=0))
        values.append((scores.G, scores.C, scores.mIoU, np.nanmean(BF[picked])))
    expected = [bounds(first, drawn, 6, t=2.570581836) for first, *drawn in zip(*values, strict=True)]
    assert list(found) == ["G", "C", "mIoU", "BF"]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-8)


# quantiles of Student's distribution from tables: 7 degrees of freedom at 75 %, 4 at 95 %, 5 at 60 %
@pytest.mark.parametrize(
    ("count", "block", "resamples", "level", "t"),
    [(23, 3, 40, 0.5, 0.711141778), (5, 1, 2, 0.9, 2.131846786), (31, 6, 25, 0.2, 0.267180866)],
)
def test_intervals_with_other_settings_equal_a_loop_over_resamples(count, block, resamples, level, t):
    """Each draw of blocks is imitated."""
    matrices, rng = pictures(count, seed=block), np.random.default_rng(block)
    options = {"block": block, "resamples": resamples, "level": level}
    found = bootstrap_intervals(class_counts(matrices), rng=np.random.default_rng(block), **options)
    parts = np.array_split(matrices, math.ceil(count / block))
    values = []
    for times in [[1] * len(parts), *rng.multinomial(len(parts), [1 / len(parts)] * len(parts), size=resamples)]:
        scores = Scores.from_confusion(sum(n * part.sum(axis=0) for part, n in zip(parts, times, strict=True)))
        values.append([scores.G, scores.C, scores.mIoU])
    for name, (first, *drawn) in zip(("G", "C", "mIoU"), np.transpose(values), strict=True):
        np.testing.assert_allclose(found[name], bounds(first, drawn, len(parts), t), rtol=1e-8)


def test_the_interval_of_a_difference_equals_a_loop_over_resamples():
    ours, others = pictures(57), pictures(57, seed=0)
    others[:, 0, :2] = others[:, 0, 1::-1]  # the labels of class 0 are the same, but the predictions are not
    found = difference_interval(class_counts(ours), class_counts(others), rng=np.random.default_rng(2), resamples=50)
    rng, parts, values = np.random.default_rng(2), np.split(np.stack([ours, others], 1), [10, 20, 30, 39, 48]), []
    for times in [[1] * 6, *rng.multinomial(6, [1 / 6] * 6, size=50)]:
        of_ours, of_others = sum(n * part.sum(axis=0) for part, n in zip(parts, times, strict=True))
        values.append(Scores.from_confusion(of_ours).mIoU - Scores.from_confusion(of_others).mIoU)
    half = 2.570581836 * np.sqrt(6 / 5) * np.std(values[1:])
    np.testing.assert_allclose(found, [values[0] - half, values[0] + half], rtol=1e-8)


def test_the_difference_of_a_network_from_itself_is_exactly_0():
    counts = class_counts(pictures(60))
    assert difference_interval(counts, counts, rng=np.random.default_rng(0)) == (0, 0)
    assert difference_interval(counts[:40], counts[:40], rng=np.random.default_rng(0)) is None
    void = np.zeros((60, 3, 2), int)
    assert np.isnan(difference_interval(void, void, rng=np.random.default_rng(0))).all()


def test_a_difference_needs_networks_on_the_same_pictures():
    counts = class_counts(pictures(60))
    for others in (counts[:59], counts[::-1], class_counts(pictures(60, classes=3))):
        with pytest.raises(ShapeError, match="same pictures"):
            difference_interval(counts, others, rng=np.random.default_rng(0))


def test_intervals_stay_between_0_and_1():
    """One block of five is much better or worse than the others, so that a symmetric interval would leave 0..1."""
    for low, high in ((0.0, 0.4), (0.6, 1.0), (1e-9, 1e-8)):
        BF = np.array([low, low, low, low, high])
        bounds = bootstrap_intervals(np.ones((5, 3, 2), int), {"BF": BF}, rng=np.random.default_rng(0), block=1)["BF"]
        assert 0 <= bounds[0] < BF.mean() < bounds[1] <= 1
    for value in (0.0, 1.0):
        same = {"BF": np.full(5, value)}
        found = bootstrap_intervals(np.ones((5, 3, 2), int), same, rng=np.random.default_rng(0), block=1)
        assert found["BF"] == (value, value)


def test_blocks_without_a_value_do_not_count():
    BF = np.where(np.arange(120) < 60, np.random.default_rng(9).random(120), np.nan)
    whole, half = (
        bootstrap_intervals(np.ones((n, 3, 2), int), {"BF": BF[:n]}, rng=np.random.default_rng(0), resamples=20_000)
        for n in (120, 60)
    )
    np.testing.assert_allclose(whole["BF"], half["BF"], atol=0.03)
    few = {"BF": np.where(np.arange(60) < 40, 0.5, np.nan)}  # four blocks with a value
    assert np.isnan(bootstrap_intervals(np.ones((60, 3, 2), int), few, rng=np.random.default_rng(0))["BF"]).all()


@pytest.fixture(scope="module")
def simulation():
    return runpy.run_path(str(Path(__file__).parents[2] / "examples" / "interval_coverage.py"))


@pytest.mark.parametrize("blocks", amount([5], [5, 8, 11, 20, 40]))
def test_intervals_contain_the_true_score_as_often_as_their_name_says(simulation, blocks):
    """A share of `trials` has a binomial error, of which three standard deviations are allowed.

    The intervals are approximations, so 2 % more are allowed; in 4000 trials, their coverage was 93 % to 96 %.
    """
    trials = amount(300, 4000)
    shares = simulation["coverage"](blocks, trials, simulation["true_scores"](amount(20_000, 200_000)))
    error = 3 * math.sqrt(0.95 * 0.05 / trials)
    quantiles = shares.pop("quantiles")
    assert all(0.93 - error < share < 0.97 + error for share in shares.values()), shares
    assert quantiles < min(shares.values()), "intervals between quantiles are too narrow"


def test_the_defaults_are_1000_draws_of_blocks_of_10_at_95_per_cent():
    counts = class_counts(pictures(57))
    options = {"block": 10, "resamples": 1000, "level": 0.95}
    assert bootstrap_intervals(counts, rng=np.random.default_rng(0)) == bootstrap_intervals(
        counts, rng=np.random.default_rng(0), **options
    )


def test_the_interval_of_a_mean_of_independent_pictures_is_that_of_the_normal_distribution():
    values = np.random.default_rng(3).normal(0.5, 0.1, 900)
    counts = np.ones((900, 3, 2), int)
    low, high = bootstrap_intervals(counts, {"BF": values}, rng=np.random.default_rng(4), block=1)["BF"]
    half = 1.96 * values.std() / 30
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.1 * half)


def test_blocks_widen_the_interval_if_neighbours_are_alike():
    matrices = pictures(20).repeat(10, axis=0)  # each picture ten times
    widths = {}
    for block in (1, 10):
        low, high = bootstrap_intervals(class_counts(matrices), rng=np.random.default_rng(5), block=block)["G"]
        widths[block] = high - low
    assert 2.5 < widths[10] / widths[1] < 4  # about the square root of 10


def test_equal_pictures_give_an_interval_of_length_0():
    matrices = pictures(1).repeat(50, axis=0)
    scores = Scores.from_confusion(matrices.sum(axis=0))
    for name, bounds in bootstrap_intervals(class_counts(matrices), rng=np.random.default_rng(6)).items():
        np.testing.assert_allclose(bounds, getattr(scores, name), rtol=1e-12)


def test_intervals_need_five_blocks():
    counts = class_counts(pictures(41))
    assert bootstrap_intervals(counts[:40], rng=np.random.default_rng(0)) is None
    assert bootstrap_intervals(counts, rng=np.random.default_rng(0)) is not None
    assert bootstrap_intervals(counts[:5], rng=np.random.default_rng(0), block=1) is not None


def test_intervals_without_labelled_pixels_are_nan():
    found = bootstrap_intervals(np.zeros((50, 3, 2), int), {"BF": np.full(50, np.nan)}, rng=np.random.default_rng(0))
    assert np.isnan(list(found.values())).all()


def test_wrong_shapes_and_settings_are_rejected():
    counts, rng = class_counts(pictures(50)), np.random.default_rng(0)
    with pytest.raises(ShapeError, match=r"\(50, 4, 4\)"):
        bootstrap_intervals(pictures(50), rng=rng)
    for wrong in (counts[:, 0], counts[None], counts.astype(str), counts > 0):
        with pytest.raises(ShapeError, match=r"counts: "):
            bootstrap_intervals(wrong, rng=rng)
    with pytest.raises(ShapeError, match=r"BF: .*\(49,\)"):
        bootstrap_intervals(counts, {"BF": np.zeros(49)}, rng=rng)
    for wrong in ({"block": 0}, {"resamples": 1}, {"level": 0.0}, {"level": 1.0}):
        with pytest.raises(SettingError, match="|".join(wrong)):
            bootstrap_intervals(counts, rng=rng, **wrong)
    with pytest.raises(DataError, match="no picture"):
        Collector(3).scores()


def label_maps(count, classes=3, void=9):
    rng = np.random.default_rng(8)
    for _ in range(count):
        labels = np.sort(rng.integers(0, classes, (8, 10)), axis=1)
        predictions = np.sort(rng.integers(0, classes, (8, 10)), axis=1)
        labels[rng.random(labels.shape) < 0.05] = void
        yield labels, predictions


def test_a_collector_equals_its_parts():
    maps = list(label_maps(50))
    collector = Collector(3, 9, boundary=True)
    for labels, predictions in maps:
        collector.add(labels, predictions)
    scores = collector.scores("abc", rng=np.random.default_rng(1))
    matrices = np.stack([confusion_matrix(*pair, 3, 9) for pair in maps])
    means = {"BF": np.array([boundary_f1(*pair, 3, 9) for pair in maps]),
             "BF_by_distance": np.array([boundary_f1_by_distance(*pair, 3, 9) for pair in maps])}  # fmt: skip
    np.testing.assert_array_equal(scores.confusion, matrices.sum(axis=0))
    assert scores.BF == means["BF"].mean() <= scores.BF_by_distance == means["BF_by_distance"].mean()
    assert scores.intervals == bootstrap_intervals(class_counts(matrices), means, rng=np.random.default_rng(1))
    for name, (low, high) in scores.intervals.items():
        assert low < getattr(scores, name) < high


def test_pictures_without_boundaries_do_not_count_towards_the_boundary_score():
    (labels, predictions), flat = next(label_maps(1)), np.zeros((8, 10), int)
    collector = Collector(3, 9, boundary=True)
    collector.add(flat, flat)
    assert np.isnan(collector.scores().BF)
    assert collector.scores().as_dict()["BF"] is None
    for _ in range(2):
        collector.add(labels, predictions)
    assert boundary_f1(labels, predictions, 3, 9) == collector.scores().BF
    assert collector.scores().BF_by_distance == boundary_f1_by_distance(labels, predictions, 3, 9)


def test_the_scores_of_a_collector_are_those_of_the_pictures_so_far():
    collector = Collector(2)
    for picture in ([[0, 1]], [[1, 1]]):
        collector.add(np.array(picture), np.array([[0, 0]]), uncertainty=np.array([[0.25, 0.5]]))
    scores = collector.scores()
    assert scores.names == ("0", "1")
    assert scores.intervals is None
    assert scores.BF is None
    assert scores.confusion.tolist() == [[1, 0], [3, 0]]
    assert scores.uncertainty_AUROC == (0.5 + 1 + 1) / 3  # the wrong pixels have 0.25, 0.5 and 0.5, the right one 0.25
    for wrong in (np.zeros((2, 1)), np.array([["a", "b"]])):
        with pytest.raises(ShapeError, match=r"doubt must have one number per pixel"):
            collector.add(np.array([[0, 1]]), np.array([[0, 0]]), doubt=wrong)


def test_the_table_shows_boundaries_and_intervals():
    intervals = {"G": (0.7, 0.8), "C": (0.6, 0.9), "mIoU": (0.5, 0.65), "BF": (0.1, 0.2), "BF_by_distance": (0.3, 0.4)}
    more = {"BF": 0.15, "BF_by_distance": 0.35, "intervals": intervals}
    scores = Scores.from_confusion(np.array([[1500, 500], [0, 0]]), ["Sky", "Tree"], **more)
    averages, boundaries, baseline, explained = scores.table(scores, "position prior").splitlines()[3:7]
    assert averages == "G 0.750 [0.700, 0.800]  C 0.750 [0.600, 0.900]  mIoU 0.375 [0.500, 0.650]"
    assert boundaries == "BF 0.150 [0.100, 0.200] one to one, 0.350 [0.300, 0.400] by distance"
    assert baseline.endswith("position prior")
    assert explained.startswith("[low, high]: 95%")
    assert explained.endswith("1 of 2 classes present")
    assert max(map(len, (averages, boundaries, baseline, explained))) <= 100
    values = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert (values["BF"], values["BF_by_distance"], values["intervals"]["mIoU"]) == (0.15, 0.35, [0.5, 0.65])
    assert not {"BF", "intervals"} & set(Scores.from_confusion(np.eye(2, dtype=int)).as_dict())
