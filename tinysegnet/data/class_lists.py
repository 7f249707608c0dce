"""Lists of classes, with colours and numbers, read from files such as classes.txt in the forms that tools write.

    name              road                  R G B name          128 64 128 road
    index: name       7: road               name r g b          road,128,64,128
    index,name,r,g,b  7,road,128,64,128     colours as hex      #804080 road
    labelme           __ignore__ first      CVAT                road:128,64,128::

A list that could mean two things is refused, because a name that moves by one line would not be noticed in training.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from .pairs import read_lines, visible
from .palette import CAMVID, CAMVID_MERGE, Color

_FILES = {"classes.txt", "codes.txt", "label_colors.txt", "class_dict.csv", "labelmap.txt", "labels.txt",
          "class_names.txt", "classes.csv", "_classes.csv"}  # fmt: skip
_MAX_CLASSES = 255  # a label is one byte
LABELME_IGNORE = "__ignore__"  # is number -1 in labelme, which becomes 255 in a file

_NUMBER = r"(?:\d+|#[0-9a-fA-F]{6}\b)"  # also a hex colour
_LINE = re.compile(rf"((?:{_NUMBER}[\s,;:]+)*)((.*?)((?:[\s,;:]+{_NUMBER})*))")  # numbers, the rest, name, numbers
_CVAT = re.compile(r"([^:]+):((?:\d+,\d+,\d+)?):[^:]*:[^:]*")  # label:color_rgb:parts:actions
_COMMENT = re.compile(r"//|#(?![0-9a-fA-F]{3,8}\b)")  # not #fff, so that a colour of three digits is reported
_NAME_WORDS = {"name", "names", "class", "classes", "label", "labels", "category"}
_COLOR_WORDS = ("r", "g", "b", "red", "green", "blue")
_HEADER_WORDS = {*_NAME_WORDS, *_COLOR_WORDS, *"color colour rgb hex id index number value pixel".split()}


@dataclass(frozen=True)
class ClassList:
    """Class names, their colours where known, the name of the file, and the number of each class in label files."""

    names: tuple[str, ...]
    colors: tuple[Color | None, ...]
    source: str
    numbers: tuple[int, ...] = ()  # by default 0, 1, 2, ...

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(len(self.names))))

    @classmethod
    def read(cls, path: Path) -> ClassList:
        """Read a list in one of the forms above. Raises DataError if it is faulty or could mean two things."""
        texts = [(number, text.strip()) for number, text in enumerate(read_lines(path), start=1)]
        texts = [(number, text) for number, text in texts if text and not _COMMENT.match(text)]
        has_header = bool(texts) and _is_header(texts[0][1], f"{path}: line {texts[0][0]}")
        lines = [_parse(text, f"{path}: line {number}") for number, text in texts[has_header:]]
        if not 2 <= len(lines) <= _MAX_CLASSES:
            raise DataError(f"{path}: the number of classes is {len(lines)}. List 2 to {_MAX_CLASSES}, one per line.")
        _check_columns(lines, has_header, path)
        names, colors, numbers = ([line[i] for line in lines] for i in range(3))
        if None in numbers:
            first = int(names[0] == LABELME_IGNORE)
            numbers = [255] * first + list(range(len(lines) - first))
            if LABELME_IGNORE in names[1:]:
                raise DataError(f"{path}: {LABELME_IGNORE} is not the first class. Move it to the first line.")
        for what, items in (("name", names), ("colour", [color for color in colors if color]), ("number", numbers)):
            for twice in (item for item in items if items.count(item) > 1):
                raise DataError(f"{path}: the {what} {twice} occurs twice. Correct the file.")
        return cls(tuple(names), tuple(colors), path.name, tuple(numbers))

    @property
    def is_camvid(self) -> bool:
        """Whether these are the 32 classes of CamVid's original labels."""
        merged = {name for names in CAMVID_MERGE.values() for name in names}
        return set(self.names) == merged | {"Void"}

    @property
    def is_merged_camvid(self) -> bool:
        """Whether these are the papers' eleven classes with their colours, and void."""
        return self.names == (*CAMVID.names, "void") and self.colors[:-1] == CAMVID.colors

    def agrees_with(self, other: ClassList) -> bool:
        """Whether two lists have the same names and numbers, and the same colours where both have them."""
        pairs = zip(self.colors, other.colors, strict=False)
        equal = (self.names, self.numbers) == (other.names, other.numbers)
        return equal and all(a == b for a, b in pairs if a and b)


def find_class_list(folders: Iterable[Path]) -> ClassList | None:
    """Read the list of classes in these folders, if there is one; of several equal lists, the one with most colours.

    Raises:
        DataError: A list is faulty, or two lists differ.
    """
    paths = [path for folder in folders for path in visible(folder) if path.name.lower() in _FILES and path.is_file()]
    lists = [ClassList.read(path) for path in paths]
    for path, found in zip(paths, lists, strict=True):
        if not found.agrees_with(lists[0]):
            raise DataError(f"{path}: this list of classes differs from {paths[0]}. Remove one of them.")
    return max(lists, key=lambda found: sum(map(bool, found.colors)), default=None)


