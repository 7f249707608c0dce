"""The meaning of the values in label files, which are converted to class numbers and void.

The numbers in a file are not always the class numbers: masks use 255 for class 1, fastai's CamVid has Void as number 30
of 0..31, and CamVid's 32 classes become the papers' eleven. A `LabelEncoding` has two tables, one from file values to
labels and one from colours to labels. Any other value raises an error with the file and the pixel.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike

import numpy as np

from ..errors import DataError, SettingError
from .class_lists import ClassList
from .label_files import LabelPixels, read_label_pixels
from .palette import CAMVID, CAMVID_MERGE, Color, Palette, distinct_colors

VOID = 255  # the default label for "not labelled"
_VOID_NAMES = {"void", "unlabelled", "unlabeled", "ignore"}
_PART = 1 << 16  # pixels whose colours are looked up at once, at 30 bytes per pixel


@dataclass(frozen=True, eq=False)
class LabelEncoding:
    """A mapping from the pixels of a label file to labels of `palette`."""

    palette: Palette
    table: np.ndarray  # (257,) int16, file value -> label, or -1 if not allowed; the last entry is for values above 255
    colors: dict[Color, int] = field(default_factory=dict)  # (R, G, B) -> label
    strays: float = 0.0  # up to this share of the pixels, unknown colours become void instead of an error

    @classmethod
    def plain(cls, palette: Palette) -> LabelEncoding:
        """Use the palette's own numbers and colours."""
        void = palette.ignore_label
        labels, colors = list(range(palette.num_classes)), _numbered(palette.colors)
        if void is not None:
            labels.append(void)
            colors.setdefault(palette.ignore_color, void)
        return cls(palette, _table(dict(zip(labels, labels, strict=True))), colors)

    @classmethod
    def of_classes(cls, classes: ClassList, *, ignore: int | None = None, strays: float = 0.0) -> LabelEncoding:
        """Number the classes by their lines in the list. Classes named void and class number `ignore` become void."""
        void = {n for n, name in enumerate(classes.names) if n == ignore or name.lower() in _VOID_NAMES}
        kept = [number for number in range(len(classes.names)) if number not in void]
        if not kept:
            raise DataError(f"{classes.source}: every class is void. Add a class that is not void.")
        colors = _fill(classes.colors)
        names = tuple(classes.names[number] for number in kept)
        outside = ignore is not None and ignore >= len(classes.names)
        void_color = colors[min(void)] if void else (0, 0, 0)
        palette = Palette(names, tuple(colors[n] for n in kept), ignore if outside else VOID, void_color)
        return cls._renumbered(classes, palette, {number: label for label, number in enumerate(kept)}, ignore, strays)

    @classmethod
    def merged(cls, classes: ClassList, *, ignore: int | None = None, strays: float = 0.0) -> LabelEncoding:
        """Merge CamVid's 32 classes into the papers' eleven."""
        label_of = {name: label for label, parts in enumerate(CAMVID_MERGE.values()) for name in parts}
        labels = {n: label_of[name] for n, name in enumerate(classes.names) if name in label_of and n != ignore}
        return cls._renumbered(classes, CAMVID, labels, ignore, strays)

    @classmethod
    def _renumbered(
        cls, classes: ClassList, palette: Palette, labels: dict[int, int], ignore: int | None, strays: float
    ) -> LabelEncoding:
        """Renumber classes with `labels` (number in the file -> label). The other classes and `ignore` become void."""
        assert palette.ignore_label is not None
        if ignore is not None and not 0 <= ignore <= 255:
            raise SettingError(f"ignore: {ignore} is not a label value. Choose a number from 0 to 255.")
        everything = {VOID if ignore is None else ignore: palette.ignore_label}
        everything |= {number: labels.get(number, palette.ignore_label) for number in range(len(classes.names))}
        known = {color: everything[number] for color, number in _numbered(classes.colors).items()}
        if known:
            known.setdefault(palette.ignore_color, palette.ignore_label)
        return cls(palette, _table(everything), known, strays)

    @classmethod
    def of_values(
        cls, values: Iterable[int], names: ClassList | None = None, *, ignore: int | None = None
    ) -> LabelEncoding:
        """Infer the encoding from the values that occur: a mask of 0 and 255, or classes 0..K-1 and void.

        A number is a class if at least half of the numbers up to it occur, so a single 37 next to 0..11 is not a class.
        """
        found = set(values)
        if ignore is None and (VOID in found) and found <= {0, VOID}:
            names = names or ClassList(("background", "foreground"), (None, None), "a mask of 0 and 255")
            palette = Palette(names.names, _fill(names.colors))
            return cls(palette, _table({0: 0, 1: 1, VOID: 1}), _numbered(names.colors))
        if names is None:
            numbers = sorted(found - {VOID, ignore})
            believed = [number for count, number in enumerate(numbers, start=1) if number + 1 <= 2 * count]
            count = max(2, believed[-1] + 1 if believed else 0)
            titles = tuple(f"class {number}" for number in range(count))
            names = ClassList(titles, (None,) * count, "the values in the label maps")
        return cls.of_classes(names, ignore=ignore)

    def decode(self, stored: LabelPixels, where: object) -> np.ndarray:
        """Convert the pixels of a label file to labels (H, W) uint8. `where` names the file in errors."""
        pixels = stored.values
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

    def _decode_colors(self, pixels: np.ndarray, where: object) -> np.ndarray:
        if not self.colors:
            wrong = "the label map contains colours, but the colours of the classes are unknown"
            raise DataError(f"{where}: {wrong}. Add a classes.txt with lines `R G B name`.")
        known = sorted((_key(np.array(color)), label) for color, label in self.colors.items())
        keys, labels = (np.array(column) for column in zip(*known, strict=True))
        result = np.empty(pixels.shape[:2], np.uint8)
        unknown = np.empty(pixels.shape[:2], bool)
        rows = max(1, _PART // pixels.shape[1])
        for start in range(0, len(pixels), rows):
            part = slice(start, start + rows)
            own = _key(pixels[part])
            place = np.searchsorted(keys, own).clip(max=len(keys) - 1)
            result[part] = labels[place]
            unknown[part] = keys[place] != own
        if unknown.any():
            row, column = _first(unknown)
            found = "{} {} {} at row {}, column {}".format(*pixels[row, column], row, column)
            if self.palette.ignore_label is None or unknown.mean() > self.strays:
                wrong = f"colour {found} belongs to no class (pixels with unknown colours: {unknown.sum()})"
                raise DataError(f"{where}: {wrong}. Correct the label map, or add the colour to the list of classes.")
            count = f"unknown colours, such as {found}, are treated as void (pixels: {unknown.sum()})"
            warnings.warn(f"{where}: {count}", UserWarning, stacklevel=2)
            result[unknown] = self.palette.ignore_label
        return result

    def allowed(self) -> str:
        """Return the allowed file values as text, such as "0..10, void 11"."""
        void = -2 if self.palette.ignore_label is None else self.palette.ignore_label
        text = _ranges(np.flatnonzero((self.table >= 0) & (self.table != void)))
        return text + (f", void {_ranges(np.flatnonzero(self.table == void))}" if void >= 0 else "")


def read_labels(path: str | PathLike[str], palette: Palette | None = None) -> np.ndarray:
    """Read a PNG label map as labels (H, W) uint8. Raises DataError for unreadable files and unknown values.

    Args:
        palette: the classes and void that the numbers or colours stand for, or None to return the file's numbers.
    """
    as_in_file = LabelEncoding(CAMVID, _table({value: value for value in range(256)}))
    encoding = as_in_file if palette is None else LabelEncoding.plain(palette)
    return encoding.decode(read_label_pixels(path), path)


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


def _key(colors: np.ndarray) -> np.ndarray:
    """Encode each colour of an array (..., 3) as one int32 number."""
    red, green, blue = (colors[..., c].astype(np.int32) for c in range(3))
    return red << 16 | green << 8 | blue


def _ranges(values: np.ndarray) -> str:
    """Return sorted values as text: [0, 1, 2, 5] becomes "0..2, 5"."""
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs if len(run))
