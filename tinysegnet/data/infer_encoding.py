"""Inferring the meaning of the values in the label maps of a folder, from a survey of all of them.

The label maps, the list of classes and the layout together must have exactly one meaning. Otherwise, a DataError names
a file, the numbers and the remedy.
"""

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from ..errors import DataError
from .class_lists import ClassList, find_class_list
from .label_encoding import VOID, LabelEncoding
from .label_files import read_label_pixels
from .layouts import Layout
from .pairs import inside
from .palette import CAMVID, Color

_MAX_UNLISTED = 64  # more classes than this need a list
_RARE = 0.02  # each grey level of a soft edge has a smaller share of the pixels
_CAMVID_NAMES = re.compile("0001TP_|0006R0_|0016E5_|Seq05VD_")  # the names of CamVid's four videos
_CAMVID_CLASSES = ClassList((*CAMVID.names, "void"), (*CAMVID.colors, CAMVID.ignore_color), "CamVid")
_BLURRED = 0.9  # a number made by interpolation has a larger share of blurred pixels; in CamVid's poles, it is 0.1
_SMALLEST = 24  # pixels; in smaller label maps, most pixels are at edges
_STEPS = 3  # pixels; blurred edges of up to twice this width are recognised
_MOST_NUMBERS = 300  # numbers per file; a file with more numbers is not a label map and would need much memory

Classes = Literal["merged", "all"]


@dataclass(frozen=True)
class LabelFacts:
    """The numbers in one label map. If the file contains colours instead of numbers, `counts` is empty."""

    path: Path
    counts: dict[int, int]  # the pixel count of each number
    shown: dict[int, Color]  # the displayed colour of each number
    is_palette: bool = False  # whether the colours come from a palette; otherwise, they are grey levels
    blurred: int = 0  # how many numbers occur almost only where interpolation or JPEG would create them


def survey(layout: Layout, *, skip_colors: bool) -> list[LabelFacts]:
    """Return the facts about all label maps in all splits. Files that cannot be read are skipped.

    `skip_colors` skips RGB files, which are slow to decode, because their colours are listed.
    """
    paths = sorted({pair.labels for pairs in layout.splits.values() for pair in pairs})
    paths = [path for path in paths if os.path.isfile(path) and inside(path, layout.root)]
    found = (_facts(path, path.stat().st_mtime_ns, skip_colors) for path in paths)
    return [facts for facts in found if facts]


@cache  # each split of a folder surveys the same files
def _facts(path: Path, modified: int, skip_colors: bool) -> LabelFacts | None:
    try:
        if skip_colors:
            with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # reads only the header
                if image.mode in ("RGB", "RGBA"):
                    return LabelFacts(path, {}, {})
        stored = read_label_pixels(path)
    except Exception:  # a damaged file may raise anything; it is reported when it is read as a sample
        return None
    values = stored.values
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            return LabelFacts(path, {}, {})
        values = values[..., 0]
    counts = np.bincount(values.ravel())
    numbers = np.flatnonzero(counts)[:_MOST_NUMBERS].tolist()
    shown, is_palette = stored.shown_colors(numbers)
    blurred = 0
    if len(numbers) > 4 and min(values.shape) >= _SMALLEST:
        edges = np.bincount(values[_looks_blurred(values)], minlength=len(counts))
        blurred = int(np.count_nonzero(edges > _BLURRED * counts))
    return LabelFacts(path, {number: int(counts[number]) for number in numbers}, shown, is_palette, blurred)


def _looks_blurred(values: np.ndarray) -> np.ndarray:
    """Return where a value lies between the values of two opposite neighbours, or differs from all four neighbours."""
    between, differs = np.zeros(values.shape, bool), np.ones(values.shape, bool)
    for array, found, alone in ((values, between, differs), (values.T, between.T, differs.T)):
        for step in range(1, 1 + _STEPS):
            before, here, after = array[: -2 * step], array[step:-step], array[2 * step :]
            found[step:-step] |= ((before < here) & (here < after)) | ((before > here) & (here > after))
        equal = array[1:] == array[:-1]
        alone[1:] &= ~equal
        alone[:-1] &= ~equal
    return between | differs


