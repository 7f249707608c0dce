"""Lists of classes, with colours and numbers, read from files such as classes.txt in the forms that tools write.

The page lessons/site/pages/own_pictures.md lists the forms. An ambiguous list is refused, because training would not
reveal that the names are shifted by one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .pairs import read_lines, visible
from .palette import CAMVID_MERGE, Color

_FILES = {"classes.txt", "codes.txt", "label_colors.txt", "class_dict.csv", "labelmap.txt", "labels.txt",
          "class_names.txt", "classes.csv", "_classes.csv", "classes.tsv", "categories.txt", "names.txt"}  # fmt: skip
_VOID_NAMES = {"void", "ignore", "ignored", "ignoreregion", "unlabelled", "unlabeled", "notlabelled", "notlabeled",
               "dontcare", "donotcare"}  # fmt: skip
_MAX_CLASSES = 255  # a label is one byte
LABELME_IGNORE = "__ignore__"  # labelme gives it the number -1, which becomes 255 in a label file

_BETWEEN = r"[\s,;]++"
_RGB, _HEX = rf"\d+{_BETWEEN}\d+{_BETWEEN}\d+", r"\#[0-9a-fA-F]{6}\b"
_WORDS = r'\d*[^\W\d][^,;:=\#\t"]*?'  # other names must be quoted
_LINE = re.compile(rf"""
    (?: (?P<rgb>{_RGB}){_BETWEEN}
      | (?: (?P<number>\d+) (?:\s*[:=]\s*|[.)]\s+|{_BETWEEN}) )? (?: (?P<hex>{_HEX}){_BETWEEN} )? )
    (?P<name> "(?:[^"]|"")+" | {_WORDS} | (?<=[:=]\ )\d+\ {_WORDS} )
    (?: [\s,;:]++ (?P<after>{_RGB}|{_HEX}) (?: :[^:"]*:[^:"]* )? )?  # CVAT adds parts and actions
    """, re.VERBOSE)  # fmt: skip
_NOT_A_NAME = re.compile(r"//|\.(?:png|jpe?g|tiff?|bmp)$", re.IGNORECASE)
_COMMENT = re.compile(r"//|#(?![0-9a-fA-F]{3,8}\b)")  # a short colour such as #fff is reported as an error
_NAME_WORDS = {"name", "names", "class", "classes", "label", "labels", "category"}
_COLUMN_WORDS = {"r", "g", "b", "red", "green", "blue", "color", "colour", "rgb", "hex", "id", "index",
                 "number", "value", "pixel"}  # fmt: skip
_FORMS = "Write each line as `R G B name`, `name` or `index: name`, and quote unusual names"


@dataclass(frozen=True)
class ClassList:
    """Class names, their colours if known, their numbers in label files, and the name of the list's file."""

    names: tuple[str, ...]
    colors: tuple[Color | None, ...]
    source: str
    numbers: tuple[int, ...] = ()  # by default 0, 1, 2, ...

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(len(self.names))))

    @classmethod
    def read(cls, path: Path) -> ClassList:
        """Read a list in one of the forms of this module. Raises DataError if the list is faulty or ambiguous."""
        lines = [(f"{path}: line {i}", line.strip()) for i, line in enumerate(read_lines(path), start=1)]
        lines = [(where, line) for where, line in lines if line and not _COMMENT.match(line)]
        has_header = bool(lines) and _is_header(*lines[0])
        found = [_parse(*line) for line in lines[has_header:]]
        if not 2 <= len(found) <= _MAX_CLASSES:
            raise DataError(f"{path}: the number of classes is {len(found)}. List 2 to {_MAX_CLASSES}, one per line.")
        _check_lines(path, [line for _, line in lines[has_header:]], found, has_header)
        names, colors, numbers = zip(*found, strict=True)
        if None in numbers:
            first = names[0] == LABELME_IGNORE
            numbers = (*[255] * first, *range(len(names) - first))
        for what, items in (("name", names), ("colour", [color for color in colors if color]), ("number", numbers)):
            for twice in (item for item in items if items.count(item) > 1):
                raise DataError(f"{path}: the {what} {twice} occurs twice. Correct the file.")
        return cls(names, colors, path.name, numbers)

    @property
    def is_camvid(self) -> bool:
        """Whether these are the 32 classes of CamVid's original labels."""
        merged = {name for names in CAMVID_MERGE.values() for name in names}
        return set(self.names) == merged | {"Void"}

    def agrees_with(self, other: ClassList) -> bool:
        """Return whether two lists have the same names and numbers, and the same colours where both give colours."""
        pairs = zip(self.colors, other.colors, strict=False)
        equal = (self.names, self.numbers) == (other.names, other.numbers)
        return equal and all(a == b for a, b in pairs if a and b)