class _Line(NamedTuple):
    name: str
    color: Color | None
    number: int | None
    last: str | None  # the number at the end of the name, as in "lane 1"
    text: str


def _parse(text: str, where: str) -> _Line:
    cvat = _CVAT.fullmatch(text)
    if cvat is not None:
        return _Line(_name(cvat[1], where), _color(cvat[2].split(","), where) if cvat[2] else None, None, None, text)
    if text[0] == '"':
        text = re.sub(r'"(\d+)"', r"\1", text)  # a CSV file may quote its numbers, too
    match = _LINE.fullmatch(text)
    assert match is not None
    before, after = (re.findall(_NUMBER, match[part]) for part in (1, 4))
    number, color, name = None, None, match[2]
    if len(before) in (1, 2) and before[0][0] != "#":
        number, before = _byte(before[0], "number", where), before[1:]
    if before:
        color = _color(before, where)
    elif after and (len(after) > 2 or after[-1][0] == "#"):
        color, name = _color(after, where), match[3]
    last = after[0] if len(after) == 1 and not color else None
    return _Line(_name(name, where), color, number, last, text)


def _name(text: str, where: str) -> str:
    text = text.strip()
    if text[:1] == '"':
        fields = next(csv.reader([text], skipinitialspace=True))
        if len(fields) > 1:
            raise DataError(f"{where}: {text!r} has more columns than are known. Write lines such as `R G B name`.")
        return fields[0]
    if not text:
        raise DataError(f"{where}: the class has no name. Write a name after the numbers.")
    if re.search(r"(^|\s)(#|//)", text):
        raise DataError(f"{where}: {text!r} contains a comment or a colour that is not of the form #rrggbb."
                        " Move the comment to its own line, or put the name in double quotes.")  # fmt: skip
    if re.search(r"\.(png|jpe?g|tiff?|bmp)$", text, re.IGNORECASE):
        raise DataError(f"{where}: {text} is the name of a picture, not of a class. Rename or correct the list.")
    return text


def _color(parts: list[str], where: str) -> Color:
    if len(parts) == 1 and parts[0][0] == "#":
        parts = [str(int(parts[0][i : i + 2], 16)) for i in (1, 3, 5)]
    if len(parts) != 3 or "#" in "".join(parts):
        raise DataError(f"{where}: {' '.join(parts)} is not a colour. Write `R G B name`, or `index: name`.")
    red, green, blue = (_byte(part, f"colour {' '.join(parts)}", where) for part in parts)
    return red, green, blue


def _byte(text: str, what: str, where: str) -> int:
    if len(text) > 3 or int(text) > 255:
        wrong = f"{what} {text} is" if what == "number" else f"{what} has a value"
        raise DataError(f"{where}: {wrong} above 255. Correct the line.")
    return int(text)


def _is_header(text: str, where: str) -> bool:
    words = [word for word in re.split(r"[\W_]+", text.lower()) if word]
    if not _NAME_WORDS & set(words) or not set(words) <= _HEADER_WORDS:
        return False
    order = [word[0] for word in words if word in _COLOR_WORDS]
    if order not in ([], ["r", "g", "b"]):
        raise DataError(f"{where}: the colours have the order {', '.join(order)}. Write them as r, g, b.")
    if len(words) == 1:
        raise DataError(f"{where}: {text!r} could be a header or a class. Delete the line, or rename the class.")
    return True


def _check_columns(lines: list[_Line], has_header: bool, path: Path) -> None:
    """Raise DataError if the lines have different forms, or a form that could mean two things."""
    numbered, colored = (sum(line[i] is not None for line in lines) for i in (2, 1))
    separated = [bool(re.search(r"[,;\t]", line.name)) and '"' not in line.text for line in lines]
    stems = {line.text.rstrip("0123456789") for line in lines}
    reason = ""
    if numbered not in (0, len(lines)):
        example = next(line.text for line in lines if (line.number is None) == (2 * numbered > len(lines)))
        reason = f"only some lines begin with the number of a class; {example!r} is different"
    elif has_header and not numbered and not colored:
        reason = "the first line could be a header or a class"
    elif all(separated) or (separated[0] and not lines[0].color and colored + 1 == len(lines)):
        reason = f"{lines[0].text!r} could be a header, or has more columns than are known"
    elif len(stems) == len(lines) and not numbered and not colored:
        if all(line.last for line in lines) and [line.last for line in lines] != [*map(str, range(len(lines)))]:
            reason = f"the number in {lines[0].text!r} could be that of the class or a part of the name"
    elif any(line.text[0] == "#" for line in lines) and colored < len(lines):
        reason = "lines that begin with # could be comments or colours"
    if reason:
        raise DataError(f"{path}: {reason}. Write each line as `R G B name`, `name`, or `index: name`.")
