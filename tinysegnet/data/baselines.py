"""Floors: what a classifier reaches that never looks at shape, texture or surroundings.

A data set is only worth learning if a network beats the one that knows, for each pixel by itself,

    position prior        where the pixel is                argmax_c n(c | cell)
    colour                its colour                        argmax_c n(c | colour)
    colour and position   both                              argmax_c n(c | colour, cell)

with n(c | ...) the counts of class c among the labelled training pixels that fall into the same bin:
a cell of a grid laid over the picture, a cube of the RGB colours, or a pair of both. Score c is
n(c | bin) / n(c)**balance: balance 0 favours G, larger ones favour rare classes and so C and mIoU.

A floor is there to be beaten, so it must not be a straw man: each is computed with every setting of
a small fixed set (below), and the one with the best mIoU *on the validation pictures* counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..errors import DataError
from ..metrics import Scores, confusion_matrix
from .palette import Palette
from .sample import Dataset, Sample, demand_dataset, read_sample

__all__ = ["color_classifier", "color_position_classifier", "floors", "position_prior"]

GRIDS = ((6, 8), (12, 16), (24, 32), (96, 128))  # cells down, cells across, over the whole picture
LEVELS = (8, 16, 32)  # grey levels that are told apart in each of R, G and B
JOINT = ((8, (6, 8)), (8, (12, 16)), (16, (3, 4)), (16, (6, 8)), (16, (12, 16)))  # levels and grid together
BALANCES = (0.0, 0.5, 1.0)
CONFIDENCE = 10.0  # a bin with so many pixels counts as much as the coarser guess that stands in for it
CHUNK = 4_000_000  # pixels counted at a time
KEPT_BYTES = 1_000_000_000  # samples of each data set kept in memory; what is beyond is read in every pass, some 20

Encoder = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 -> (H, W) int64, each pixel's bin


def floors(train: Dataset, val: Dataset) -> dict[str, Scores]:
    """All three floors by name: "position prior", "colour", "colour and position".

    Takes 1 GB of memory for each set at most, and the time to read some 20 times what does not fit.
    train, val: pictures of any sizes, with one palette. Raises DataError if a set has no labelled pixel.
    """
    data = _Pixels(train, val)
    return {
        "position prior": data.position_prior(),
        "colour": data.color(),
        "colour and position": data.color_and_position(),
    }


def position_prior(train: Dataset, val: Dataset) -> Scores:
    """The class that is most frequent at each place of the training pictures, whatever a picture shows."""
    return _Pixels(train, val).position_prior()


def color_classifier(train: Dataset, val: Dataset) -> Scores:
    """The class that is most frequent among the training pixels of the same colour, wherever they are."""
    return _Pixels(train, val).color()


def color_position_classifier(train: Dataset, val: Dataset) -> Scores:
    """The class that is most frequent among the training pixels of the same colour at the same place."""
    return _Pixels(train, val).color_and_position()


class _Pixels:
    """Both data sets, and the three classifiers fitted on the first and scored on the second."""

    def __init__(self, train: Dataset, val: Dataset) -> None:
        self.train, self.val = _Samples(train), _Samples(val)
        self.palette = train.palette
        self.class_counts = self.count(lambda image: np.zeros(image.shape[:2], np.int64), 1)[0]

    def position_prior(self) -> Scores:
        return self.best([self.fit(_cells(grid), grid[0] * grid[1], self.class_counts) for grid in GRIDS])

    def color(self) -> Scores:
        return self.best([self.fit(_colors(levels), levels**3, self.class_counts) for levels in LEVELS])

    def color_and_position(self) -> Scores:
        return self.best([self.fit_joint(levels, grid) for levels, grid in JOINT])

    def fit(self, encode: Encoder, bins: int, guess: np.ndarray) -> tuple[Encoder, np.ndarray]:
        """The encoder and n(c | bin), (bins, K); bins with few pixels lean on the guess, (K,) or (bins, K)."""
        return encode, self.count(encode, bins) + CONFIDENCE * _shares(guess)

    def fit_joint(self, levels: int, grid: tuple[int, int]) -> tuple[Encoder, np.ndarray]:
        """The same for pairs of colour and cell. The guess takes the two as independent given the class:
        P(c | colour, cell) ~ P(c | colour) P(c | cell) / P(c)."""
        (color, by_color), (cell, by_cell) = (
            self.fit(_colors(levels), levels**3, self.class_counts),
            self.fit(_cells(grid), grid[0] * grid[1], self.class_counts),
        )
        inverse = 1.0 / np.maximum(_shares(self.class_counts), 1e-9)
        guess = (_shares(by_color)[:, None] * _shares(by_cell) * inverse).reshape(-1, self.palette.num_classes)
        cells = grid[0] * grid[1]
        return self.fit(lambda image: color(image) * cells + cell(image), levels**3 * cells, guess)

    def count(self, encode: Encoder, bins: int) -> np.ndarray:
        """(bins, K) float32: the labelled training pixels of each class in each bin."""
        classes = self.palette.num_classes
        total, waiting = np.zeros(bins * classes, np.int64), []
        for sample in self.train:
            labelled = _labelled(sample, self.palette)
            waiting.append(encode(sample.image)[labelled] * classes + sample.labels[labelled])
            if sum(map(len, waiting)) > CHUNK:
                total += np.bincount(np.concatenate(waiting), minlength=len(total))
                waiting = []
        total += np.bincount(np.concatenate([*waiting, np.zeros(0, np.int64)]), minlength=len(total))
        return total.reshape(bins, classes).astype(np.float32)

    def best(self, fitted: Sequence[tuple[Encoder, np.ndarray]]) -> Scores:
        """The scores of the setting and balance with the highest validation mIoU."""
        weights = _shares(self.class_counts)
        scores: list[Scores] = []
        for encode, counts in fitted:
            # A class that the training labels lack has no count anywhere and keeps its score of 0.
            tables = [np.argmax(counts / np.maximum(weights, 1e-9) ** balance, axis=1) for balance in BALANCES]
            scores += self.score(encode, tables)
        return max(scores, key=lambda score: score.mIoU)

    def score(self, encode: Encoder, tables: Sequence[np.ndarray]) -> list[Scores]:
        """Scores on the validation pictures of: pixel -> bin -> table[bin]; one pass for all tables."""
        classes = self.palette.num_classes
        matrices = np.zeros((len(tables), classes, classes), np.int64)
        for sample in self.val:
            bins = encode(sample.image)
            for matrix, table in zip(matrices, tables, strict=True):
                matrix += confusion_matrix(sample.labels, table[bins], classes, self.palette.ignore_label)
        return [Scores.from_confusion(matrix, self.palette.names) for matrix in matrices]


class _Samples:
    """The samples of a data set, over and over. Raises DataError if no pixel of them is labelled."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = demand_dataset(dataset)
        self.kept: dict[int, Sample] = {}
        self.room = KEPT_BYTES
        if not any(_labelled(sample, dataset.palette).any() for sample in self):
            raise DataError(
                f"{dataset.name} has no labelled pixel in {len(dataset)} pictures: there is nothing to count"
            )

    def __iter__(self) -> Iterator[Sample]:
        return (self.kept.get(i) or self._read(i) for i in range(len(self.dataset)))

    def _read(self, index: int) -> Sample:
        sample = read_sample(self.dataset, index)
        size = sample.image.nbytes + sample.labels.nbytes
        if size <= self.room:
            self.kept[index] = sample
            self.room -= size
        return sample


def _labelled(sample: Sample, palette: Palette) -> np.ndarray:
    """(H, W) bool: the pixels that have a class."""
    if palette.ignore_label is None:
        return np.ones(sample.labels.shape, bool)
    return sample.labels != palette.ignore_label


def _shares(counts: np.ndarray) -> np.ndarray:
    """Counts -> fractions of their sum over the classes, the last axis."""
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-30)


def _cells(grid: tuple[int, int]) -> Encoder:
    """Pixel -> the number of the grid cell it lies in, whatever the size of its picture."""

    def encode(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        rows, columns = np.arange(height) * grid[0] // height, np.arange(width) * grid[1] // width
        return rows[:, None] * grid[1] + columns

    return encode


def _colors(levels: int) -> Encoder:
    """Pixel -> the number of the colour cube it lies in, `levels` cubes along each of R, G and B."""

    def encode(image: np.ndarray) -> np.ndarray:
        red, green, blue = (image[..., i].astype(np.int64) * levels // 256 for i in range(3))
        return (red * levels + green) * levels + blue

    return encode