def find_class_list(folders: Iterable[Path]) -> ClassList | None:
    """Return the list in these folders with the most colours, or None. Raises DataError if lists are bad or differ."""
    paths = [path for folder in folders for path in visible(folder) if path.name.lower() in _FILES and path.is_file()]
    lists = [ClassList.read(path) for path in paths]
    for path, found in zip(paths, lists, strict=True):
        if not found.agrees_with(lists[0]):
            raise DataError(f"{path}: this list of classes differs from {paths[0]}. Remove one of them.")
    return max(lists, key=lambda found: sum(map(bool, found.colors)), default=None)


def is_void_name(name: str) -> bool:
    """Return whether the name of a class means "not labelled", such as void, Unlabeled or don't care."""
    return re.sub(r"[\W_]", "", name.lower()) in _VOID_NAMES


def _is_header(where: str, line: str) -> bool:
    words = re.findall(r"[^\W_]+", line.lower())
    if not _NAME_WORDS & set(words) or not set(words) <= _NAME_WORDS | _COLUMN_WORDS:
        return False
    if len(words) == 1:
        raise DataError(f"{where}: {line!r} could be a header or a class. Delete the line, or rename the class.")
    if "".join(word[0] for word in words if word in _COLUMN_WORDS and word[0] in "rgb") not in ("", "r", "rgb"):
        raise DataError(f"{where}: the colours are not in the order r, g, b. Change their order.")
    return True


def _parse(where: str, line: str) -> tuple[str, Color | None, int | None]:
    if line[0] == '"':
        line = re.sub(r'(?<!")"(\d+)"(?!")', r"\1", line)  # a CSV file may also quote its numbers
    match = _LINE.fullmatch(line)
    before = match and (match["rgb"] or match["hex"])
    if match is None or (before and match["after"]) or _NOT_A_NAME.search(match["name"]):
        raise DataError(f"{where}: {line[:50]!r} has an unknown form. {_FORMS}.")
    name, text = match["name"].strip(), before or match["after"] or ""
    if name[0] == '"':
        name = name[1:-1].replace('""', '"')
    color = [*bytes.fromhex(text[1:])] if text[:1] == "#" else [int(part) for part in re.findall(r"\d+", text)]
    number = None if match["number"] is None else int(match["number"])
    if max([*color, number or 0]) > 255:
        raise DataError(f"{where}: a number or a colour is above 255. Correct the line.")
    return name, (color[0], color[1], color[2]) if color else None, number


def _check_lines(
    path: Path, lines: list[str], found: list[tuple[str, Color | None, int | None]], has_header: bool
) -> None:
    """Raise DataError if the lines have different forms, or an ambiguous form."""
    names, colors, numbers = zip(*found, strict=True)
    count, reason = len(lines), ""
    numbered, colored = count - numbers.count(None), count - colors.count(None)
    is_title = " " in lines[0] and lines[0][0] != '"' and not numbered and not colors[0] and colored == count - 1
    ends = [end for name in names if (end := re.fullmatch(r"(.*?)[\s(]+(\d+)\)?", name))]
    last = [int(end[2]) for end in ends] if len({end[1] for end in ends}) == count else []
    if 0 < numbered < count:
        reason = "some lines begin with the number of a class, and others do not"
    elif not numbered and LABELME_IGNORE in names[1:]:
        reason = f"{LABELME_IGNORE} has no number, so it must be the first class"
    elif is_title or (has_header and not numbered + colored):
        reason = "the first line could be a header or a class"
    elif not numbered + colored and last not in ([], [*range(count)]):
        reason = "the numbers at the ends of the lines could belong to the names or to the classes"
    elif colored < count and any(line[0] == "#" for line in lines):
        reason = "a line that begins with # could be a comment or a colour"
    if reason:
        raise DataError(f"{path}: {reason}. {_FORMS}.")
