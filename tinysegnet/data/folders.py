"""A folder of pictures and label maps as a data set, which is recognised, checked and decoded on demand."""

import os
from collections.abc import Callable, Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, did_you_mean
from .image_files import read_image
from .infer_encoding import Classes, infer_label_encoding
from .label_encoding import VOID, LabelEncoding
from .label_files import read_label_pixels
from .layouts import Layout, find_layout
from .pairs import FilePair, belong_together, inside
from .palette import CAMVID
from .sample import Dataset, Sample

CACHE_BYTES = 1_000_000_000  # limit for the decoded samples of one data set; CamVid's 367 training pairs take 254 MB
_TOY = {"train": (450, 0), "val": (200, 1)}  # number of streets and seed; no street is in both splits


def read_pair(pair: FilePair, label_encoding: LabelEncoding) -> tuple[Sample | None, list[DataError]]:
    """Read one pair. Returns the sample and no errors, or None and the errors of both files."""
    errors: list[DataError] = []

    def attempt(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except DataError as error:
            errors.append(error)

    attempt(_check_partners, pair)
    if errors:
        return None, errors
    image = attempt(_read_inside, read_image, pair.image, pair.root)
    pixels = attempt(_read_inside, read_label_pixels, pair.labels, pair.root)
    if image is not None and pixels is not None:
        attempt(check_sizes, pair.image, image, pair.labels, pixels.values)
    if pixels is not None and (image is None or not errors):
        labels = attempt(label_encoding.decode, pixels, pair.labels)
    return None if errors else Sample(image, labels, pair.image.stem), errors


def check_sizes(image_path: Path, image: np.ndarray, labels_path: Path, labels: np.ndarray) -> None:
    """Raise DataError unless a label map (H, W) has the size of its upright picture (H, W, 3)."""
    (H, W), (h, w) = image.shape[:2], labels.shape[:2]
    remedy = "Export it again."
    if (w, h) == (H, W):  # the picture was turned, but the label map was not
        remedy = f"Export it upright, or remove the picture's EXIF orientation: exiftool -Orientation= {image_path}"
    if (h, w) != (H, W):
        sizes = f"the label map has {h} x {w} pixels, but {image_path} has {H} x {W} when it is upright"
        raise DataError(f"{labels_path}: {sizes}. {remedy}")


def _check_partners(pair: FilePair) -> None:
    if pair.origin.startswith("folders "):
        for path, partner, what in ((pair.labels, pair.image, "label map"), (pair.image, pair.labels, "picture")):
            if not os.path.lexists(path) and os.path.exists(partner):
                raise DataError(f"{path}: no such file. Add the {what}, or remove {partner}.")
    elif not belong_together(pair.image, pair.labels):
        wrong = f"{pair.origin} pairs this picture with {pair.labels}, which has a different name"
        raise DataError(f"{pair.image}: {wrong}. Correct the list.")


def _read_inside(read: Callable[[Path], Any], path: Path, root: Path) -> Any:
    if not inside(path, root):
        raise DataError(f"{path}: this link points outside {root}. Copy the file into the folder.")
    return read(path)


class Folder:
    """One split of a folder as a `Dataset`: `dataset[i]` is a `Sample` whose image and labels are read-only.

    Samples are decoded on first use and cached, up to CACHE_BYTES (1 GB). `problems` describes the bad files.

    Args:
        root: the folder, in one of the layouts that `layouts` recognises.
        split: "train", "val", "test", ...
        ignore: the label value that means "not labelled"; None infers it.
        classes: "merged" combines CamVid's 32 original classes into the papers' eleven; "all" keeps all 32.
        layout: the pairs of files; None infers them.

    Raises:
        DataError: no pairs are found, or the classes cannot be inferred.
    """

    def __init__(
        self, root: str | PathLike[str], split: str = "train", *, ignore: int | None = None,
        classes: Classes = "merged", layout: Layout | None = None,
    ) -> None:  # fmt: skip
        self.root, self.split = Path(root), split
        self.layout = layout or find_layout(self.root)
        self.pairs = self.layout.pairs(split)
        self.label_encoding, self.source = infer_label_encoding(self.layout, self.root, ignore, classes)
        self.palette = self.label_encoding.palette
        self.name = f"{'CamVid' if self.palette == CAMVID else self.root.resolve().name} {split}"
        self._cache: dict[int, Sample] = {}
        self._cached_bytes = 0
        self.void_occurs = False  # in the label maps that were read

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        sample, errors = self._read(range(len(self))[index])  # a range supports negative indices and raises IndexError
        if sample is None:
            raise errors[0]
        return sample

    def _read(self, index: int) -> tuple[Sample | None, list[DataError]]:
        if index in self._cache:
            return self._cache[index], []
        sample, errors = read_pair(self.pairs[index], self.label_encoding)
        if sample is not None:
            self.void_occurs |= bool((sample.labels == self.palette.ignore_label).any())
            sample.image.setflags(write=False)  # so that augmentation cannot change cached arrays
            sample.labels.setflags(write=False)
            size = sample.image.nbytes + sample.labels.nbytes
            if self._cached_bytes + size <= CACHE_BYTES:
                self._cache[index] = sample
                self._cached_bytes += size
        return sample, errors

    @property
    def description(self) -> str:
        """A summary, in a few lines, of what was inferred: layout, number of pictures per split, classes and void."""
        counts = ", ".join(f"{len(pairs)} {name}" for name, pairs in self.layout.splits.items())
        names = ", ".join(self.palette.names)
        values, _, void = self.label_encoding.allowed().partition(", void ")
        if void and (void != str(VOID) or self.void_occurs):  # VOID is allowed even if no class is void
            values += f", void {void}"
        if void and void != str(self.palette.ignore_label):
            values += f"; void becomes {self.palette.ignore_label}"
        lines = [f"{self.root}: {self.layout.title}; pictures: {counts}", self.layout.note,
                 f"{self.palette.num_classes} classes, {self.source}: {names}",
                 f"values in label maps: {values}"]  # fmt: skip
        return "\n".join(line for line in lines if line)

    def problems(self, *, progress: Callable[[range], Iterable[int]] = iter) -> list[str]:
        """Decode every pair, check every label value, and return a line with the path and the fault of each bad file.

        Args:
            progress: a function that wraps the loop over the indices, such as tqdm; it may skip some of them.
        """
        return [str(error) for index in progress(range(len(self))) for error in self._read(index)[1]]


def open_dataset(
    data: str | PathLike[str], split: str = "train", *, size: tuple[int, int] = (96, 128), ignore: int | None = None,
    classes: Classes = "merged",
) -> Dataset:  # fmt: skip
    """Open a data set by name. Raises DataError if it is not found; `Folder.problems` checks the files themselves.

    Args:
        data: "toy", or a folder in any layout that `Folder` recognises.
        split: "train", "val", ...
        size: (H, W) of the toy scenes; pictures on disk keep their own sizes.
        ignore, classes: see `Folder`.
    """
    if not isinstance(data, str | PathLike) or not fspath(data):  # an empty path would mean the current folder
        what = type(data).__name__ if data != "" else repr(data)
        raise DataError(f'data: {what} is not a path. Give "toy", or the path of a folder.')
    if fspath(data) != "toy":
        return Folder(data, split, ignore=ignore, classes=classes)
    if split not in _TOY:
        raise DataError(f"toy: there is no split {split!r}. Choose {' or '.join(_TOY)}.{did_you_mean(split, _TOY)}")
    from .toyscenes import ToyScenes  # imported here, so that reading pictures does not load the drawing code

    count, seed = _TOY[split]
    return ToyScenes(count, seed=seed, size=size)
