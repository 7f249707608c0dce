"""The interface of all data sets: a sequence of samples, and the palette of their labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import DataError
from .palette import Palette


@dataclass(frozen=True)
class Sample:
    """One picture with its label map."""

    image: np.ndarray  # (H, W, 3) uint8, RGB
    labels: np.ndarray  # (H, W) uint8, class numbers or the palette's ignore_label
    name: str  # where it came from, for messages and captions


@runtime_checkable
class Dataset(Protocol):
    """A sequence of `Sample`s. Loading is deterministic: the same index gives the same sample."""

    palette: Palette
    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def check_dataset(data: Any) -> Dataset:
    """Raise DataError unless this is a data set with a picture in it; -> the data set."""
    if not isinstance(data, Dataset) or not isinstance(data.palette, Palette):
        raise DataError(f"a data set is expected (palette, name, len() and [i]), got {type(data).__name__}."
                        " Make one with tinysegnet.data.open_dataset")  # fmt: skip
    if not len(data):
        raise DataError(f"{data.name}: no pictures (expected at least one). Check the folder and the split")
    return data


def read_sample(data: Dataset, index: int) -> Sample:
    """data[index], checked. Raises DataError, naming the sample, for other arrays or labels out of range."""
    sample = data[index]
    if not isinstance(sample, Sample):
        raise DataError(f"{data.name}[{index}]: {type(sample).__name__} (expected a tinysegnet.data.Sample)")
    image, labels = sample.image, sample.labels
    size = getattr(image, "shape", ())[:2]
    for what, array, shape in (("image", image, (*size, 3)), ("labels", labels, size)):
        fits = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.shape == shape and array.size
        if not fits:
            kind = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            expected = "(H, W, 3) uint8, RGB" if what == "image" else f"{size} uint8, as the image"
            raise DataError(f"{sample.name}: {what} {kind} (expected {expected}). Convert the array")
    check_classes(sample.name, labels, data.palette)
    return sample


def labelled_images(data: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(image, labels) of each sample, checked as `read_sample` does: what `metrics.baselines` takes."""
    check_dataset(data)
    return ((sample.image, sample.labels) for sample in (read_sample(data, i) for i in range(len(data))))


def check_classes(name: str, labels: np.ndarray, palette: Palette) -> None:
    """Raise DataError, with the name and the first wrong pixel, unless all labels are of the palette."""
    wrong, void = (labels < 0) | (labels >= palette.num_classes), palette.ignore_label
    if void is not None:
        wrong &= labels != void
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        allowed = f"0..{palette.num_classes - 1}" + ("" if void is None else f", void {void}")
        found = f"label {labels[row, column]} at row {row}, column {column}"
        raise DataError(f"{name}: {found} (allowed {allowed}). Correct the labels, or the palette")
