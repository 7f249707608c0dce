"""Finding the pictures and videos among given files and folders."""

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
_VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}


def find_inputs(paths: Iterable[str | PathLike[str]]) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the pictures, the videos and the other files among the given files and directly inside the given folders.

    A given file is a video or a picture. In a folder, in natural order, a file counts as a picture if it has the suffix
    or the content of a picture, even in a format that cannot be read. Reading such a file raises an error that says
    why. Hidden files are other files. A file given twice is returned once. Raises DataError for a folder without
    pictures and videos.
    """
    found: dict[str, dict[Path, Path]] = {"picture": {}, "video": {}, "": {}}  # by kind and resolved path
    for path in map(Path, paths):
        if not os.path.isdir(path):
            found[_kind(path) or "picture"].setdefault(Path(os.path.realpath(path)), path)
            continue
        shown = {*visible(path)}
        files = sorted((file for file in path.iterdir() if not os.path.isdir(file)), key=natural_key)
        kinds = [_kind(file) if file in shown else "" for file in files]
        if not any(kinds):
            inner = next((inner for inner in (path / "images", path / "pictures") if inner.is_dir()), "another folder")
            raise DataError(f"{path}: no file in this folder is a picture or a video. Try {inner}.")
        for kind, file in zip(kinds, files, strict=True):
            found[kind].setdefault(Path(os.path.realpath(file)), file)
    pictures, videos, others = ([*files.values()] for files in found.values())
    return pictures, videos, others


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Return a sort key for natural order: 2 comes before 10, and case is ignored.

    >>> [p.name for p in sorted(map(Path, ["b.png", "A10.png", "a2.png"]), key=natural_key)]
    ['a2.png', 'A10.png', 'b.png']
    """
    # Text and numbers alternate, starting with text, so values at the same position have the same type.
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _kind(path: Path) -> str:
    """Return "picture", "video" or "". Files with the suffix of a picture are not opened."""
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return "picture"
    try:
        kind = kind_of(path)
    except OSError:
        kind = ""
    if kind.endswith(("picture", "drawing")):
        return "picture"
    return "video" if kind == "a video" or suffix in _VIDEOS else ""
