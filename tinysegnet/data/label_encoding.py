"""The meaning of the values in label files, which are converted to class numbers and void.

The numbers in a file are not always the class numbers: masks use 255 for class 1, for example, and CamVid's 32 classes
become the papers' eleven. Values that are neither a class nor void raise an error with the file and the pixel.

If a list of classes gives colours, a file with a colour palette is decoded by the colours of its palette, because many
programs number the colours in the order of their first use.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import DataError, SettingError
from .class_lists import ClassList, is_void_name
from .label_files import LabelPixels, read_label_pixels
from .palette import CAMVID, CAMVID_MERGE, Color, Palette, distinct_colors

VOID = 255  # the default label for "not labelled"
_STRAYS = 1e-3  # one of CamVid's 701 label maps has about 200 pixels whose colour belongs to no class
_SOFT = 8  # more unknown colours than this in one file come from soft edges
_NAMED = 4  # colours in a message
_PART = 1 << 16  # pixels whose colours are looked up at once; each needs 30 bytes


@dataclass(frozen=True, eq=False)
class LabelEncoding:
    """A mapping from the pixels of a label file to labels of `palette`."""

    palette: Palette
    table: np.ndarray  # (257,) int16, the label of each file value, -1 if not allowed; the last is for values above 255
    colors: dict[Color, int] = field(default_factory=dict)  # the label of each colour (R, G, B)
    strays: float = 0.0  # the share of pixels up to which unknown colours become void instead of an error
    by_palette: bool = False  # files with a colour palette are decoded by its colours, not by their numbers
    by_grey: bool = False  # grey files are decoded by the greys among the colours, not by their numbers

    @classmethod
    def plain(cls, palette: Palette) -> LabelEncoding:
        """Use the palette's own numbers and colours. Black is void only in CamVid, as it is the default elsewhere."""
        void = palette.ignore_label
        labels, colors = list(range(palette.num_classes)), _numbered(palette.colors)
        if void is not None:
            labels.append(void)
            if palette == CAMVID or any(palette.ignore_color):
                colors.setdefault(palette.ignore_color, void)
        return cls(palette, _table(dict(zip(labels, labels, strict=True))), colors)

    @classmethod
    def of_mask(cls, classes: ClassList) -> LabelEncoding:
        """Decode masks of two classes: 0 is the first class, and 1 and 255 are the second."""
        _check_names(classes, classes.names)
        palette = Palette(classes.names, _fill(classes.colors))
        colors = _numbered(classes.colors)
        return cls(palette, _table({0: 0, 1: 1, VOID: 1}), colors, by_palette=bool(colors))

    @classmethod
    def of_classes(cls, classes: ClassList, *, ignore: int | None = None, merge: bool = False) -> LabelEncoding:
        """Renumber the classes from 0 in list order or, with `merge`, merge CamVid's 32 into the papers' eleven.

        The number `ignore`, classes with void names, and classes that are merged into none become void.
        """
        if ignore is not None and not 0 <= ignore <= 255:
            raise SettingError(f"ignore: {ignore} is not a label value. Choose a number from 0 to 255.")
        entries = [*zip(classes.numbers, classes.names, _fill(classes.colors), strict=True)]
        if merge:
            label_of = {name: label for label, parts in enumerate(CAMVID_MERGE.values()) for name in parts}
            labels = {number: label_of[name] for number, name, _ in entries if name in label_of and number != ignore}
            palette, void_label = CAMVID, CAMVID.num_classes
        else:
            void = {number: color for number, name, color in entries if number == ignore or is_void_name(name)}
            kept = [entry for entry in entries if entry[0] not in void]
            _check_names(classes, [name for _, name, _ in kept])
            numbers, names, colors = zip(*kept, strict=True)
            labels = {number: k for k, number in enumerate(numbers)}
            void_label = ignore if ignore is not None and ignore not in void and ignore >= len(kept) else VOID
            palette = Palette(names, colors, void_label, next(iter(void.values()), (0, 0, 0)))
        everything = {VOID if ignore is None else ignore: void_label}
        everything |= {number: labels.get(number, void_label) for number in classes.numbers}
        colored = zip(classes.numbers, classes.colors, strict=True)
        known = {color: everything[number] for number, color in colored if color}
        if known and palette == CAMVID:
            known.setdefault(palette.ignore_color, void_label)
        strays = _STRAYS if classes.is_camvid else 0.0
        return cls(palette, _table(everything), known, strays, by_palette=bool(known))

    def decode(self, stored: LabelPixels, where: object) -> np.ndarray:
        """Convert the pixels of a label file to labels (H, W) uint8. `where` names the file in errors."""
        pixels = stored.values
        if pixels.ndim == 2 and (self.by_palette or self.by_grey):
            numbers = np.flatnonzero(np.bincount(pixels.ravel())).tolist()
            shown, is_palette = stored.shown_colors(numbers)
            if is_palette or self.by_grey:
                return self._decode_shown(pixels, shown, where)
        if pixels.ndim == 3 and not self.colors and bool((pixels == pixels[..., :1]).all()):
            pixels = pixels[..., 0]  # class numbers saved in three equal channels
        if pixels.ndim == 3:
            return self._decode_colors(pixels, where)
        labels = self.table[pixels if pixels.dtype == np.uint8 else np.minimum(pixels, len(self.table) - 1)]
        if (labels < 0).any():
            row, column = _first(labels < 0)
            wrong = f"value {pixels[row, column]} at row {row}, column {column} is not allowed ({self.allowed()})"
            raise DataError(f"{where}: {wrong}. Correct the label map or the list of classes.")
        return labels.astype(np.uint8)

    def _decode_shown(self, pixels: np.ndarray, shown: dict[int, Color], where: object) -> np.ndarray:
        """Decode numbers by their colours in the palette of the file, or by their grey levels."""
        void, labels = self.palette.ignore_label, {}
        for number, color in shown.items():
            label = self.colors.get(color, void if number in (VOID, void) else None)
            if label is None:
                wrong = "number {} has the colour {} {} {}, which belongs to no class".format(number, *color)
                remedy = "Add the colour to the list of classes, or remove all colours from the list to use the numbers"
                raise DataError(f"{where}: {wrong}. {remedy}.")
            labels[number] = label
        return _table(labels)[pixels].astype(np.uint8)

    def _decode_colors(self, pixels: np.ndarray, where: object) -> np.ndarray:
        if not self.colors:
            wrong = f"the colours of the classes are unknown. The label map contains {_frequent(_key(pixels))[1]}"
            raise DataError(f"{where}: {wrong}. Add a classes.txt with a line `R G B name` for each class.")
        known = sorted((_key(np.array(color)), label) for color, label in self.colors.items())
        keys, labels = (np.array(column) for column in zip(*known, strict=True))
        result = np.empty(pixels.shape[:2], np.uint8)
        unknown = np.empty(pixels.shape[:2], bool)
        strange: list[np.ndarray] = []  # the first unknown colours
        rows = max(1, _PART // pixels.shape[1])
        for start in range(0, len(pixels), rows):
            part = slice(start, start + rows)
            own = _key(pixels[part])
            place = np.searchsorted(keys, own).clip(max=len(keys) - 1)
            result[part] = labels[place]
            unknown[part] = keys[place] != own
            if sum(map(len, strange)) < _PART:
                strange.append(own[unknown[part]])
        if unknown.any():
            row, column = _first(unknown)
            found = "{} {} {} at row {}, column {}".format(*pixels[row, column], row, column)
            if self.palette.ignore_label is None or unknown.mean() > self.strays:
                different, examples = _frequent(np.concatenate(strange))
                if different > _SOFT:
                    wrong = f"{different} or more colours belong to no class: {examples}"
                    remedy = "Colours of few pixels come from soft edges or a JPEG: export PNG without smoothing"
                    raise DataError(f"{where}: {wrong}. {remedy}. Add the others to the list of classes.")
                wrong = f"colour {found} belongs to no class (pixels with unknown colours: {unknown.sum()})"
                raise DataError(f"{where}: {wrong}. Correct the label map, or add the colour to the list of classes.")
            count = f"unknown colours, such as {found}, are treated as void (pixels: {unknown.sum()})"
            warnings.warn(f"{where}: {count}", UserWarning, stacklevel=2)
            result[unknown] = self.palette.ignore_label
        return result

    def allowed(self) -> str:
        """Return the allowed file values as text, such as "0..10, void 11"."""
        void = -2 if self.palette.ignore_label is None else self.palette.ignore_label
        table = self.table
        if self.by_grey:
            table = _table({red: label for (red, green, blue), label in self.colors.items() if red == green == blue})
        text = _ranges(np.flatnonzero((table >= 0) & (table != void)))
        voids = _ranges(np.flatnonzero(table == void))
        return text + (f", void {voids}" if voids else "")


def read_labels(path: str | PathLike[str], palette: Palette | None = None) -> np.ndarray:
    """Read a PNG label map as labels (H, W) uint8. Raises DataError for unreadable files and unknown values.

    Args:
        palette: the classes and void that the numbers or colours stand for, or None to return the file's numbers.
    """
    as_in_file = LabelEncoding(CAMVID, _table({value: value for value in range(256)}))
    encoding = as_in_file if palette is None else LabelEncoding.plain(palette)
    return encoding.decode(read_label_pixels(path), Path(path))


def _check_names(classes: ClassList, names: Iterable[str]) -> None:
    if sum(not is_void_name(name) for name in names) < 2:
        raise DataError(
            f"{classes.source}: fewer than two classes are not void. Add or rename a class, or leave out --ignore."
        )


def _table(labels: dict[int, int]) -> np.ndarray:
    table = np.full(257, -1, np.int16)
    table[list(labels)] = list(labels.values())
    return table


def _numbered(colors: Iterable[Color | None]) -> dict[Color, int]:
    return {color: number for number, color in enumerate(colors) if color}


def _fill(colors: tuple[Color | None, ...]) -> tuple[Color, ...]:
    """Return a colour for every class. Unknown colours are replaced by distinct ones."""
    made = iter(distinct_colors(len(colors), [color for color in colors if color]))
    return tuple(color or next(made) for color in colors)


def _first(where: np.ndarray) -> tuple[np.intp, ...]:
    return np.unravel_index(where.argmax(), where.shape)


def _frequent(colors: np.ndarray) -> tuple[int, str]:
    """Return the number of different keys of colours, and the most frequent ones as text with their pixel counts."""
    keys, counts = np.unique(colors, return_counts=True)
    order = np.argsort(-counts)[:_NAMED]
    found = [f"{keys[i] >> 16} {keys[i] >> 8 & 255} {keys[i] & 255} ({counts[i]} pixels)" for i in order]
    return len(keys), ", ".join(found + ["..."] * (len(keys) > _NAMED))


def _key(colors: np.ndarray) -> np.ndarray:
    """Encode each colour of an array (..., 3) as one int32 number."""
    red, green, blue = (colors[..., c].astype(np.int32) for c in range(3))
    return red << 16 | green << 8 | blue


def _ranges(values: np.ndarray) -> str:
    """Return sorted values as text: [0, 1, 2, 5] becomes "0..2, 5"."""
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs if len(run))
