"""Recognising how pictures and label maps are arranged in a folder.

    lists       train.txt ... with lines "image labels"; or train/ and trainannot/ ...  (the SegNet tutorial's CamVid)
    by kind     images/train/ labels/train/ ...  or  images/ labels/                    (fastai's CamVid: *_P.png)
    by split    train/images/ train/labels/ ...
    endings     pictures *.png and label maps *_L.png, anywhere                         (CamVid's original)

A folder without splits is divided by lists of names (valid.txt, val.txt, train.txt). Without lists, the last fifth by
name is the validation set: successive names are often frames of a video, so a random division would inflate the scores.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import DataError, did_you_mean
from .pairs import FilePair, files_of, pairs_of_files, pairs_of_list, read_lines, strip_ending, visible

_IMAGES = ("images", "imgs", "pictures")
_LABELS = ("labels", "masks", "annotations")
_VAL = ("val", "valid", "validation")  # synonyms
_DEPTH = 3  # limits the search for *_L.png, because the folder may be a whole home directory
_VAL_SHARE = 5  # a fifth of the pictures is used for validation if the folder has no validation set
_HELD_OUT = (
    "the last fifth of the pictures by name is the validation set; to choose others, list their names in val.txt"
)

Pairs = Callable[[], list[FilePair]]


@dataclass(frozen=True)
class Layout:
    """The arrangement of the files in a folder."""

    root: Path
    title: str  # the kind of arrangement
    splits: Mapping[str, Pairs]
    note: str = ""  # how the pictures were divided into splits
    is_tutorial: bool = False

    def pairs(self, split: str) -> list[FilePair]:
        """Return the pairs of a split ("val", "valid" and "validation" are synonyms). Raises DataError if empty."""
        names = _VAL if split in _VAL else (split,)
        name = next((name for name in (split, *names) if name in self.splits), None)
        if name is None:
            known = f"the folder needs {split}.txt, or the folders {split}/ and {split}annot/"
            known = known if self.is_tutorial else f"choose {' or '.join(self.splits)}"
            raise DataError(f"{self.root}: there is no split {split!r}; {known}.{did_you_mean(split, self.splits)}")
        pairs = self.splits[name]()
        if not pairs:
            raise DataError(f"{self.root}: the split {split!r} is empty. Add pictures with label maps.")
        return pairs


def find_layout(root: Path) -> Layout:
    """Recognise the layout of a folder. Raises DataError if the folder does not exist or is not recognised."""
    for find in (tutorial_layout, _by_kind, _by_split, _by_endings):
        layout = find(root)
        if layout is not None and layout.splits:
            return _with_val(layout)
    raise DataError(
        f"{root}: no pictures with label maps found. Correct the path, or use one of these layouts: train.txt,"
        " train/ and trainannot/, images/ and labels/, or pictures and *_L.png."
    )


def tutorial_layout(root: Path) -> Layout:
    """Find lists of pairs, and folders X/ and Xannot/. A list takes priority over folders of the same name."""
    if not os.path.isdir(root):  # Path.is_dir raises OSError for a name that is too long
        raise DataError(f"{root}: no such folder. Correct the path.")
    splits: dict[str, Pairs] = {}
    for labels in _folders(root):
        images = root / labels.name.removesuffix("annot")
        if images not in (labels, root) and images.is_dir():
            splits[images.name] = partial(_pairs_of_folders, root, images, labels)
    for path in sorted(root.glob("*.txt")):
        if path.stem in splits or (path.stem in ("train", "val", "test") and _lists_pairs(path)):
            splits[path.stem] = partial(pairs_of_list, path)
    return Layout(root, "the SegNet tutorial's layout", splits, is_tutorial=True)


def _lists_pairs(path: Path) -> bool:
    """Return whether a text file has two paths per line, unlike fastai's valid.txt, which has one name per line."""
    first = next((line for line in read_lines(path) if line.strip()), "")
    return not first or (len(first.split()) > 1 and len(re.findall(r"\.(?:png|jpe?g)\b", first, re.IGNORECASE)) != 1)


def _by_kind(root: Path) -> Layout | None:
    images, labels = _named(root, _IMAGES), _named(root, _LABELS)
    if images is None or labels is None:
        return None
    title = f"{images.name}/ and {labels.name}/"
    own, both = {path.name for path in _folders(images)}, {path.name for path in _folders(labels)}
    both &= own
    if both:
        note = f"{images.name}/{min(own - both)}/ has no label maps and is ignored" if own - both else ""
        splits = {name: partial(_pairs_of_folders, root, images / name, labels / name) for name in sorted(both)}
        return Layout(root, title, splits, note)
    return _divided(root, title, partial(_pairs_of_folders, root, images, labels))


