"""Each baseline uses the position, the colour or both, and nothing else."""

from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import pytest

from tinysegnet.data.palette import Palette
from tinysegnet.data.sample import Sample, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import DataError
from tinysegnet.metrics.baselines import baselines, position_prior

TWO = Palette(("a", "b"), ((255, 0, 0), (0, 0, 255)), ignore_label=9)
RED, BLUE = (220, 30, 30), (30, 30, 220)


@dataclass
class Pictures:
    samples: list
    palette: Palette = TWO
    name: str = "pictures"
    names: list = field(default_factory=list)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def _scored(function, train, val):
    palette = train.palette
    return function(labelled_images(train), labelled_images(val), palette.names, palette.ignore_label)


def color_classifier(*arguments):
    return baselines(*arguments, kinds=["colour"])["colour"]


def _pictures(paint, seed, count=6, size=(24, 32)):
    """Return random pictures. paint(rng, size) returns a mask of the red pixels, and the labels."""
    rng, samples = np.random.default_rng(seed), []
    for _ in range(count):
        red, labels = paint(rng, size)
        samples.append(Sample(np.where(red[..., None], RED, BLUE).astype(np.uint8), labels.astype(np.uint8), "x"))
    return Pictures(samples)


def _by_place(rng, size):
    labels = np.zeros(size)
    labels[: size[0] // 2] = 1
    return rng.random(size) < 0.5, labels


def _by_color(rng, size):
    labels = rng.random(size) < 0.5
    return labels, labels


def _by_both(rng, size):
    """Red means class 1 in the upper half and class 0 in the lower half, so neither is informative alone."""
    red, labels = rng.random(size) < 0.5, np.zeros(size)
    labels[: size[0] // 2] = red[: size[0] // 2]
    labels[size[0] // 2 :] = ~red[size[0] // 2 :]
    return red, labels


def _by_neither(rng, size):
    return rng.random(size) < 0.5, rng.random(size) < 0.5


@pytest.mark.parametrize(
    ("world", "solved"),
    [(_by_place, {"position prior", "colour and position"}), (_by_color, {"colour", "colour and position"}),
     (_by_both, {"colour and position"}), (_by_neither, set())],
)  # fmt: skip
def test_each_baseline_solves_only_the_tasks_that_its_inputs_determine(world, solved):
    found = _scored(baselines, _pictures(world, 0), _pictures(world, 1))
    assert set(found) == {"position prior", "colour", "colour and position"}
    for name, scores in found.items():
        if name in solved:
            assert scores.mIoU == scores.G == scores.C == 1.0
        else:
            assert scores.mIoU < 0.45


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_colour_baseline_uses_every_channel(channel):
    train, val = _pictures(_by_color, 0), _pictures(_by_color, 1)
    for sample in (*train.samples, *val.samples):
        sample.image[:] = 90
        sample.image[..., channel] = np.where(sample.labels == 1, 200, 90)
    assert _scored(color_classifier, train, val).mIoU == 1.0


def test_a_single_baseline_gives_the_same_score_as_all_together():
    train, val = ToyScenes(6, size=(24, 32)), ToyScenes(3, seed=1, size=(24, 32))
    found = _scored(baselines, train, val)
    np.testing.assert_allclose([scores.mIoU for scores in found.values()], [0.159665, 0.156407, 0.206701], atol=1e-6)
    assert _scored(position_prior, train, val).mIoU == found["position prior"].mIoU
    assert _scored(color_classifier, train, val).mIoU == found["colour"].mIoU


def test_void_is_neither_counted_nor_scored():
    train, val = _pictures(_by_color, 0), _pictures(_by_color, 1)
    for pictures in (train, val):
        for sample in pictures.samples:
            sample.labels[:, ::2] = 9
    scores = _scored(color_classifier, train, val)
    assert scores.mIoU == 1.0
    assert scores.pixels.sum() == 6 * 24 * 16


def test_pictures_may_differ_in_size():
    train = Pictures(_pictures(_by_place, 0).samples + _pictures(_by_place, 1, size=(40, 20)).samples)
    val = _pictures(_by_place, 2, size=(13 * 2, 31))
    assert _scored(position_prior, train, val).G > 0.95


def test_the_baseline_favours_mIoU_over_accuracy():
    """Of the red pixels, 40 % belong to class 1. Predicting class 1 for red pixels lowers G and raises mIoU."""

    def paint(rng, size):
        red = rng.random(size) < 0.15
        return red, red & (rng.random(size) < 0.4)

    scores = _scored(color_classifier, _pictures(paint, 0), _pictures(paint, 1))
    assert scores.IoU[1] > 0.3


def test_the_size_of_chunks_does_not_affect_the_scores(monkeypatch):
    train, val = _pictures(_by_both, 0), _pictures(_by_place, 1)
    at_once = _scored(baselines, train, val)
    monkeypatch.setattr(import_module("tinysegnet.metrics.baselines"), "CHUNK", 3 * 24 * 32)  # three pictures
    for name, scores in _scored(baselines, train, val).items():
        np.testing.assert_array_equal(scores.IoU, at_once[name].IoU)


def test_data_without_labelled_pixels_are_rejected():
    blank = Pictures([Sample(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 9, np.uint8), "void")])
    with pytest.raises(DataError, match="training"):
        _scored(baselines, blank, _pictures(_by_color, 0))
    with pytest.raises(DataError, match="validation"):
        _scored(baselines, _pictures(_by_color, 0), blank)
    with pytest.raises(DataError, match="training"):
        baselines([], [], TWO.names, TWO.ignore_label)
