"""Inferring the meaning of the values in the label maps of a folder.

The survey of the label maps says what occurs in them. Together with the list of classes and the layout, it must have one
meaning; otherwise a DataError names the files, the numbers and what to do.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import DataError
from .class_lists import ClassList, find_class_list
from .label_encoding import VOID, LabelEncoding
from .label_survey import LabelFacts, Progress, survey
from .layouts import Layout
from .palette import CAMVID

_STRAYS = 1e-3  # one of CamVid's 701 label maps has about 200 pixels whose colour belongs to no class
_MOST_UNLISTED = 64  # more classes than this need a list
_CAMVID_NAMES = re.compile("0001TP_|0006R0_|0016E5_|Seq05VD_")  # the four videos of CamVid
_RARE = 0.02  # the grey levels of a soft edge have fewer pixels each
_NO_LIST = "the values in the label maps (there is no classes.txt)"

Classes = Literal["merged", "all"]


def infer_label_encoding(
    layout: Layout, ignore: int | None, classes: Classes, *, given: Path | None = None, progress: Progress = iter
) -> tuple[LabelEncoding, str]:
    """Infer the encoding from a list of classes, the layout and the label maps, and describe its source.

    Args:
        layout: The label maps of all splits, and the folder that may contain a list of classes.
        ignore: The value that means void, or None to infer it.
        classes: "merged" or "all", see `Folder`.
        given: Another folder that may contain the list.
        progress: Wraps the loop over the label maps, such as tqdm.

    Raises:
        DataError: The label maps have no meaning, or could have two.
    """
    known = find_class_list(dict.fromkeys((layout.root, given or layout.root)))
    colors = known.colors if known else ()
    has_colors = any(colors)
    files = survey(layout, skip_colors=has_colors and len(colors) > 2, progress=progress)
    if not has_colors:
        _check_palettes(files)
    numbered = [file for file in files if file.counts and not (has_colors and file.palette)]
    mask = ignore is None and _are_masks(numbered) and not (known and VOID in known.numbers)
    if known is None:
        encoding, source = _without_list(layout, files, numbered, ignore, classes, mask)
    else:
        encoding, source = _of_list(known, layout, numbered, ignore, classes, mask)
    by_grey = has_colors and _are_listed_greys(numbered, encoding)
    if not by_grey:
        _check_soft(numbered, np.flatnonzero(encoding.table >= 0).tolist())
    source += ", by the palettes' colours" if has_colors and any(file.palette for file in files) else ""
    return replace(encoding, by_grey=by_grey), source + (", by their grey levels" if by_grey else "")


def _of_list(
    known: ClassList, layout: Layout, files: list[LabelFacts], ignore: int | None, classes: Classes, mask: bool
) -> tuple[LabelEncoding, str]:
    if mask and len(known.names) > 2:
        example = next(file.path for file in files if VOID in file.counts)
        wrong = f"the label maps contain only 0 and 255, but {known.source} lists {len(known.names)} classes"
        raise DataError(f"{example}: {wrong}. List two classes, or add --ignore 255 if 255 means not labelled.")
    if known.is_camvid:
        make, how = LabelEncoding.of_classes, "without void"
        if classes == "merged":
            make, how = LabelEncoding.merged, "merged"
        return make(known, ignore=ignore, strays=_STRAYS), f"from CamVid's 32 in {known.source}, {how}"
    if mask:
        return LabelEncoding.of_mask(known), f"from {known.source}, masks of 0 and 255"
    if layout.is_tutorial and known.is_merged_camvid and ignore in (None, CAMVID.ignore_label):
        return _camvid(files), f"from {known.source}, as in CamVid"
    return LabelEncoding.of_classes(known, ignore=ignore), f"from {known.source}"


def _without_list(
    layout: Layout,
    files: list[LabelFacts],
    numbered: list[LabelFacts],
    ignore: int | None,
    classes: Classes,
    mask: bool,
) -> tuple[LabelEncoding, str]:
    if mask:
        names = ClassList(("background", "foreground"), (None, None), "")
        return LabelEncoding.of_mask(names), f"from {_NO_LIST}, masks of 0 and 255"
    count = _count_classes(numbered, ignore)
    void = CAMVID.num_classes
    if layout.is_tutorial and files and count <= void + 1 and all(_CAMVID_NAMES.match(f.path.name) for f in files):
        if classes == "all":
            raise DataError(f"{layout.root}: the labels have 11 classes, not CamVid's 32. Leave out --classes all.")
        if ignore in (None, void):
            return _camvid(numbered), "as in CamVid"
        names = ClassList((*CAMVID.names, "void"), (*CAMVID.colors, CAMVID.ignore_color), "CamVid")
        return LabelEncoding.of_classes(names, ignore=ignore), "from CamVid"
    if layout.is_tutorial and count == void + 1 and ignore is None:
        example = next(file.path for file in numbered if void in file.counts)
        wrong = "the label maps contain 0..11, which could be twelve classes, or CamVid's eleven with 11 as void"
        raise DataError(f"{example}: {wrong}. Add a classes.txt with one name per line, such as void for 11.")
    _check_consecutive(layout, numbered, count, ignore)
    titles = tuple(f"class {number}" for number in range(count))
    return LabelEncoding.of_classes(ClassList(titles, (None,) * count, _NO_LIST), ignore=ignore), f"from {_NO_LIST}"


def _camvid(files: list[LabelFacts]) -> LabelEncoding:
    encoding = LabelEncoding.plain(CAMVID)
    if any(VOID in file.counts for file in files):
        encoding.table[VOID] = CAMVID.num_classes
    return encoding


def _are_masks(files: list[LabelFacts]) -> bool:
    """Whether 255 is the foreground: it occurs, and no file has it together with class 1 or contains other classes.

    Files of 1 bit do not count, because their 1 is class 1 in any case. Raises DataError if files disagree.
    """
    files = [file for file in files if not file.is_black_and_white]
    if VOID not in _values(files) or not _values(files) <= {0, 1, VOID}:
        return False
    ones, voids = ([file for file in files if value in file.counts] for value in (1, VOID))
    if ones and not any(VOID in file.counts for file in ones):
        wrong = (
            f"the foreground is 1 here (label maps: {len(ones)}), but 255 in {voids[0].path} (label maps: {len(voids)})"
        )
        raise DataError(f"{ones[0].path}: {wrong}. Save all with 1, or add --ignore 255 if 255 means not labelled.")
    return not ones


def _are_listed_greys(files: list[LabelFacts], encoding: LabelEncoding) -> bool:
    """Whether grey files go by the listed greys. Raises DataError if their values mean other classes as numbers."""
    values = {(number, color): file for file in files for number, color in file.greys.items()}
    by_number = [int(encoding.table[min(number, 256)]) for number, _ in values]
    by_grey = [encoding.colors.get(color, -1) for _, color in values]
    if not values or -1 in by_grey:
        return False
    if -1 in by_number:
        return True
    for ((number, color), file), a, b in zip(values.items(), by_number, by_grey, strict=True):
        if a != b:
            names = {encoding.palette.ignore_label: "void"} | dict(enumerate(encoding.palette.names))
            wrong = f"value {number} means {names[a]} as a number, but the list gives its grey {color[0]} to {names[b]}"
            raise DataError(f"{file.path}: {wrong}. Remove the colours from the list, or order it by these greys.")
    return False


def _check_palettes(files: list[LabelFacts]) -> None:
    first: dict[int, LabelFacts] = {}
    for file in files:
        for number, color in (file.palette or {}).items():
            other = first.setdefault(number, file)
            assert other.palette is not None
            if other.palette[number] != color:
                colors = "colour {} {} {} here, but {} {} {}".format(*color, *other.palette[number])
                raise DataError(f"{file.path}: number {number} has the {colors} in {other.path}. Add a classes.txt with"
                                " lines `R G B name`, so that the colours of the palettes count.")  # fmt: skip


def _check_soft(files: list[LabelFacts], allowed: Collection[int]) -> None:
    """Raise DataError if files have many rare grey levels that are not classes."""
    soft = []
    for file in files:
        between = {value: count for value, count in file.counts.items() if value not in allowed}
        rare = np.median([*between.values()] or [0]) < _RARE * sum(file.counts.values())
        if file.palette is None and len(between) > 2 and max(between) > 127 and rare:
            soft.append((file, between))
    if soft:
        (file, between), count = soft[0], f"as in {len(soft)} of {len(files)} label maps"
        wrong = f"{len(between)} grey values, such as {_examples(between)}, lie between those of the classes, {count}"
        raise DataError(f"{file.path}: {wrong}. They come from soft edges, a former JPEG or resizing: export the label"
                        " maps again as PNG without smoothing. If they are classes, list them in a classes.txt.")  # fmt: skip


def _check_consecutive(layout: Layout, files: list[LabelFacts], count: int, ignore: int | None) -> None:
    """Raise DataError if the values are not class numbers, unless a single file has wrong values."""
    numbers = _values(files) - {VOID, ignore}
    _check_soft(files, {VOID, *range(count if count <= _MOST_UNLISTED else 2)})
    if count > _MOST_UNLISTED:
        raise DataError(f"{layout.root}: the label maps contain {len(numbers)} values up to {max(numbers)}. Add a"
                        f" classes.txt with one name per line, which more than {_MOST_UNLISTED} classes need.")  # fmt: skip
    odd = {number for number in numbers if number >= count}
    holders = [file for file in files if odd & file.counts.keys()]
    if odd and (len(holders) > 1 or len(files) == 1):
        wrong = f"the label maps contain the values {_examples(numbers, 40)}, with gaps between them"
        remedy = f"Add a classes.txt with lines such as `{min(odd)}: name`"
        remedy += f", or --ignore {min(odd)} if this value means not labelled" if len(odd) == 1 else ""
        raise DataError(f"{holders[0].path}: {wrong}. {remedy}.")


def _count_classes(files: list[LabelFacts], ignore: int | None) -> int:
    """Return the number of classes 0, 1, ... that the values suggest, at least two.

    A number is a class if at least half of the numbers up to it occur, so a single 37 next to 0..11 is not a class.
    """
    numbers = sorted(_values(files) - {VOID, ignore})
    believed = [number for count, number in enumerate(numbers, start=1) if number + 1 <= 2 * count]
    return max(2, believed[-1] + 1 if believed else 0)


def _values(files: list[LabelFacts]) -> set[int]:
    return set().union(*(file.counts for file in files))


def _examples(values: Iterable[int], most: int = 3) -> str:
    """Return up to `most` of the values as text, evenly spaced."""
    ordered = sorted(values)
    step = max(1, len(ordered) // most)
    return ", ".join(map(str, ordered[step // 2 :: step][:most]))
