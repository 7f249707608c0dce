"""Pairing pictures with label maps: by file stem or by a list, never by order.

Pairs shifted by one would still train, with G 0.8 and C 0.13. Missing partners keep their expected path, so that
reading the pair reports it.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..files import is_special

# Looked at in folders: PNG and JPEG, and what people have instead, so that it is refused and not overlooked.
_PICTURES = {".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".tif", ".tiff", ".gif", ".webp"}
_ENDINGS = ("_L", "_P", "_mask", "_masks", "_label", "_labels")  # what label files add to the stem of their picture


@dataclass(frozen=True)
class FilePair:
    """Two files that belong together, their common folder, and what paired them ("train.txt line 3")."""

    image: Path
    labels: Path
    root: Path
    origin: str


def files_of(folder: Path) -> list[Path]:
    """The picture files of a folder by name; hidden ones and those with other endings are left out."""
    return [path for path in visible(folder) if path.suffix.lower() in _PICTURES and not path.is_dir()]


def visible(folder: Path) -> list[Path]:
    """The entries of a folder by name, without hidden ones. Raises DataError if it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed, {error.strerror} (expected a folder to read)") from error


def strip_ending(stem: str) -> str:
    """ "0001TP_006690_L" -> "0001TP_006690"."""
    return next((stem.removesuffix(ending) for ending in _ENDINGS if stem.endswith(ending)), stem)


def pairs_of_files(root: Path, images: list[Path], labels: list[Path], places: tuple[Path, Path]) -> list[FilePair]:
    """Every picture with the label map of its stem, which may have an ending such as _L, by stem.

    places: the folders of pictures and label maps, where a missing partner is looked for.
    """
    by_stem = _unique((path.stem, path) for path in images)
    # A label map belongs to the picture of its own stem if there is one, else to that of its stem without ending.
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
            raise DataError(f"{path}: same stem as {found[stem].name} (expected one file each). Remove one")
        found[stem] = path
    return found


def read_lines(list_file: Path) -> list[str]:
    """The lines of a text file, empty ones too."""
    if is_special(list_file):
        raise DataError(f"{list_file}: a pipe or a device (expected a text file). Save it as a file")
    try:
        return list_file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{list_file}: cannot be read, {error} (expected UTF-8 text). Save it again") from error


def pairs_of_list(list_file: Path) -> list[FilePair]:
    """The pairs of a file with lines "image labels", in its order."""
    root, pairs = list_file.parent, []
    for number, line in enumerate(read_lines(list_file), start=1):
        if line.strip():
            image, labels = (_resolve(root, path) for path in _split_line(line, f"{list_file}: line {number}"))
            pairs.append(FilePair(image, labels, root, f"{list_file.name} line {number}"))
    return pairs


def _split_line(line: str, where: str) -> tuple[str, str]:
    """ "image labels" -> both. File names may hold spaces: then the cut is where the two stems agree."""
    words = line.split()
    cuts = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    if len(cuts) > 1:
        cuts = [(a, b) for a, b in cuts if PurePosixPath(a).stem == PurePosixPath(b).stem]
    if len(cuts) != 1:
        raise DataError(f"{where}: {line.strip()!r} (expected two paths, 'image labels'). Correct the line")
    return cuts[0]


def _resolve(root: Path, listed: str) -> Path:
    """The file under root that a list means: the longest ending of the path that exists there.

    Published lists often have paths of other machines. If no such file exists, the result is the expected path.
    """
    parts = [part for part in PurePosixPath(listed.replace("\\", "/")).parts if part not in ("/", "..")]
    for start in range(len(parts)):
        candidate = root.joinpath(*parts[start:])
        if os.path.isfile(candidate):  # Path.is_file raises OSError for a name that is too long
            return candidate
    return root.joinpath(*parts[-2:])


def inside(path: Path, root: Path) -> bool:
    """Whether a path stays under root with all its links followed: a data set from elsewhere may be hostile."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a link to itself, or an impossible name
        return False
