"""Lists of class names and their colours, read from files such as classes.txt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .pairs import read_lines
from .palette import CAMVID_MERGE, Color

_MAX_CLASSES = 255  # a label is one byte


@dataclass(frozen=True)
class ClassList:
    """Class names in the order of their numbers, their colours where known, and the name of the file."""

    names: tuple[str, ...]
    colors: tuple[Color | None, ...]
    source: str

    @classmethod
    def read(cls, path: Path) -> ClassList:
        """Read classes.txt, codes.txt or label_colors.txt, which have one line `R G B name` or `name` per class."""
        lines = enumerate(read_lines(path), start=1)
        found = [_parse(line, f"{path}: line {number}") for number, line in lines if line.strip()]
        if not 2 <= len(found) <= _MAX_CLASSES:
            raise DataError(f"{path}: the number of classes is {len(found)}. List 2 to {_MAX_CLASSES}, one per line.")
        names, colors = zip(*found, strict=True)
        for what, items in (("name", names), ("colour", [color for color in colors if color])):
            for twice in (item for item in items if items.count(item) > 1):
                raise DataError(f"{path}: the {what} {twice} occurs twice. Correct the file.")
        return cls(names, colors, path.name)

    @property
    def is_camvid(self) -> bool:
        """Whether these are the 32 classes of CamVid's original labels."""
        merged = {name for names in CAMVID_MERGE.values() for name in names}
        return set(self.names) == merged | {"Void"}


def _parse(line: str, where: str) -> tuple[str, Color | None]:
    match = re.fullmatch(r"\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*?)\s*", line)
    if match is None:
        return line.strip(), None
    red, green, blue = int(match[1]), int(match[2]), int(match[3])
    if max(red, green, blue) > 255:
        raise DataError(f"{where}: colour {red} {green} {blue} has a value above 255. Correct the line.")
    return match[4], (red, green, blue)
