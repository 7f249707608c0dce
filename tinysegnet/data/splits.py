"""The splits of a data set: their names, lists of names, and a validation set where there is none."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from ..errors import DataError
from .pairs import FilePair, composed, find_tail, folded, image_stem, read_lines, visible

SPLITS = ("train", "val", "test")
_SYNONYMS = {"training": "train", "trn": "train", "tr": "train", "valid": "val", "validation": "val", "va": "val",
             "validate": "val", "dev": "val", "eval": "val", "testing": "test", "te": "test"}  # fmt: skip
KNOWN = (*SPLITS, *_SYNONYMS)
_AROUND = re.compile(r"^[\W\d_]+|[\W_]*(?:sets?|split|data)?[\W_]*(?:20\d\d)?$")  # as in train2017, 1_train, train_set
_VAL_SHARE = 5  # a fifth of the pictures is used for validation if the folder has no validation set
_SCENES = 0.10, 0.35  # the smallest and the largest share of the pictures for which whole scenes are used instead
_NAMED = 3  # the number of scenes that a note names


def split_name(name: str) -> str:
    """Return "train", "val" or "test" for names such as "Training" and "train2017". Other names stay as they are."""
    core = _AROUND.sub("", name.lower())
    return _SYNONYMS.get(core, core if core in SPLITS else composed(name))


def by_split(paths: Iterable[Path]) -> dict[str, Path]:
    """Return folders or lists by the names of their splits. Raises DataError if two names mean the same split."""
    found: dict[str, Path] = {}
    for path in paths:
        name = split_name(path.name.removesuffix(".txt"))
        if name in found:
            raise DataError(f"{found[name]}: {path} names the same split. Move one of them away.")
        found[name] = path
    return found


def lists_of_names(folder: Path) -> dict[str, Path]:
    """Return the lists of names by split. trainval.txt and default.txt count only without lists for train and val."""
    sets = folder / "ImageSets"
    own = [path for path in (sets / "Segmentation", *visible(sets)) if path.is_dir()][:1] if sets.is_dir() else []
    texts = [path for place in (folder, *own) for path in visible(place) if path.suffix == ".txt"]
    lists = by_split(path for path in texts if split_name(path.stem) in (*SPLITS, "trainval", "default"))
    both = [path for name in ("trainval", "default") if (path := lists.pop(name, None))]
    return {"train": both[0], **lists} if both and not {"train", "val"} & lists.keys() else lists


def listed_pairs(path: Path, pairs: list[FilePair], notes: list[str]) -> list[FilePair]:
    """Return the pairs whose pictures a list names, in the order of `pairs`, and add a note about repeated lines.

    A line may contain folders and a suffix. Raises DataError for a line that names no picture or several.
    """
    known: dict[str, list[FilePair]] = {}
    for pair in pairs:
        folders = [folded(part) for part in pair.image.parent.relative_to(pair.root).parts]
        for name in {folded(pair.image.name), folded(pair.image.stem), folded(image_stem(pair.image))}:
            for start in range(len(folders) + 1):
                known.setdefault("/".join([*folders[start:], name]), []).append(pair)
    lines = [line.strip() for line in read_lines(path) if line.strip()]
    found = {line: find_tail(line, known) for line in lines}
    for line, candidates in found.items():
        if len(candidates) != 1:
            wrong = f"several pictures are named {line!r}" if candidates else f"there is no picture named {line!r}"
            raise DataError(f"{path}: {wrong}. Correct the list.")
    counts = Counter(found[line][0] for line in lines)
    repeated = [pair for pair in counts if counts[pair] > 1]
    if repeated:
        count = f"{len(repeated)} of its {len(counts)} pictures"
        notes.append(f"{path.name} lists {count} repeatedly, such as {repeated[0].image.name}")
    return [pair for pair in pairs if pair in counts]


def hold_out(pairs: list[FilePair]) -> tuple[list[FilePair], list[FilePair], str]:
    """Divide pairs into training and validation, and describe how.

    The last scenes by name are used for validation, as close to a fifth of the pictures as possible. If their share is
    too small or too large, the last fifth of the pictures by name is used.
    """
    scenes = Counter(map(_scene, pairs))
    names = sorted(scenes, reverse=True)
    counts = list(accumulate(scenes[name] for name in names))
    count = min(counts, key=lambda count: abs(count * _VAL_SHARE - len(pairs)), default=0)
    if len(names) < len(pairs) and _SCENES[0] <= count / len(pairs) <= _SCENES[1]:
        held_out = dict.fromkeys(names[: counts.index(count) + 1])
        val = [pair for pair in pairs if _scene(pair) in held_out]
        named = ", ".join(f"{folder.name}/{start}*" for folder, start in [*held_out][:_NAMED])
        named += ", ..." * (len(held_out) > _NAMED)
        how = f"the last scenes by name ({named}: {count} of {len(pairs)} pictures) are"
        return [pair for pair in pairs if _scene(pair) not in held_out], val, how
    cut = len(pairs) - (max(1, round(len(pairs) / _VAL_SHARE)) if len(pairs) > 1 else 0)
    return pairs[:cut], pairs[cut:], "the last fifth of the pictures by name is"


def _scene(pair: FilePair) -> tuple[Path, str]:
    """Return the folder of a picture and its name before the last number, which is often the number of a frame."""
    stem = image_stem(pair.image)
    frame = re.search(r"\d+\D*$", stem)
    return pair.image.parent, stem[: frame.start()] if frame else stem