def infer_label_encoding(layout: Layout, root: Path, ignore: int | None, classes: Classes) -> tuple[LabelEncoding, str]:
    """Infer the encoding from the label maps and a list of classes in `layout.root` or `root`; describe its source.

    `ignore` and `classes` are those of `Folder`.
    """
    firsts = [pair for pairs in layout.splits.values() for pair in pairs[:1]]
    parents = [parent for pair in firsts for path in (pair.image, pair.labels) for parent in path.parents]
    inside = [path for path in parents if path.is_relative_to(layout.root)]
    listed = find_class_list(filter(os.path.isdir, dict.fromkeys([root, *inside])))
    colors = [color for color in listed.colors if color] if listed else []
    files = survey(layout, skip_colors=bool(colors))
    if not colors:
        _check_palettes(files)
    numbered = [file for file in files if file.counts and not (colors and file.is_palette)]
    is_counted = listed is None or listed.numbers == tuple(range(len(listed.names)))
    are_masks = ignore is None and is_counted and _are_masks(numbered)
    known = listed or _unlisted_classes(layout, files, numbered, ignore, are_masks)
    encoding, how = _encoding_of(known, layout, numbered, ignore, classes, are_masks)
    if colors and any(file.is_palette for file in files):
        how += ", by the colours of palettes"
    allowed = {VOID, *np.flatnonzero(encoding.table >= 0).tolist()}
    if colors and _are_listed_greys(numbered, encoding, are_masks):
        encoding, how = replace(encoding, by_grey=True), f"{how}, by grey levels"
        allowed = {VOID, *(red for red, green, blue in encoding.colors if red == green == blue)}
    _check_soft(numbered, allowed)
    _check_blurred(numbered)
    if listed is None:
        _check_gaps(numbered, allowed)
    return encoding, f"from {known.source}{how}"


def _encoding_of(
    known: ClassList, layout: Layout, files: list[LabelFacts], ignore: int | None, classes: Classes, are_masks: bool
) -> tuple[LabelEncoding, str]:
    """Return the encoding of a list of classes, and a description of how the list was interpreted."""
    if are_masks and len(known.names) > 2:
        example = next(file.path for file in files if VOID in file.counts)
        wrong = f"the label maps contain only 0 and 255, but {known.source} lists {len(known.names)} classes"
        raise DataError(f"{example}: {wrong}. List two classes, or add --ignore 255 if 255 means not labelled.")
    if known.is_camvid:
        merge = classes == "merged"
        how = f", CamVid's 32 {'merged into 11' if merge else 'without void'}"
        return LabelEncoding.of_classes(known, ignore=ignore, merge=merge), how
    if are_masks:
        return LabelEncoding.of_mask(known), ", masks of 0 and 255"
    if layout.is_tutorial and known.names == _CAMVID_CLASSES.names and known.colors[:-1] == CAMVID.colors:
        if classes == "all":
            raise DataError(f"{layout.root}: the labels have 11 classes, not CamVid's 32. Leave out --classes all.")
        if ignore in (None, CAMVID.ignore_label):
            encoding = LabelEncoding.plain(CAMVID)
            if any(VOID in file.counts for file in files):
                encoding.table[VOID] = CAMVID.num_classes
            return encoding, ""
    return LabelEncoding.of_classes(known, ignore=ignore), ""


def _unlisted_classes(
    layout: Layout, files: list[LabelFacts], numbered: list[LabelFacts], ignore: int | None, are_masks: bool
) -> ClassList:
    """Name the classes by the values that occur: a mask, the tutorial's CamVid, or classes 0..K-1.

    A number is a class if at least half of the numbers up to it occur, so a single 37 next to 0..11 is not a class.
    """
    source = "the values in the label maps (there is no classes.txt)"
    if are_masks:
        return ClassList(("background", "foreground"), (None, None), source)
    numbers = sorted(_values(numbered) - {VOID, ignore})
    believed = [number for count, number in enumerate(numbers, start=1) if number + 1 <= 2 * count]
    count = min(_MAX_UNLISTED, max([1, *believed]) + 1)
    most = len(_CAMVID_CLASSES.names)
    if layout.is_tutorial and files and all(_CAMVID_NAMES.match(file.path.name) for file in files):
        if count <= most:
            return _CAMVID_CLASSES
        wrong = f"the files are named like CamVid's, but have numbers up to {max(numbers)} instead of 11"
        raise DataError(f"{layout.root}: {wrong}. Add a classes.txt if these are not CamVid's classes.")
    if layout.is_tutorial and count == most and ignore is None:
        wrong = "the label maps contain 0..11, which could be twelve classes, or CamVid's eleven with 11 as void"
        raise DataError(f"{layout.root}: {wrong}. Add a classes.txt with one name per line, such as void for 11.")
    return ClassList(tuple(f"class {number}" for number in range(count)), (None,) * count, source)


def _are_masks(files: list[LabelFacts]) -> bool:
    """Return whether all values are 0 or 255, the foreground. Raises DataError if some files have 1 instead of 255.

    Files in which 0 is black and 1 is white are ignored, because their 1 always means class 1.
    """
    black_and_white = {(0, (0, 0, 0)), (1, (255, 255, 255))}
    certain = [file for file in files if not file.shown.items() <= black_and_white]
    ones, others = ([file for file in certain if value in file.counts] for value in (1, VOID))
    if not others or not _values(files) <= {0, 1, VOID} or any(VOID in file.counts for file in ones):
        return False
    if ones:
        wrong = f"the foreground is 1 here (files: {len(ones)}), but 255 in {others[0].path} (files: {len(others)})"
        raise DataError(f"{ones[0].path}: {wrong}. Save all with 1, or add --ignore 255 if 255 means not labelled.")
    return 0 in _values(files)


