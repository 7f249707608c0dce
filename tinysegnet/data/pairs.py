"""Pairing pictures with label maps by relative folder and file stem, or by a list, never by order.

For a missing file, the pair contains the expected path, so that reading the pair reports it. Names are compared in
Unicode's composed form, because some systems write "ü" as two characters. Names that differ only in upper and lower
case are accepted if no other name fits.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from ..errors import DataError
from ..files import is_special

Item = TypeVar("Item")

# Formats that cannot be read are included so that they are rejected with a message instead of being overlooked.
PICTURES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".heic", ".heif",
            ".avif"}  # fmt: skip
_PICTURE_NAME = re.compile(rf"(?:{'|'.join(PICTURES).replace('.', '[.]')})\b", re.IGNORECASE)
# Endings that label files add to the picture's stem, and an ending of pictures that their label files do not have.
_ENDING = re.compile(r"_(?:[LP]|(?i:masks?|labels?|gt(?:Fine|Coarse)_label(?:Train)?Ids))$")
_PICTURE_ENDING = re.compile(r"_leftImg8bit$", re.IGNORECASE)
_HIDDEN = (".", "__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN")
_LONGEST_LINE = 2000  # characters; the time to parse a line can grow with the square of its length
_DEPTH = 4  # limits the search below a folder, which may be a whole home directory


@dataclass(frozen=True)
class FilePair:
    """Two files that belong together, their common folder, and the source of the pairing ("train.txt line 3")."""

    image: Path
    labels: Path
    root: Path
    origin: str


def files_of(folder: Path) -> list[Path]:
    """Return the picture files of a folder in order of their names. Hidden files and other types are skipped."""
    return [path for path in visible(folder) if path.suffix.lower() in PICTURES and not path.is_dir()]


def visible(folder: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden, sorted by name. Raises DataError if it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(_HIDDEN))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed: {error.strerror}. Check its permissions.") from error


def files_below(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """Return the files in a folder and, to this depth, below it. Skip hidden files and links to parent folders."""
    found = []
    for path in visible(folder):
        if not path.is_dir():
            found.append(path)
        elif depth and not inside(folder, path):
            found += files_below(path, depth - 1)
    return found


def composed(name: str) -> str:
    """Return a name in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return a name in a form that is equal for names that differ only in upper and lower case."""
    return composed(composed(name).casefold())


def image_stem(image: PurePath) -> str:
    """Return the composed stem of a picture. Cityscapes' ending _leftImg8bit is removed."""
    return _PICTURE_ENDING.sub("", composed(image.stem))


def belong_together(image: PurePath, labels: PurePath) -> bool:
    """Return whether the names of a picture and of a label map agree, such as a.jpg and a.png, a_L.png or a.jpg.png."""
    return not {*map(folded, image_names(image))}.isdisjoint(map(folded, label_names(labels)))


def image_names(image: PurePath) -> tuple[str, ...]:
    """Return the stems that the label map of a picture may have, apart from an ending such as _L."""
    return image_stem(image), composed(image.stem), composed(image.name)


def label_names(labels: PurePath) -> tuple[str, str]:
    """Return the stem of a label file with and without its ending: "0001TP_006690_L" and "0001TP_006690"."""
    stem = composed(labels.stem)
    return stem, _ENDING.sub("", stem)


def maps_by_ending(paths: list[Path]) -> set[Path]:
    """Return the label maps among files of mixed folders. Their names end in _L, _mask or similar."""
    stems = {image_stem(path) for path in paths}
    names = {path: label_names(path) for path in paths}
    return {path for path, (stem, short) in names.items() if short != stem and (short in stems or stem.endswith("_L"))}


def pairs_of_files(root: Path, images: list[Path], labels: list[Path], places: tuple[Path, Path]) -> list[FilePair]:
    """Pair pictures with label maps by stem, and sort the pairs. Stems of label maps may have an ending such as _L.

    `places` are the folders of the pictures and of the label maps. A missing file gets its expected path there.
    """
    by_stem = _unique((image_stem(path), path) for path in images)
    # If a picture has exactly the stem of a label map, they belong together. Otherwise, the ending is removed.
    stems = {form(name): stem for form in (folded, str) for stem, path in by_stem.items() for name in image_names(path)}

    def stem_of(path: Path) -> str:
        names = label_names(path)
        return next((stems[name] for name in (*names, *map(folded, names)) if name in stems), names[-1])

    if images and labels and not any(stem_of(path) in by_stem for path in labels):
        stems = _stems_by_affixes(by_stem, labels)
        if not stems:
            wrong = f"no label map has the name of a picture: {labels[0].name} and {images[0].name}, for example"
            raise DataError(f"{places[1]}: {wrong}. Name label maps like their pictures, or add _mask.")
    maps = _unique((stem_of(path), path) for path in labels)
    ending = next((composed(path.stem)[len(stem) :] for stem, path in maps.items()), "")
    suffix = images[0].suffix if images else ".png"
    origin = f"folders {places[0].name}/ and {places[1].name}/"
    pairs = []
    for stem in sorted(by_stem.keys() | maps.keys()):
        image = by_stem.get(stem, places[0] / f"{stem}{suffix}")
        pairs.append(FilePair(image, maps.get(stem, places[1] / f"{stem}{ending}.png"), root, origin))
    return pairs


