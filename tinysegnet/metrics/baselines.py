"""Baselines without a network: classifiers that see neither shape nor texture nor surroundings.

A data set is only worth learning if a network beats the classifiers that know, for each pixel by itself,

    position prior        where the pixel is                argmax_c n(c | cell)
    colour                its colour                        argmax_c n(c | colour)
    colour and position   both                              argmax_c n(c | colour, cell)

with n(c | ...) the counts of class c among the labelled training pixels that fall into the same bin:
a cell of a grid laid over the picture, a cube of the RGB colours, or a pair of both. The score of class c is
n(c | bin) / n(c)**balance: balance 0 favours G; larger values favour rare classes and so C and mIoU.

Each baseline is tuned on the validation data: it is computed with every setting of a small fixed set (below), and
the one with the best mIoU on the validation pictures counts. The training and the validation pictures are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .confusion import confusion_matrix
from .scores import Scores

GRIDS = ((6, 8), (12, 16), (24, 32), (96, 128))  # cells down, cells across, over the whole picture
LEVELS = (8, 16, 32)  # grey levels that are told apart in each of R, G and B
JOINT = ((8, (6, 8)), (8, (12, 16)), (16, (3, 4)), (16, (6, 8)), (16, (12, 16)))  # levels and grid together
BALANCES = (0.0, 0.5, 1.0)
CONFIDENCE = 10.0  # a bin with this many pixels counts as much as the coarser guess that stands in for it
CHUNK = 4_000_000  # pixels counted at a time

POSITION, COLOR, COLOR_AND_POSITION = "position prior", "colour", "colour and position"
Labelled = Iterable[tuple[np.ndarray, np.ndarray]]  # image (H, W, 3) uint8, labels (H, W) uint8


def baselines(
    train: Labelled,
    val: Labelled,
    class_names: Sequence[str],
    ignore_label: int | None = None,
    *,
    kinds: Sequence[str] = (POSITION, COLOR, COLOR_AND_POSITION),
) -> dict[str, Scores]:
    """The scores of the baselines on the validation pictures.

    Args:
        train: pairs of an image (H, W, 3) uint8 and its labels (H, W) uint8, of any sizes, read once; for a data set
            `tinysegnet.data.labelled_images`.
        val: the pictures to score, read once.
        kinds: which baselines: "position prior", "colour", "colour and position".

    Returns:
        Scores by kind. Raises DataError if no pixel of train, or of val, is labelled.
    """
    used = [binning for kind in kinds for binning in BINNINGS[kind]]
    counted = {EVERYTHING, *used, *(part for binning in used for part in binning.parts)}
    counts = _count(counted, train, len(class_names), ignore_label)
    tables = {binning: _tables(binning, counts) for binning in used}
    matrices = _confusion(tables, val, len(class_names), ignore_label)
    found = {}
    for kind in kinds:
        scores = (Scores.from_confusion(m, class_names) for binning in BINNINGS[kind] for m in matrices[binning])
        found[kind] = max(scores, key=lambda score: score.mIoU)
    return found


def position_prior(
    train: Labelled, val: Labelled, class_names: Sequence[str], ignore_label: int | None = None
) -> Scores:
    """The class that is most frequent at each place of the training pictures; arguments as for `baselines`."""
    return baselines(train, val, class_names, ignore_label, kinds=(POSITION,))[POSITION]


@dataclass(frozen=True)
class _Binning:
    """A division of pixels into bins: colour cubes, `levels` along each of R, G and B, cells of a grid, or both."""

    levels: int = 1
    grid: tuple[int, int] = (1, 1)

    @property
    def parts(self) -> list[_Binning]:
        """Colour and cell of a pair of both."""
        both = self.levels > 1 and self.grid != (1, 1)
        return [_Binning(self.levels), _Binning(grid=self.grid)] if both else []

    @property
    def bins(self) -> int:
        return self.levels**3 * self.grid[0] * self.grid[1]

    def encode(self, image: np.ndarray) -> np.ndarray:
        """image (H, W, 3) uint8, of any size -> (H, W) int64, the bin of each pixel."""
        red, green, blue = (image[..., i].astype(np.int64) * self.levels // 256 for i in range(3))
        height, width = image.shape[:2]
        rows, columns = np.arange(height) * self.grid[0] // height, np.arange(width) * self.grid[1] // width
        color = (red * self.levels + green) * self.levels + blue
        return (color * self.grid[0] + rows[:, None]) * self.grid[1] + columns


EVERYTHING = _Binning()  # one bin for all pixels: its counts are those of the classes
BINNINGS = {
    POSITION: [_Binning(grid=grid) for grid in GRIDS],
    COLOR: [_Binning(levels) for levels in LEVELS],
    COLOR_AND_POSITION: [_Binning(levels, grid) for levels, grid in JOINT],
}


def _count(
    binnings: Iterable[_Binning], train: Labelled, num_classes: int, ignore_label: int | None
) -> dict[_Binning, np.ndarray]:
    """(bins, K) float32 for each binning: the labelled training pixels of each class in each bin."""
    totals = {binning: np.zeros(binning.bins * num_classes, np.int64) for binning in binnings}
    for chunk in _chunks(train):
        known = [slice(None) if ignore_label is None else labels != ignore_label for _, labels in chunk]
        for binning, total in totals.items():
            pairs = [binning.encode(image) * num_classes + labels for image, labels in chunk]
            index = [pair[labelled].ravel() for pair, labelled in zip(pairs, known, strict=True)]
            total += np.bincount(np.concatenate(index), minlength=len(total))
    _check_labelled("training", totals[EVERYTHING])
    return {b: total.reshape(b.bins, num_classes).astype(np.float32) for b, total in totals.items()}


def _chunks(pictures: Labelled) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Lists of pictures with about CHUNK pixels each: counting picture by picture would go over all bins each time."""
    chunk, pixels = [], 0
    for image, labels in pictures:
        chunk.append((image, labels))
        pixels += labels.size
        if pixels > CHUNK:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def _tables(binning: _Binning, counts: dict[_Binning, np.ndarray]) -> list[np.ndarray]:
    """For each balance the class of each bin, (bins,). Bins with few pixels lean on a coarser guess.

    For pairs of colour and cell, the guess takes the two as independent given the class:
    P(c | colour, cell) ~ P(c | colour) P(c | cell) / P(c).
    """
    frequency = _shares(counts[EVERYTHING][0])
    guess = frequency
    if binning.parts:
        by_color, by_cell = (counts[part] + CONFIDENCE * frequency for part in binning.parts)
        inverse = 1.0 / np.maximum(frequency, 1e-9)
        guess = _shares((_shares(by_color)[:, None] * _shares(by_cell) * inverse).reshape(binning.bins, -1))
    smoothed = counts[binning] + CONFIDENCE * guess
    # A class that the training labels lack has no count anywhere and keeps its score of 0.
    return [np.argmax(smoothed / np.maximum(frequency, 1e-9) ** balance, axis=1) for balance in BALANCES]


def _confusion(
    tables: dict[_Binning, list[np.ndarray]], val: Labelled, num_classes: int, ignore_label: int | None
) -> dict[_Binning, np.ndarray]:
    """(balances, K, K) for each binning, from the validation pictures: pixel -> bin -> table[bin]."""
    matrices = {binning: np.zeros((len(BALANCES), num_classes, num_classes), np.int64) for binning in tables}
    for image, labels in val:
        for binning, of_balance in tables.items():
            bins = binning.encode(image)
            for matrix, table in zip(matrices[binning], of_balance, strict=True):
                matrix += confusion_matrix(labels, table[bins], num_classes, ignore_label)
    _check_labelled("validation", next(iter(matrices.values())))
    return matrices


def _check_labelled(what: str, counts: np.ndarray) -> None:
    if not counts.any():
        wrong = f"the {what} pictures have no labelled pixel (expected at least one)"
        raise DataError(f"baselines: {wrong}. Check the label maps")


def _shares(counts: np.ndarray) -> np.ndarray:
    """Counts -> fractions of their sum over the classes, the last axis."""
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-30)
