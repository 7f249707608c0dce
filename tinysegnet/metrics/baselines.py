"""Baselines without a network, which a network must beat: classifiers that look at each pixel on its own (lesson 10).

    position prior        where the pixel is                argmax_c n(c | cell)
    colour                its colour                        argmax_c n(c | colour)
    colour and position   both                              argmax_c n(c | colour, cell)

where n(c | ...) is the number of labelled training pixels of class c in the same bin: a cell of a grid over the
picture, a cube of RGB colours, or both. The score of class c is n(c | bin) / n(c)**balance. A balance of 0 favours G,
and larger values favour C and mIoU. The setting below with the best mIoU on the validation pictures is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .confusion import confusion_matrix
from .scores import Scores

GRIDS = ((6, 8), (12, 16), (24, 32), (96, 128))  # rows and columns of cells over the whole picture
LEVELS = (8, 16, 32)  # levels in each of R, G and B
JOINT = ((8, (6, 8)), (8, (12, 16)), (16, (3, 4)), (16, (6, 8)), (16, (12, 16)))  # colour levels and grid
BALANCES = (0.0, 0.5, 1.0)
CONFIDENCE = 10.0  # the weight of a bin's coarser estimate, in pixels

POSITION, COLOR, COLOR_AND_POSITION = "position prior", "colour", "colour and position"
Labelled = Iterable[tuple[np.ndarray, np.ndarray]]  # image (H, W, 3) uint8, labels (H, W) uint8


def baselines(
    train: Labelled, val: Labelled, class_names: Sequence[str], ignore_label: int | None = None, *,
    kinds: Sequence[str] = (POSITION, COLOR, COLOR_AND_POSITION),
) -> dict[str, Scores]:  # fmt: skip
    """Compute the scores of the baselines on the validation pictures.

    Args:
        train: pairs of an image (H, W, 3) uint8 and its labels (H, W) uint8, of any sizes, such as
            `tinysegnet.data.labelled_images(dataset)`. The pairs are read once.
        val: the pictures to score, also read once.
        kinds: any of "position prior", "colour" and "colour and position".

    Returns:
        The scores by kind. Raises DataError if `train` or `val` has no labelled pixel.
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
    """Score the most frequent class at each position of the training pictures. The arguments are as for `baselines`."""
    return baselines(train, val, class_names, ignore_label, kinds=(POSITION,))[POSITION]


@dataclass(frozen=True)
class _Binning:
    """A division of pixels into bins: RGB cubes with `levels` along each side, cells of a grid, or both."""

    levels: int = 1
    grid: tuple[int, int] = (1, 1)

    @property
    def parts(self) -> list[_Binning]:
        """The colour binning and the grid binning that this one combines, if it combines both."""
        both = self.levels > 1 and self.grid != (1, 1)
        return [_Binning(self.levels), _Binning(grid=self.grid)] if both else []

    @property
    def bins(self) -> int:
        return self.levels**3 * self.grid[0] * self.grid[1]

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the bin (H, W) int64 of each pixel of an image (H, W, 3) uint8."""
        red, green, blue = (image[..., i].astype(np.int64) * self.levels // 256 for i in range(3))
        height, width = image.shape[:2]
        rows, columns = np.arange(height) * self.grid[0] // height, np.arange(width) * self.grid[1] // width
        color = (red * self.levels + green) * self.levels + blue
        return (color * self.grid[0] + rows[:, None]) * self.grid[1] + columns


EVERYTHING = _Binning()  # one bin for all pixels, which counts the classes
BINNINGS = {
    POSITION: [_Binning(grid=grid) for grid in GRIDS],
    COLOR: [_Binning(levels) for levels in LEVELS],
    COLOR_AND_POSITION: [_Binning(levels, grid) for levels, grid in JOINT],
}


def _count(
    binnings: Iterable[_Binning], train: Labelled, num_classes: int, ignore_label: int | None
) -> dict[_Binning, np.ndarray]:
    """Count the labelled training pixels of each class in each bin: (bins, K) float32 for each binning."""
    totals = {binning: np.zeros(binning.bins * num_classes, np.int64) for binning in binnings}
    for image, labels in train:
        for binning, total in totals.items():
            np.add.at(total, (binning.encode(image) * num_classes + labels)[labels != ignore_label], 1)
    _check_labelled("training", totals[EVERYTHING])
    return {b: total.reshape(b.bins, num_classes).astype(np.float32) for b, total in totals.items()}


def _tables(binning: _Binning, counts: dict[_Binning, np.ndarray]) -> list[np.ndarray]:
    """Return the class of each bin, (bins,), for each balance. Bins with few pixels rely on a coarser estimate.

    For pairs of colour and cell, the estimate assumes that the two are independent given the class:
    P(c | colour, cell) ~ P(c | colour) P(c | cell) / P(c).
    """
    (frequency,) = _shares(counts[EVERYTHING])
    guess, divisor = frequency, np.maximum(frequency, 1e-9)
    if binning.parts:
        by_color, by_cell = (counts[part] + CONFIDENCE * frequency for part in binning.parts)
        guess = _shares((_shares(by_color)[:, None] * (_shares(by_cell) / divisor)).reshape(counts[binning].shape))
    smoothed = counts[binning] + CONFIDENCE * guess
    # A class that is absent from the training labels has no counts, so its score stays 0.
    return [np.argmax(smoothed / divisor**balance, axis=1) for balance in BALANCES]


def _confusion(
    tables: dict[_Binning, list[np.ndarray]], val: Labelled, num_classes: int, ignore_label: int | None
) -> dict[_Binning, np.ndarray]:
    """Return the confusion matrices (balances, K, K) of each binning on the validation pictures."""
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
        raise DataError(f"baselines: the {what} pictures have no labelled pixel. Check the label maps")


def _shares(counts: np.ndarray) -> np.ndarray:
    """Divide counts by their sum over the last axis, the axis of the classes."""
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-30)
