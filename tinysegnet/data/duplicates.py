"""Finding pictures that occur more than once in a data set, which makes scores look better than they are."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .folders import Folder
from .pairs import image_stem

_NAMED = 3


def shared_pictures(splits: Iterable[Folder]) -> list[str]:
    """Return one line per picture that occurs in several splits or repeatedly in one, but at most a few lines.

    Pictures are equal if their files are. One more line counts the names that different pictures in two splits share.
    """
    splits_of: dict[Path, Counter[str]] = {}
    for folder in splits:
        for pair in folder.pairs:
            splits_of.setdefault(Path(os.path.realpath(pair.image)), Counter())[folder.split] += 1
    groups: dict[object, list[Path]] = {}
    sizes = Counter(map(_size, splits_of))
    for path in splits_of:
        size = _size(path)
        groups.setdefault(_digest(path) if size and sizes[size] > 1 else path, []).append(path)
    repeated = [paths for paths in groups.values() if sum(splits_of[path].total() for path in paths) > 1]
    repeated.sort(key=lambda paths: -len({split for path in paths for split in splits_of[path]}))
    lines = []
    for paths in repeated[:_NAMED]:
        places = [f"{path.name} in {split}" + f" {count} times" * (count > 1)
                  for path in paths for split, count in splits_of[path].items()]  # fmt: skip
        lines.append(f"{paths[0]}: the same picture occurs repeatedly: {', '.join(places)}. Keep it in one place.")
    if len(repeated) > _NAMED:
        lines.append(f"and {len(repeated) - _NAMED} more pictures that occur repeatedly")
    others: dict[str, set[str]] = {}
    for path in splits_of.keys() - {path for paths in repeated for path in paths}:
        others.setdefault(image_stem(path), set()).update(splits_of[path])
    names = sorted(name for name, found in others.items() if len(found) > 1)
    if names:
        lines.append(f"names of different pictures that occur in several splits: {len(names)}, such as {names[0]}")
    return lines


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
