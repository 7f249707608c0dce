"""How well label maps fit their pictures, and which pairs are suspicious, against plain definitions."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tinysegnet.data import Palette, Sample, plausibility
from tinysegnet.data.plausibility import PairStatistics, _fit, _fits, doubtful_rotations, shares, suspicious
from tinysegnet.errors import DataError

NAMES = ("sky", "road", "tree")
DATA = SimpleNamespace(palette=Palette(NAMES, ((0, 0, 0), (1, 1, 1), (2, 2, 2)), 255))


def pair(*pixels, fit=np.nan, mirrored=np.nan, index=0):
    return PairStatistics(DATA, index, np.array(pixels), fit, mirrored)


def borders(labels):
    """Return where one of the four neighbours has another label."""
    padded = np.pad(labels.astype(int), 1, mode="edge")
    shifted = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return np.any([labels != other for other in shifted], axis=0)


@pytest.mark.parametrize("shape", [(2, 2), (5, 8), (9, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_the_mean_gradient_at_borders_relative_to_all(shape, seed):
    rng = np.random.default_rng(seed)
    labels, gradient = (rng.random(shape) < 0.2).astype(np.uint8), rng.random(shape)
    labels[0, 0] = 1 - labels[0, 1]
    assert _fit(gradient, labels) == pytest.approx(gradient[borders(labels)].mean() / gradient.mean())
    assert np.isnan(_fit(gradient, labels * 0))
    assert np.isnan(_fit(gradient * 0, labels))


@pytest.mark.parametrize("shape", [(40, 31), (160, 90), (11, 160)])
def test_pictures_are_compared_at_160_pixels(shape):
    """If every pixel is repeated, reducing the picture restores it."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    labels = (rng.random(shape) < 0.1).astype(np.uint8)
    by_row, by_column = np.gradient(image.astype(float), axis=(0, 1))
    gradient = np.sqrt(by_row**2 + by_column**2).sum(-1)
    mirrored = [_fit(gradient, other) for other in (labels[::-1], labels[:, ::-1], labels[::-1, ::-1])]
    expected = pytest.approx((_fit(gradient, labels), max(mirrored)), rel=1e-5)
    assert _fits(Sample(image, labels, "x")) == expected
    if max(shape) == 160:
        double = Sample(np.kron(image, np.ones((2, 2, 1), np.uint8)), np.kron(labels, np.ones((2, 2), np.uint8)), "x")
        assert _fits(double) == expected


def test_a_picture_of_one_row_has_a_fit():
    row = np.arange(400, dtype=np.uint8)[None]
    assert _fits(Sample(np.stack([row] * 3, -1), row // 100, "x"))[0] > 0


def test_a_fit_nearer_to_1_than_to_the_median_is_suspicious():
    """The median of these fits is 4, so the least good fit is 2."""
    fits = [4.0, 1.99, 2.0, 9.0, 4.0, np.nan]
    found = suspicious([pair(5, 5, 0, 0, fit=fit, index=k) for k, fit in enumerate(fits)])
    assert {p.index: reason for p, reason in found.items()} == {1: "its borders lie on few edges of the picture"}
    better = suspicious([pair(5, 5, 0, 0, fit=4.0, mirrored=mirrored) for mirrored in (3.9, 4.0, 4.1)])
    assert [p.mirrored for p in better] == [4.1]


def test_the_worst_fits_come_first_and_all_others_keep_their_order():
    pairs = [pair(5, 0, 0, 0, fit=9.0), pair(0, 0, 0, 5), pair(5, 5, 0, 0, fit=3.0, mirrored=4.0),
             pair(0, 7, 0, 0, fit=4.0), pair(5, 5, 0, 0, fit=1.0), pair(3, 3, 3, 0, fit=4.0)]  # fmt: skip
    found = suspicious(pairs)
    assert [*found] == [pairs[k] for k in (4, 2, 0, 1, 3, 5)]
    assert [found[pairs[k]] for k in (0, 1, 3, 5)] == [
        "only one class: sky", "no pixel is labelled", "only one class: road", "no other picture has tree"
    ]  # fmt: skip


def test_all_rare_classes_of_a_picture_are_named_unless_it_is_the_only_one():
    assert suspicious([pair(1, 1, 1, 0)]) == {}
    found = suspicious([pair(1, 1, 1, 0), pair(5, 0, 0, 5)])
    assert [*found.values()] == ["no other picture has road or tree", "only one class: sky"]


def test_pixels_are_counted_per_class_and_for_void():
    class Maps:
        palette, name = DATA.palette, "maps"
        labels = np.uint8([[0, 0, 2], [2, 2, 255]]), np.uint8([[1, 255, 255], [255, 255, 255]])

        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 1:
                raise DataError("damaged")
            labels = self.labels[index // 2]
            return Sample(np.zeros((2, 3, 3), np.uint8), labels, "x")

    pairs = plausibility.pair_statistics(Maps())
    assert [p.index for p in pairs] == [0, 2]
    assert [p.pixels.tolist() for p in pairs] == [[2, 0, 3, 1], [0, 1, 0, 5]]
    assert all(np.isnan((p.fit, p.mirrored)).all() for p in pairs)
    np.testing.assert_allclose(shares(pairs), np.array([2, 1, 3, 6]) / 12)


class Boxes(list):
    """Stands for a folder of samples."""

    def __init__(self):
        self.pairs = [SimpleNamespace(image=Path("folder", str(k)), labels=f"labels {k}") for k in range(5)]


@pytest.mark.parametrize("wrong", [0, 2, 3, 4])
def test_more_than_half_of_the_turned_label_maps_must_fit_badly(monkeypatch, wrong):
    rotations = {k: None if k == 4 else Image.Transpose.ROTATE_180 for k in range(5)}
    monkeypatch.setattr(plausibility, "rotation_of", lambda path: rotations[int(path.name)])

    samples = Boxes()
    for k in range(5):
        labels = np.zeros((20, 24), np.uint8)
        labels[2:9, 3:12] = 1
        image = np.stack([labels * 200] * 3, -1)
        samples.append(Sample(image, labels[::-1, ::-1] if k < wrong else labels, "x"))
    lines = doubtful_rotations([samples])
    assert len(lines) == (wrong > 2)
    assert all(f"labels 0: {wrong} of 4" in line and "Orientation= folder" in line for line in lines)
