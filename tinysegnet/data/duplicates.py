"""Finding pictures that occur more than once in a data set and therefore inflate the scores."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .folders import Folder
from .pairs import image_stem

_NAMED = 3  # the maximum number of repeated pictures that are named


def shared_pictures(splits: Iterable[Folder]) -> list[str]:
    """Return a few lines that describe the pictures that occur in several splits, or more than once in one split.

    Pictures are the same if their files have the same path or content. The last line counts the names
    that belong to different pictures in different splits.
    """
    places: dict[Path, Counter[str]] = {}  # the number of occurrences of each file per split
    for folder in splits:
        for pair in folder.pairs:
            places.setdefault(Path(os.path.realpath(pair.image)), Counter())[folder.split] += 1
    sizes = {path: path.stat().st_size for path in places if os.path.isfile(path) and os.access(path, os.R_OK)}
    count_by_size = Counter(sizes.values())
    same: dict[object, list[Path]] = {}
    for path in places:  # only files of equal size are read
        is_read = path in sizes and count_by_size[sizes[path]] > 1
        same.setdefault(hashlib.blake2b(path.read_bytes()).digest() if is_read else path, []).append(path)
    repeated = [paths for paths in same.values() if sum(places[path].total() for path in paths) > 1]
    repeated.sort(key=lambda paths: -len({split for path in paths for split in places[path]}))
    lines = []
    for paths in repeated[:_NAMED]:
        found = [f"{path.name} in {split}" + f" {count} times" * (count > 1)
                 for path in paths for split, count in places[path].items()]  # fmt: skip
        lines.append(f"{paths[0]}: this picture occurs repeatedly: {', '.join(found)}. Keep it in one place.")
    lines += [f"Further pictures that occur repeatedly: {len(repeated) - _NAMED}."] if len(repeated) > _NAMED else []
    splits_of: dict[str, set[str]] = {}
    for path in places.keys() - {path for paths in repeated for path in paths}:
        splits_of.setdefault(image_stem(path), set()).update(places[path])
    names = sorted(name for name, found in splits_of.items() if len(found) > 1)
    if names:
        lines.append(f"Names that stand for different pictures in several splits: {len(names)}, such as {names[0]}.")
    return lines
