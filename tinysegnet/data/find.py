"""Finding the pictures and videos among given files and folders."""

import os
import re
from collections.abc import Callable, Iterable
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


def find_pictures(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the given files that are not videos and, in natural order, the pictures directly inside each given folder.

    In a folder, a file counts as a picture if it has the suffix or the content of a picture, even in a format that
    cannot be read. Reading such a file raises an error that says why. Hidden files and all other files are skipped (see
    `other_files`). A file given twice is returned once. Raises DataError for a folder without pictures and videos.
    """
    given = list(map(Path, paths))
    files = {path for path in given if not os.path.isdir(path)}
    for path in (path for path in given if path not in files):
        if not any(_looks_like_picture(file) or is_video(file) for file in visible(path)):
            inner = next((inner for inner in (path / "images", path / "pictures") if inner.is_dir()), "another folder")
            raise DataError(f"{path}: no file in this folder is a picture or a video. Try {inner}.")
    return _find(given, lambda path: _looks_like_picture(path) or (path in files and not is_video(path)))


def find_videos(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the given files that are videos and, in natural order, the videos directly inside each given folder."""
    return _find(map(Path, paths), is_video)


def _find(paths: Iterable[Path], accepts: Callable[[Path], bool]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        for file in sorted(visible(path), key=natural_key) if os.path.isdir(path) else [path]:
            if accepts(file):
                found.setdefault(Path(os.path.realpath(file)), file)
    return list(found.values())


def is_video(path: Path) -> bool:
    """Return whether a file has the content of a video, or the suffix of a video and not the content of a picture."""
    is_named_so = path.suffix.lower() in _VIDEOS and not os.path.isdir(path)
    return (kind := _kind(path)) == "a video" or (is_named_so and not kind.endswith("picture"))


def other_files(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the files directly inside the given folders that are neither pictures nor videos, or are hidden."""
    entries = (entry for path in map(Path, paths) if os.path.isdir(path) for entry in sorted(path.iterdir()))
    skipped = (path for path in entries if path.name[0] == "." or not (_looks_like_picture(path) or is_video(path)))
    return [path for path in skipped if path.is_file()]


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Return a sort key for natural order: 2 comes before 10, and case is ignored.

    >>> [p.name for p in sorted(map(Path, ["b.png", "A10.png", "a2.png"]), key=natural_key)]
    ['a2.png', 'A10.png', 'b.png']
    """
    # Text and numbers alternate, starting with text, so values at the same position have the same type.
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _looks_like_picture(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() in _SUFFIXES or _kind(path).endswith(("picture", "drawing")))


def _kind(path: Path) -> str:
    """Return what the content of a file is, or "" for files with the suffix of a picture, which are not opened."""
    try:
        return "" if path.suffix.lower() in _SUFFIXES else kind_of(path)
    except OSError:
        return ""
