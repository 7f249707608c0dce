"""Given files and folders -> the picture files."""

import os
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from ..errors import DataError
from .pairs import visible

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # how every PNG and every JPEG file begins
NAMES = (".png", ".jpg", ".jpeg")


def find_pictures(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """The given files, and the pictures directly in each given folder in natural order.

    In a folder, a picture is a file that begins like a PNG or JPEG or has its suffix; hidden and other files are
    skipped. A file given twice is taken once. A missing file is kept, so that reading it reports the error. Raises
    DataError for a folder without a picture.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        is_folder = os.path.isdir(path)
        pictures = sorted(filter(_looks_like_picture, visible(path)), key=natural_key) if is_folder else [path]
        if not pictures:
            inner = next((inner for inner in (path / "images", path / "pictures") if inner.is_dir()), "another one")
            raise DataError(f"{path}: no picture in this folder (expected PNG or JPEG files). Name {inner}")
        for picture in pictures:
            found.setdefault(Path(os.path.realpath(picture)), picture)
    return list(found.values())


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """A sort key for natural order: 2 before 10, capitals with small letters.

    >>> [p.name for p in sorted(map(Path, ["b.png", "A10.png", "a2.png"]), key=natural_key)]
    ['a2.png', 'A10.png', 'b.png']
    """
    # Text and numbers alternate, text first, so values at the same place have the same type.
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _looks_like_picture(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() in NAMES:
        return path.is_file()
    try:
        with open(path, "rb") as file:
            return file.read(8).startswith(SIGNATURES)
    except OSError:
        return False  # it cannot be read, and nothing indicates a picture