def _are_listed_greys(files: list[LabelFacts], encoding: LabelEncoding, are_masks: bool) -> bool:
    """Return whether the listed greys explain more values than the class numbers or, in masks, all values.

    Raises DataError if both explain all values, but differently.
    """
    found = {(number, color): file.path for file in files for number, color in file.shown.items()}
    by_number = [int(encoding.table[min(number, 256)]) for number, _ in found]
    by_grey = [encoding.colors.get(color, -1) for _, color in found]
    if are_masks and -1 not in by_grey:
        return by_grey != by_number
    if by_number.count(-1) != by_grey.count(-1):
        return by_number.count(-1) > by_grey.count(-1)
    names = {encoding.palette.ignore_label: "void"} | dict(enumerate(encoding.palette.names))
    for ((number, (grey, _, _)), path), a, b in zip(found.items(), by_number, by_grey, strict=True):
        if a != b and -1 not in by_number:
            wrong = f"{number} is {names[a]} as a class number, but {names[b]} as a grey level ({grey}) of the list"
            raise DataError(
                f"{path}: {wrong}. Order the list by these greys, or remove its colours to use the numbers."
            )
    return False


def _check_palettes(files: list[LabelFacts]) -> None:
    """Raise DataError if palettes differ, or if only some files have palettes with colours other than greys."""
    first: dict[int, LabelFacts] = {}
    kinds = [next((f.path for f in files if f.counts and f.is_palette == is_palette), None) for is_palette in (1, 0)]
    if all(kinds) and any(len({*color}) > 1 for f in files if f.is_palette for color in f.shown.values()):
        wrong = f"this label map has a palette of colours, but {kinds[1]} has grey levels"
        raise DataError(f"{kinds[0]}: {wrong}. Save all files alike, or add a classes.txt with lines `R G B name`.")
    for file in files:
        for number, color in file.shown.items() if file.is_palette else ():
            other = first.setdefault(number, file)
            if other.shown[number] != color:
                colors = "colour {} {} {} here, but {} {} {}".format(*color, *other.shown[number])
                remedy = "Add a classes.txt with lines `R G B name`, so that the colours define the classes"
                raise DataError(f"{file.path}: number {number} has the {colors} in {other.path}. {remedy}.")


def _check_blurred(files: list[LabelFacts]) -> None:
    """Raise DataError if, in most files with many numbers, a quarter of the numbers occur only at blurred edges."""
    many = [file for file in files if len(file.counts) > 4 and not file.is_palette]
    blurred = [file for file in many if file.blurred >= max(3, len(file.counts) / 4)]
    if 2 * len(blurred) > len(many):
        wrong = f"{blurred[0].blurred} of {len(blurred[0].counts)} numbers occur only at edges"
        count = f"{len(blurred)} of {len(files)} label maps are affected"
        remedy = "Export the label maps as PNG, and resize them only with nearest-neighbour interpolation"
        raise DataError(f"{blurred[0].path}: {wrong}; {count}. They come from JPEG compression or resizing. {remedy}.")


def _check_soft(files: list[LabelFacts], allowed: set[int]) -> None:
    """Raise DataError if files have many rare grey levels that are not classes."""
    soft = []
    for file in files:
        between = {value: count for value, count in file.counts.items() if value not in allowed}
        is_soft = not file.is_palette and len(between) > 2 and max(between) > 127
        if is_soft and np.median([*between.values()]) < _RARE * sum(file.counts.values()):
            soft.append((file.path, between))
    if soft:
        (path, between), share = soft[0], f"{len(soft)} of {len(files)} label maps are affected"
        wrong = f"grey values such as {_examples(between, 3)} lie between the values of the classes; {share}"
        remedy = "Export the label maps as PNG without smoothing, or list the values in a classes.txt"
        raise DataError(f"{path}: {wrong}. They come from soft edges, JPEG compression or resizing. {remedy}.")


def _check_gaps(files: list[LabelFacts], allowed: set[int]) -> None:
    """Raise DataError if several files have values that are not classes. A single bad file is reported on reading."""
    odd = _values(files) - allowed
    holders = [file.path for file in files if odd & file.counts.keys()]
    if odd and (len(holders) > 1 or len(files) == 1):
        wrong = (
            f"the values in the label maps have gaps or are above {_MAX_UNLISTED - 1} ({_examples(_values(files), 40)})"
        )
        remedy = f"Add a classes.txt that lists all values, in lines such as `{min(odd)}: name`"
        if VOID in _values(files):
            remedy += "; 255 is void unless it is listed"
        elif len(odd) == 1:
            remedy += f", or --ignore {min(odd)} if this value means not labelled"
        remedy = "Use numbers up to 255" if max(odd) > 255 else remedy
        raise DataError(f"{holders[0]}: {wrong}. {remedy}.")


def _values(files: list[LabelFacts]) -> set[int]:
    return set().union(*(file.counts for file in files))


def _examples(values: Iterable[int], most: int) -> str:
    """Return up to `most` of the values as text, evenly spaced."""
    ordered = sorted(values)
    step = -(-len(ordered) // most)
    return ", ".join(map(str, ordered[::step]))
