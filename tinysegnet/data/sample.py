"""The interface of all data sets, and data sets kept in memory, or reduced to one class versus all others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import DataError, SettingError, did_you_mean
from ..runtime.settings import convert
from .label_encoding import VOID
from .palette import Palette

OTHERS_COLOR = (205, 205, 200)  # of `OneClass`


@dataclass(frozen=True)
class Sample:
    """A picture with its label map."""

    image: np.ndarray  # (H, W, 3) uint8, RGB
    labels: np.ndarray  # (H, W) uint8, class numbers or the palette's ignore_label
    name: str  # for messages and captions


@runtime_checkable
class Dataset(Protocol):
    """A sequence of `Sample`s. The same index always gives the same sample."""

    palette: Palette
    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def check_dataset(data: Any) -> Dataset:
    """Return `data` if it is a data set with at least one picture; otherwise raise DataError."""
    if not isinstance(data, Dataset) or not isinstance(data.palette, Palette):
        raise DataError(f"data: {type(data).__name__} is not a data set, which needs a palette, a name, len() and [i]."
                        " Create one with tinysegnet.data.open_dataset.")  # fmt: skip
    if not len(data):
        raise DataError(f"{data.name}: the data set has no pictures. Check the folder and the split.")
    return data


def read_sample(data: Dataset, index: int) -> Sample:
    """Return data[index]. Raises DataError, which names the sample, for wrong arrays or labels out of range."""
    sample = data[index]
    if not isinstance(sample, Sample):
        raise DataError(f"{data.name}[{index}]: {type(sample).__name__} is not a tinysegnet.data.Sample.")
    image, labels = sample.image, sample.labels
    size = getattr(image, "shape", ())[:2]
    for what, array, shape in (("image", image, (*size, 3)), ("labels", labels, size)):
        fits = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.shape == shape and array.size
        if not fits:
            kind = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            needed = "RGB of shape (H, W, 3) and dtype uint8" if what == "image" else f"{size} uint8, as the image"
            raise DataError(f"{sample.name}: {what} is {kind}, but must be {needed}. Convert the array.")
    check_classes(sample.name, labels, data.palette)
    return sample


def labelled_images(data: Dataset, *, progress: Any = iter) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (image, labels) of each sample, checked by `read_sample`, as `metrics.baselines` expects.

    `progress` wraps the loop over the indices, such as tqdm.
    """
    samples = (read_sample(data, i) for i in progress(range(len(check_dataset(data)))))
    return ((sample.image, sample.labels) for sample in samples)


def check_classes(name: str, labels: np.ndarray, palette: Palette) -> None:
    """Raise DataError, which names the first wrong pixel, unless all labels belong to the palette."""
    wrong, void = (labels < 0) | (labels >= palette.num_classes), palette.ignore_label
    if void is not None:
        wrong &= labels != void
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        allowed = f"0..{palette.num_classes - 1}" + ("" if void is None else f", void {void}")
        found = f"label {labels[row, column]} at row {row}, column {column} is not allowed ({allowed})"
        raise DataError(f"{name}: {found}. Correct the labels or the palette.")


class InMemory:
    """A data set whose samples, or the first `limit` of them, are loaded or drawn at construction and kept in memory.

    `progress` wraps the loop, such as tqdm.
    """

    def __init__(self, dataset: Dataset, *, limit: int | None = None, progress: Any = iter) -> None:
        check_dataset(dataset)
        self.palette, self.name = dataset.palette, dataset.name
        if limit is not None and limit < 1:
            raise SettingError(f"limit: {limit} is too small. Choose at least 1.")
        count = len(dataset) if limit is None else min(limit, len(dataset))
        self.samples: list[Sample] = [read_sample(dataset, i) for i in progress(range(count))]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class OneClass:
    """The same pictures with two classes: 1 for the named class and 0 for all others. Void pixels stay void.

    Raises SettingError if the data set has no class of this name.
    """

    def __init__(self, data: Dataset, name: str) -> None:
        palette = check_dataset(data).palette
        name, known = convert("one_class", name, str), [own.lower() for own in palette.names]
        if name.lower() not in known:
            raise SettingError(f"{data.name} has no class {name!r}. Choose one of {', '.join(palette.names)}."
                               + did_you_mean(name, palette.names))  # fmt: skip
        k = known.index(name.lower())
        self.data, self.name = data, f"{data.name}: {palette.names[k]} or not"
        void = palette.ignore_label
        self._table = np.zeros(256, np.uint8)  # old label -> new label
        self._table[k] = 1
        if void is not None:
            self._table[void] = void = VOID
        self.palette = Palette((f"not {palette.names[k]}", palette.names[k]), (OTHERS_COLOR, palette.colors[k]), void)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        sample = read_sample(self.data, index)
        return Sample(sample.image, self._table[sample.labels], sample.name)
