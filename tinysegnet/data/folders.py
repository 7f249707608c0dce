"""A folder of pictures and label maps as a data set, which is recognised, checked and decoded on demand.

`layouts` finds the pairs of files, and `label_encoding` interprets their values. A `Folder` describes what was inferred
(`description`), reads the files, and lists all bad files (`problems`).
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import DataError
from .image_files import read_image, read_label_pixels
from .label_encoding import VOID, ClassList, LabelEncoding
from .layouts import Layout, find_layout, tutorial_layout
from .pairs import FilePair, inside
from .palette import CAMVID, Palette
from .sample import Sample

CACHE_BYTES = 1_000_000_000  # limit for the decoded samples of one data set; CamVid's 367 training pairs take 254 MB
_CLASS_FILES = ("classes.txt", "codes.txt", "label_colors.txt")
_STRAYS = 1e-3  # one of CamVid's 701 label maps has about 200 pixels whose colour belongs to no class

Classes = Literal["merged", "all"]
Progress = Callable[[range], Iterable[int]]


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, and the reason in one line."""

    file: Path
    text: str


class Folder:
    """One split of a folder as a `Dataset`: `dataset[i]` is a `Sample` whose image and labels are read-only.

    Samples are decoded on first use and cached, up to CACHE_BYTES (1 GB). `problems` lists the bad files.

    Args:
        root: the folder, in one of the layouts that `layouts` recognises.
        split: "train", "val", "test", ...
        ignore: the label value that means "not labelled"; None infers it.
        classes: "merged" combines CamVid's 32 original classes into the papers' eleven; "all" keeps all 32.
        layout, label_encoding: the pairs of files and the meaning of their values; None infers them.

    Raises:
        DataError: no pairs are found, or the classes cannot be inferred.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        split: str = "train",
        *,
        ignore: int | None = None,
        classes: Classes = "merged",
        layout: Layout | None = None,
        label_encoding: LabelEncoding | None = None,
    ) -> None:
        self.root, self.split = Path(root), split
        self.layout = layout or find_layout(self.root)
        self.pairs = self.layout.pairs(split)
        found = (label_encoding, "given") if label_encoding else _find_label_encoding(self.layout, ignore, classes)
        self.label_encoding, self.source = found
        self.palette = self.label_encoding.palette
        self.name = f"{'CamVid' if self.palette == CAMVID else self.root.resolve().name} {split}"
        self._cache: dict[int, Sample] = {}
        self._cached_bytes = 0
        self.void_occurs = False  # in the label maps that were read

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]  # supports negative indices and raises IndexError
        if index not in self._cache:
            sample, errors = _examine(self.pairs[index], self.label_encoding)
            if sample is None:
                raise errors[0]
            self.void_occurs |= bool((sample.labels == self.palette.ignore_label).any())
            sample.image.setflags(write=False)  # so that augmentation cannot change cached arrays
            sample.labels.setflags(write=False)
            size = sample.image.nbytes + sample.labels.nbytes
            if self._cached_bytes + size > CACHE_BYTES:
                return sample
            self._cache[index] = sample
            self._cached_bytes += size
        return self._cache[index]

    @property
    def description(self) -> str:
        """A summary, in a few lines, of what was inferred: layout, number of pictures per split, classes and void."""
        counts = ", ".join(f"{len(self.layout.pairs(name))} {name}" for name in self.layout.splits)
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

    def problems(self, *, progress: Progress = iter) -> list[Problem]:
        """Decode every pair, check every label value, and return the bad files.

        Args:
            progress: a function that wraps the loop over the indices, such as tqdm; it may skip some of them.
        """
        found = []
        for index in progress(range(len(self))):
            pair = self.pairs[index]
            try:
                self[index]
            except DataError:
                for text in map(str, _examine(pair, self.label_encoding)[1]):
                    found.append(Problem(pair.labels if text.startswith(f"{pair.labels}:") else pair.image, text))
        return found

    def check(self, *, progress: Progress = iter) -> None:
        """Raise a DataError with one line per bad file, if there are any."""
        problems = self.problems(progress=progress)
        if problems:
            count = f"{len({problem.file.stem for problem in problems})} of {len(self)} pairs cannot be used"
            raise DataError("\n".join([f"{self.root}: {self.name}: {count}:", *(p.text for p in problems)]))


class CamVid(Folder):
    """One split of CamVid in the SegNet tutorial's layout: 367 + 101 + 233 street pictures of 480 x 360, 11 classes.

    This is a `Folder` whose layout is known: train.txt, or the folders train/ and trainannot/ (see `layouts`).

    Args:
        palette: the meaning of the numbers and colours in the label maps.
    """

    def __init__(self, root: str | PathLike[str], split: str = "train", *, palette: Palette = CAMVID) -> None:
        super().__init__(root, split, layout=tutorial_layout(Path(root)), label_encoding=LabelEncoding.plain(palette))
        self.name = f"CamVid {split}"


def _examine(pair: FilePair, label_encoding: LabelEncoding) -> tuple[Sample | None, list[DataError]]:
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
    if image is not None and pixels is not None and image.shape[:2] != pixels.shape[:2]:
        (h, w), (H, W) = pixels.shape[:2], image.shape[:2]
        sizes = f"the label map has {w} x {h} pixels, but {pair.image} has {W} x {H}"
        errors.append(DataError(f"{pair.labels}: {sizes}. Export it again."))
    elif pixels is not None:
        labels = attempt(label_encoding.decode, pixels, pair.labels)
    return None if errors else Sample(image, labels, pair.image.stem), errors


def _check_partners(pair: FilePair) -> None:
    if pair.origin.startswith("folders "):
        for path, partner, what in ((pair.labels, pair.image, "label map"), (pair.image, pair.labels, "picture")):
            if not os.path.lexists(path) and os.path.exists(partner):
                raise DataError(f"{path}: no such file. Add the {what}, or remove {partner}.")
    elif pair.image.stem != pair.labels.stem:
        wrong = f"{pair.origin} pairs this picture with {pair.labels}, which has a different name"
        raise DataError(f"{pair.image}: {wrong}. Correct the list.")


def _read_inside(read: Callable[[Path], np.ndarray], path: Path, root: Path) -> np.ndarray:
    if not inside(path, root):
        raise DataError(f"{path}: this link points outside {root}. Copy the file into the folder.")
    return read(path)


def _find_label_encoding(layout: Layout, ignore: int | None, classes: Classes) -> tuple[LabelEncoding, str]:
    """Infer the encoding from a list of classes, else the layout, else the label values, and describe its source."""
    path = next((layout.root / name for name in _CLASS_FILES if (layout.root / name).is_file()), None)
    known = None if path is None else ClassList.read(path)
    if known is not None and known.is_camvid:
        make, how = LabelEncoding.of_classes, "without void"
        if classes == "merged":
            make, how = LabelEncoding.merged, "merged"
        return make(known, ignore=ignore, strays=_STRAYS), f"from CamVid's 32 in {known.source}, {how}"
    if classes == "all" and known is None and layout.is_tutorial:
        raise DataError(f"{layout.root}: the labels have 11 classes, not CamVid's 32. Leave out --classes all.")
    if known is None and layout.is_tutorial:
        if ignore in (None, CAMVID.ignore_label):
            return LabelEncoding.plain(CAMVID), "as in CamVid"
        known = ClassList((*CAMVID.names, "void"), (*CAMVID.colors, CAMVID.ignore_color), "CamVid")
    if known is not None and (len(known.names) > 2 or any(known.colors)):
        return LabelEncoding.of_classes(known, ignore=ignore), f"from {known.source}"
    source = known.source if known else "the values in the label maps (there is no classes.txt)"
    return LabelEncoding.of_values(_values(layout), known, ignore=ignore), f"from {source}"


def _values(layout: Layout) -> frozenset[int]:
    """Return the numbers in the label maps of all splits. Unreadable files are skipped."""
    paths = sorted({pair.labels for pairs in layout.splits.values() for pair in pairs()})
    readable = (path for path in paths if os.path.isfile(path) and inside(path, layout.root))
    return _values_in(tuple((path, path.stat().st_mtime_ns) for path in readable))


@lru_cache(maxsize=4)  # the splits of one folder scan the same files
def _values_in(files: tuple[tuple[Path, int], ...]) -> frozenset[int]:
    seen = np.zeros(1 << 16, bool)
    for path, _ in files:
        try:
            pixels = read_label_pixels(path)
        except DataError:
            continue
        if pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all()):
            seen[pixels.ravel()] = True
    return frozenset(np.flatnonzero(seen).tolist())
