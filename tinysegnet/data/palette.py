"""Class names and colours: the one place where a class number, its name and its colour meet.

A label map is an (H, W) uint8 array of class numbers. To people it is shown in colours; a `Palette`
translates in both directions. `CAMVID` is the SegNet papers' eleven classes in the colours of the
authors' own pictures (SegNet-Tutorial, Scripts/test_segmentation_camvid.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError

__all__ = ["CAMVID", "Palette"]


@dataclass(frozen=True)
class Palette:
    """Names and colours of the classes 0, 1, ..., and the label that means "not labelled".

    names: one per class. colors: (R, G, B) in 0..255, one per class. ignore_label: the value of
    pixels that no one labelled ("void"), or None if every pixel has a class.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    ignore_label: int | None = None
    ignore_color: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colors):
            raise DataError(f"a palette needs a colour per class: {len(self.names)} names, {len(self.colors)} colours")
        if self.ignore_label is not None and 0 <= self.ignore_label < len(self.names):
            raise DataError(
                f"ignore_label {self.ignore_label} is the number of a class, {self.names[self.ignore_label]}"
            )

    @property
    def num_classes(self) -> int:
        """How many classes there are, void not counted."""
        return len(self.names)

    def lookup_table(self) -> np.ndarray:
        """(256, 3) uint8: the colour of every label value; values of no class have the void colour."""
        table = np.empty((256, 3), np.uint8)
        table[:] = self.ignore_color
        table[: self.num_classes] = self.colors
        return table

    def colorize(self, labels: np.ndarray) -> np.ndarray:
        """Label map (..., H, W) -> picture (..., H, W, 3) uint8."""
        return self.lookup_table()[labels]


CAMVID = Palette(
    names=("Sky", "Building", "Pole", "Road", "Pavement", "Tree",
           "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
    colors=((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
            (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    ignore_label=11,
)  # fmt: skip
