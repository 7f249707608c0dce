"""Finding the picture files among given files and folders."""

import os
import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from ..errors import DataError
from ..files import kind_of
from .image_files import RAW
from .pairs import PICTURES, visible

# Suffixes of pictures, including those that cannot be read, so that they are reported instead of being overlooked.
_SUFFIXES = PICTURES | RAW | {".apng", ".dib", ".exr", ".hdr", ".hif", ".j2k", ".jp2", ".jxl", ".pgm", ".ppm", ".psd",
                              ".svg", ".tga", ".xcf"}  # fmt: skip


def find_pictures(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the given files and, in natural order, the pictures directly inside each given folder.

    In a folder, a file counts as a picture if it has the suffix or the content of a picture, even in a format that
    cannot be read. Reading such a file raises an error that says why. Hidden files and all other files are skipped (see
    `other_files`). A file given twice is returned once. Raises DataError for a folder without pictures.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        is_folder = os.path.isdir(path)
        pictures = sorted(filter(_looks_like_picture, visible(path)), key=natural_key) if is_folder else [path]
        if not pictures:
            inner = next((inner for inner in (path / "images", path / "pictures") if inner.is_dir()), "another folder")
            raise DataError(f"{path}: no file in this folder is a picture. Try {inner}.")
        for picture in pictures:
            found.setdefault(Path(os.path.realpath(picture)), picture)
    return list(found.values())


def other_files(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the files directly inside the given folders that `find_pictures` skips, including hidden files."""
    entries = (entry for path in map(Path, paths) if os.path.isdir(path) for entry in sorted(path.iterdir()))
    return [path for path in entries if path.is_file() and (path.name[0] == "." or not _looks_like_picture(path))]


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Return a sort key for natural order: 2 comes before 10, and case is ignored.

    >>> [p.name for p in sorted(map(Path, ["b.png", "A10.png", "a2.png"]), key=natural_key)]
    ['a2.png', 'A10.png', 'b.png']
    """
    # Text and numbers alternate, starting with text, so values at the same position have the same type.
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _looks_like_picture(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() in _SUFFIXES:
        return path.is_file()
    try:
        return kind_of(path).endswith(("picture", "drawing"))
    except OSError:
        return False
