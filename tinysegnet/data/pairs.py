"""Pairing pictures with label maps by file stem or by a list, never by order.

If the label maps were shifted by one against the pictures, training would run without an error and reach a global
accuracy of 0.8, but a class accuracy of only 0.13. For a missing file, the pair contains the expected path, so that
reading the pair reports it.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..files import is_special

# Formats other than PNG and JPEG are included so that they are rejected with a message instead of being overlooked.
_PICTURES = {".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".tif", ".tiff", ".gif", ".webp"}
_ENDINGS = ("_L", "_P", "_mask", "_masks", "_label", "_labels")  # suffixes that label files add to the picture's stem


@dataclass(frozen=True)
class FilePair:
    """Two files that belong together, their common folder, and the source of the pairing ("train.txt line 3")."""

    image: Path
    labels: Path
    root: Path
    origin: str


def files_of(folder: Path) -> list[Path]:
    """Return the picture files of a folder in order of their names. Hidden files and other types are skipped."""
    return [path for path in visible(folder) if path.suffix.lower() in _PICTURES and not path.is_dir()]


def visible(folder: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden, sorted by name. Raises DataError if it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed: {error.strerror}. Check its permissions.") from error


def strip_ending(stem: str) -> str:
    """Remove the suffix of a label file: "0001TP_006690_L" becomes "0001TP_006690"."""
    return next((stem.removesuffix(ending) for ending in _ENDINGS if stem.endswith(ending)), stem)


def pairs_of_files(root: Path, images: list[Path], labels: list[Path], places: tuple[Path, Path]) -> list[FilePair]:
    """Pair pictures with label maps by stem, where label maps may have a suffix such as _L, and sort them by stem.

    `places` are the folders of the pictures and of the label maps. A missing file gets its expected path there.
    """
    by_stem = _unique((path.stem, path) for path in images)
    # If a picture has exactly the stem of a label map, they belong together. Otherwise the suffix is removed first.
    maps = _unique((path.stem if path.stem in by_stem else strip_ending(path.stem), path) for path in labels)
    ending = next((path.stem.removeprefix(stem) for stem, path in maps.items()), "")
    suffix = images[0].suffix if images else ".png"
    origin = f"folders {places[0].name}/ and {places[1].name}/"
    pairs = []
    for stem in sorted(by_stem.keys() | maps.keys()):
        image = by_stem.get(stem, places[0] / f"{stem}{suffix}")
        pairs.append(FilePair(image, maps.get(stem, places[1] / f"{stem}{ending}.png"), root, origin))
    return pairs


def _unique(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for stem, path in named:
        if stem in found:
            raise DataError(f"{path}: the file has the same stem as {found[stem].name}. Remove one of them.")
        found[stem] = path
    return found


def read_lines(list_file: Path) -> list[str]:
    """Return the lines of a text file, including empty ones."""
    if is_special(list_file):
        raise DataError(f"{list_file}: a pipe or a device. Save the list as a text file.")
    try:
        return list_file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{list_file}: cannot be read: {error}. Save it as UTF-8 text.") from error


def pairs_of_list(list_file: Path) -> list[FilePair]:
    """Return the pairs of a file with lines "image labels", in the same order."""
    root, pairs = list_file.parent, []
    for number, line in enumerate(read_lines(list_file), start=1):
        if line.strip():
            image, labels = (_resolve(root, path) for path in _split_line(line, f"{list_file}: line {number}"))
            pairs.append(FilePair(image, labels, root, f"{list_file.name} line {number}"))
    return pairs


def _split_line(line: str, where: str) -> tuple[str, str]:
    """Split a line "image labels". If file names contain spaces, the line is split where the two stems agree."""
    words = line.split()
    cuts = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    if len(cuts) > 1:
        cuts = [(a, b) for a, b in cuts if PurePosixPath(a).stem == PurePosixPath(b).stem]
    if len(cuts) != 1:
        raise DataError(f"{where}: {line.strip()!r} is not a pair of paths, 'image labels'. Correct the line.")
    return cuts[0]


def _resolve(root: Path, listed: str) -> Path:
    """Find a listed file below root: the longest trailing part of the listed path that exists there.

    Published lists often contain paths from other machines. If no file exists, the expected path is returned.
    """
    parts = [part for part in PurePosixPath(listed.replace("\\", "/")).parts if part not in ("/", "..")]
    for start in range(len(parts)):
        candidate = root.joinpath(*parts[start:])
        if os.path.isfile(candidate):  # Path.is_file raises OSError for a name that is too long
            return candidate
    return root.joinpath(*parts[-2:])


def inside(path: Path, root: Path) -> bool:
    """Return whether a path is below root when all links are followed. Downloaded data may contain harmful links."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a link to itself, or an invalid name
        return False
