"""Finding the picture files among given files and folders."""

import os
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from ..errors import DataError
from .pairs import visible

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # the first bytes of every PNG and JPEG file
NAMES = (".png", ".jpg", ".jpeg")


def find_pictures(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the given files and, in natural order, the pictures directly inside each given folder.

    In a folder, a file counts as a picture if it has the signature or the suffix of PNG or JPEG. Hidden files and all
    other files are skipped. A file given twice is returned once. A missing file is returned as well, so that reading it
    reports the error. Raises DataError for a folder without pictures.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        is_folder = os.path.isdir(path)
        pictures = sorted(filter(_looks_like_picture, visible(path)), key=natural_key) if is_folder else [path]
        if not pictures:
            inner = next((inner for inner in (path / "images", path / "pictures") if inner.is_dir()), "another folder")
            raise DataError(f"{path}: no picture in this folder is a PNG or JPEG file. Try {inner}.")
        for picture in pictures:
            found.setdefault(Path(os.path.realpath(picture)), picture)
    return list(found.values())


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Return a sort key for natural order: 2 comes before 10, and case is ignored.

    >>> [p.name for p in sorted(map(Path, ["b.png", "A10.png", "a2.png"]), key=natural_key)]
    ['a2.png', 'A10.png', 'b.png']
    """
    # Text and numbers alternate, starting with text, so values at the same position have the same type.
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _looks_like_picture(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() in NAMES:
        return path.is_file()
    try:
        with open(path, "rb") as file:
            return file.read(8).startswith(SIGNATURES)
    except OSError:
        return False