def _stems_by_affixes(stems: Iterable[str], labels: list[Path]) -> dict[str, str]:
    """Map stems of label maps to those of pictures if all have the same text around the latter, as in seg-a-v2."""
    names = [composed(path.stem) for path in labels]
    by_length = sorted(stems, key=len, reverse=True)
    for before, found, after in (
        part(names[0], stem) for stem in by_length for part in (str.rpartition, str.partition)
    ):
        stem_of = {before + stem + after: stem for stem in stems} if found else {}
        if stem_of.keys() >= {*names}:
            return stem_of
    return {}


def _unique(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for stem, path in named:
        if stem in found:
            raise DataError(f"{path}: the file has the same stem as {found[stem]}. Remove one of them.")
        found[stem] = path
    return found


def read_lines(list_file: Path) -> list[str]:
    """Return the lines of a text file, including empty ones."""
    if is_special(list_file):
        raise DataError(f"{list_file}: a pipe or a device. Save the list as a text file.")
    try:
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
        if any("\0" in line or len(line) > _LONGEST_LINE for line in lines):
            raise ValueError(f"a line is longer than {_LONGEST_LINE} characters, or contains null characters")
    except (OSError, ValueError) as error:
        raise DataError(f"{list_file}: cannot be read: {error}. Save it as UTF-8 text.") from error
    return lines


def lists_pairs(path: Path) -> bool:
    """Return whether a text file has two paths per line, unlike fastai's valid.txt, which has one name per line."""
    first = next((line for line in read_lines(path) if line.strip()), "")
    return not first or len(_PICTURE_NAME.findall(first)) > 1


def pairs_of_list(list_file: Path) -> list[FilePair]:
    """Return the pairs of a file with lines "image labels", in the same order."""
    root, pairs = list_file.parent, []
    similar: dict[str, list[Path]] = {}  # the files by their folded paths
    for path in files_below(root):
        similar.setdefault(folded(path.relative_to(root).as_posix()), []).append(path)
    for number, line in enumerate(read_lines(list_file), start=1):
        if line.strip():
            image, labels = (_resolve(root, path, similar) for path in _split_line(line, f"{list_file}: line {number}"))
            pairs.append(FilePair(image, labels, root, f"{list_file.name} line {number}"))
    return pairs


def _split_line(line: str, where: str) -> tuple[str, str]:
    """Split a line "image labels". If file names contain spaces, the line is split so that the two names agree."""
    words = line.replace("\\", "/").split()
    cuts = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    if len(cuts) > 1:
        cuts = [(a, b) for a, b in cuts if belong_together(PurePosixPath(a), PurePosixPath(b))]
    if len(cuts) != 1:
        raise DataError(f"{where}: {line.strip()!r} is not a pair of paths, 'image labels'. Correct the line.")
    return cuts[0]


def find_tail(listed: str, known: Mapping[str, list[Item]]) -> list[Item]:
    """Return the items whose folded path is the longest possible trailing part of a listed path."""
    parts = folded(listed.replace("\\", "/")).split("/")
    return next((known[tail] for start in range(len(parts)) if (tail := "/".join(parts[start:])) in known), [])


def _resolve(root: Path, listed: str, similar: Mapping[str, list[Path]]) -> Path:
    """Find a listed file below root: the longest trailing part of the listed path that exists there.

    Published lists often contain paths from other machines. If no file exists, a file whose name differs only in its
    Unicode form or in upper and lower case is found. Otherwise, the expected path is returned.
    """
    parts = [part for part in PurePosixPath(listed.replace("\\", "/")).parts if part not in ("/", "..")]
    for start in range(len(parts)):
        candidate = root.joinpath(*parts[start:])
        if os.path.isfile(candidate):  # Path.is_file raises OSError for a name that is too long
            return candidate
    found = find_tail("/".join(parts), similar)
    return found[0] if len(found) == 1 else root.joinpath(*parts[-2:])


def inside(path: Path, root: Path) -> bool:
    """Return whether a path is below root when all links are followed. Downloaded data may contain harmful links."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a link to itself, or an invalid name
        return False
