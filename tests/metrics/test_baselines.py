"""Each baseline uses the position, the colour or both, and nothing else."""

from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import pytest

from tinysegnet.data.palette import Palette
from tinysegnet.data.sample import Sample, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import DataError
from tinysegnet.metrics import Scores
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


# The candidates of each baseline: colour levels and the grid, of which one is left out.
GRIDS = [(1, grid) for grid in ((6, 8), (12, 16), (24, 32), (96, 128))]
LEVELS = [(levels, (1, 1)) for levels in (8, 16, 32)]
JOINT = [(8, (6, 8)), (8, (12, 16)), (16, (3, 4)), (16, (6, 8)), (16, (12, 16))]
CANDIDATES = {"position prior": GRIDS, "colour": LEVELS, "colour and position": JOINT}


def test_the_candidates_are_the_documented_ones():
    module = import_module("tinysegnet.metrics.baselines")
    assert [(1, grid) for grid in module.GRIDS] == GRIDS
    assert [(levels, (1, 1)) for levels in module.LEVELS] == LEVELS
    assert list(module.JOINT) == JOINT
    assert module.BALANCES == (0.0, 0.5, 1.0)
    assert module.CONFIDENCE == 10


def bin_of(image, i, j, levels, grid):
    """Return the bin of pixel (i, j): the cube of its colour, and its cell."""
    cell = tuple(place * cells // size for place, cells, size in zip((i, j), grid, image.shape, strict=False))
    return tuple(int(value) * levels // 256 for value in image[i, j]), cell


def counted(train, classes, levels, grid):
    found = {}
    for image, labels in train:
        for at in np.ndindex(labels.shape):
            if labels[at] < classes:
                found.setdefault(bin_of(image, *at, levels, grid), np.zeros(classes))[labels[at]] += 1
    return found


def loop_baseline(train, val, classes, levels, grid):
    """Return the confusion matrices of one candidate for each balance, by its definition."""
    frequency = sum(counted(train, classes, 1, (1, 1)).values())
    frequency = frequency / frequency.sum()
    own, by_color, by_cell = (counted(train, classes, *b) for b in ((levels, grid), (levels, (1, 1)), (1, grid)))
    matrices, none = np.zeros((3, classes, classes), int), np.zeros(classes)
    for image, labels in val:
        for at in np.ndindex(labels.shape):
            if labels[at] >= classes:
                continue
            color, cell = bin_of(image, *at, levels, grid)
            guess = frequency
            if levels > 1 and grid != (1, 1):  # independent, given the class
                parts = by_color.get((color, (0, 0)), none), by_cell.get(((0, 0, 0), cell), none)
                guess = np.prod([(part + 10 * frequency) / (part + 10 * frequency).sum() for part in parts], axis=0)
                guess = guess / np.maximum(frequency, 1e-9)
                guess = guess / guess.sum()
            score = own.get((color, cell), none) + 10 * guess
            for matrix, balance in zip(matrices, (0, 0.5, 1), strict=True):
                matrix[labels[at], (score / np.maximum(frequency, 1e-9) ** balance).argmax()] += 1
    return [*matrices]


@pytest.mark.parametrize("seed", range(2))
def test_baselines_equal_their_definition_for_every_candidate(seed):
    rng, pictures = np.random.default_rng(seed), []
    for size in ((8, 9), (5, 12), (7, 7), (9, 8)):
        labels = rng.integers(0, 3, size)
        labels[: size[0] // 3] = np.minimum(labels[: size[0] // 3], 1)
        image = np.clip(80 * labels[..., None] + rng.integers(0, 90, (*size, 3)), 0, 255).astype(np.uint8)
        labels[rng.random(size) < 0.1] = 9
        pictures.append((image, labels.astype(np.uint8)))
    train, val = pictures[:3], pictures[3:]
    found = baselines(train, val, "abcd", 9)  # the last class does not occur
    for kind, candidates in CANDIDATES.items():
        matrices = [matrix for candidate in candidates for matrix in loop_baseline(train, val, 4, *candidate)]
        best = max(Scores.from_confusion(matrix).mIoU for matrix in matrices)
        assert found[kind].mIoU == pytest.approx(best, rel=1e-12)
        assert any(np.array_equal(found[kind].confusion, matrix) for matrix in matrices)


def test_counts_are_kept_in_32_bits():
    module = import_module("tinysegnet.metrics.baselines")
    image, labels = np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, 9], [1, 1, 0]])
    counts = module._count({module.EVERYTHING}, [(image, labels)] * 2, 2, 9)[module.EVERYTHING]
    assert counts.dtype == np.float32
    assert counts.tolist() == [[4, 6]]


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


def test_data_without_labelled_pixels_are_rejected():
    blank = Pictures([Sample(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 9, np.uint8), "void")])
    with pytest.raises(DataError, match="training"):
        _scored(baselines, blank, _pictures(_by_color, 0))
    with pytest.raises(DataError, match="validation"):
        _scored(baselines, _pictures(_by_color, 0), blank)
    with pytest.raises(DataError, match="training"):
        baselines([], [], TWO.names, TWO.ignore_label)
