"""Confidence intervals equal those of a loop over resamples, and a `Collector` equals its parts."""

import json

import numpy as np
import pytest

from tinysegnet.errors import DataError, SettingError, ShapeError
from tinysegnet.metrics import (
    Collector,
    Scores,
    bootstrap_intervals,
    boundary_f1,
    boundary_f1_by_distance,
    class_counts,
    confusion_matrix,
)


def pictures(count, seed=0, classes=4):
    """Draw confusion matrices of pictures of different difficulty. The last class occurs in only a few pictures."""
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, 50, (count, classes, classes)) + rng.integers(0, 300, (count, 1, 1)) * np.eye(
        classes, dtype=int
    )
    matrices[rng.random(count) < 0.8, -1] = 0
    return matrices


def test_intervals_equal_a_loop_over_resamples():
    matrices, BF = pictures(57), np.random.default_rng(1).random(57)
    BF[::9] = np.nan
    found = bootstrap_intervals(class_counts(matrices), {"BF": BF}, rng=np.random.default_rng(2), resamples=50)
    rng, blocks, values = np.random.default_rng(2), np.array_split(np.arange(57), range(10, 57, 10)), []
    assert [len(block) for block in blocks] == [10, 10, 10, 10, 10, 7]
    for times in rng.multinomial(6, [1 / 6] * 6, size=50):
        picked = np.concatenate([block for block, n in zip(blocks, times, strict=True) for _ in range(n)])
        scores = Scores.from_confusion(matrices[picked].sum(axis=0))
        values.append((scores.G, scores.C, scores.mIoU, np.nanmean(BF[picked])))
    expected = np.percentile(values, [2.5, 97.5], axis=0).T
    assert list(found) == ["G", "C", "mIoU", "BF"]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-12)
    assert (expected[:, 0] < expected[:, 1]).all()


@pytest.mark.parametrize(("count", "block", "resamples", "level"), [(23, 3, 40, 0.5), (5, 1, 1, 0.9), (31, 6, 25, 0.2)])
def test_intervals_with_other_settings_equal_a_loop_over_resamples(count, block, resamples, level):
    """Each draw of blocks is imitated, and the quantiles are found by sorting."""
    matrices, rng = pictures(count, seed=block), np.random.default_rng(block)
    options = {"block": block, "resamples": resamples, "level": level}
    found = bootstrap_intervals(class_counts(matrices), rng=np.random.default_rng(block), **options)
    starts = range(0, count, block)
    values = []
    for times in rng.multinomial(len(starts), [1 / len(starts)] * len(starts), size=resamples):
        total = sum(n * matrices[i : i + block].sum(axis=0) for i, n in zip(starts, times, strict=True))
        values.append(
            [Scores.from_confusion(total).G, Scores.from_confusion(total).C, Scores.from_confusion(total).mIoU]
        )
    for name, column in zip(("G", "C", "mIoU"), np.sort(np.transpose(values), axis=1), strict=True):
        for bound, place in zip(found[name], ((1 - level) / 2, (1 + level) / 2), strict=True):
            at = place * (resamples - 1)
            low, high = column[int(at)], column[min(int(at) + 1, resamples - 1)]
            assert bound == pytest.approx(low + (at - int(at)) * (high - low), rel=1e-12)


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
    for wrong in ({"block": 0}, {"resamples": 0}, {"level": 0.0}, {"level": 1.0}):
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