def _by_split(root: Path) -> Layout | None:
    """Find folders such as train/images/ and train/labels/."""
    splits: dict[str, Pairs] = {}
    for path in _folders(root):
        images, labels = _named(path, _IMAGES), _named(path, _LABELS)
        if images is not None and labels is not None:
            splits[path.name] = partial(_pairs_of_folders, root, images, labels)
    return Layout(root, "one folder per split, each with pictures and label maps", splits)


def _by_endings(root: Path) -> Layout | None:
    """Find label maps whose names end in _L, next to the pictures or in another folder."""
    files = [path for folder in _all_folders(root) for path in files_of(folder)]
    labels = [path for path in files if path.stem.endswith("_L")]
    if not labels:
        return None
    images = [path for path in files if not path.stem.endswith("_L")]
    folder_of = {path.stem: path.parent for path in images}
    groups: dict[Path, list[Path]] = {folder: [] for folder in sorted(set(folder_of.values()))}
    for path in labels:  # a label map without a picture is assigned to the first folder, which then reports it
        groups.setdefault(folder_of.get(strip_ending(path.stem), next(iter(groups), path.parent)), []).append(path)
    splits: dict[str, Pairs] = {}
    for folder, maps in groups.items():
        own = [path for path in images if path.parent == folder]
        places = (folder, maps[0].parent if maps else folder)
        splits[folder.name] = partial(pairs_of_files, root, own, maps, places)
    layout = Layout(root, "pictures and *_L label maps", splits)
    divided = len(splits) > 1 and len(splits) == len(groups)
    return layout if divided else _divided(root, layout.title, next(iter(splits.values())))


def _divided(root: Path, title: str, everything: Pairs) -> Layout:
    lists = [path for name in ("train", *_VAL, "test") if (path := root / f"{name}.txt").is_file()]
    if lists:
        listed: dict[str, Pairs] = {"train": partial(_not_listed, everything, lists)}
        listed |= {path.stem: partial(_listed, everything, path) for path in lists}
        return Layout(root, title, listed, f"divided by {', '.join(path.name for path in lists)}")
    return Layout(root, title, _train_and_val(everything), _HELD_OUT)


def _with_val(layout: Layout) -> Layout:
    """Split off a validation set from the training pictures if there is none, except in the tutorial's layout."""
    if layout.is_tutorial or "train" not in layout.splits or any(name in layout.splits for name in _VAL):
        return layout
    splits = {**layout.splits, **_train_and_val(layout.splits["train"])}
    return Layout(layout.root, layout.title, splits, f"train is divided: {_HELD_OUT}")


def _train_and_val(everything: Pairs) -> dict[str, Pairs]:
    def divided() -> tuple[list[FilePair], list[FilePair]]:
        pairs = everything()
        cut = len(pairs) - (max(1, round(len(pairs) / _VAL_SHARE)) if len(pairs) > 1 else 0)
        return pairs[:cut], pairs[cut:]

    return {"train": lambda: divided()[0], "val": lambda: divided()[1]}


def _listed(everything: Pairs, path: Path) -> list[FilePair]:
    names = {line.strip().replace("\\", "/").rsplit("/", 1)[-1] for line in read_lines(path) if line.strip()}
    pairs = [pair for pair in everything() if names & {pair.image.stem, pair.image.name}]
    unknown = names - {name for pair in pairs for name in (pair.image.stem, pair.image.name)}
    if unknown:
        raise DataError(f"{path}: there is no picture named {min(unknown)!r}. Correct the list.")
    return pairs


def _not_listed(everything: Pairs, lists: list[Path]) -> list[FilePair]:
    taken = {pair.image for path in lists for pair in _listed(everything, path)}
    return [pair for pair in everything() if pair.image not in taken]


def _pairs_of_folders(root: Path, images: Path, labels: Path) -> list[FilePair]:
    return pairs_of_files(root, files_of(images), files_of(labels), (images, labels))


def _folders(root: Path) -> list[Path]:
    return [path for path in visible(root) if path.is_dir()]


def _named(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((path for name in names for path in _folders(root) if path.name.lower() == name), None)


def _all_folders(root: Path, depth: int = _DEPTH) -> list[Path]:
    """Return root and the folders below it to this depth. Hidden folders and links, which could loop, are skipped."""
    below = [folder for folder in _folders(root) if not folder.is_symlink()] if depth else []
    return [root, *(found for folder in below for found in _all_folders(folder, depth - 1))]
