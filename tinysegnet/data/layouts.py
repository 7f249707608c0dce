"""Recognising how pictures and label maps are arranged in a folder.

The page lessons/site/pages/own_pictures.md lists the layouts and the rules for names. Without lists of names, the last
scenes or the last fifth of the names become the validation set. Successive names are often frames of a video, so a
random division would inflate the scores.
"""

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import NamedTuple

from ..errors import DataError, did_you_mean
from .pairs import (
    PICTURES,
    FilePair,
    files_below,
    files_of,
    image_names,
    label_names,
    lists_pairs,
    maps_by_ending,
    pairs_of_files,
    pairs_of_list,
    visible,
)
from .splits import KNOWN, SPLITS, by_split, hold_out, listed_pairs, lists_of_names, split_name

_ROLE = re.compile(  # the names of folders, alone or after another name, as in train_labels
    r"(.*?)[_ -]?(?:(labels?|masks?(?:_machine)?|annot(?:ations?)?|ann_dir|segmentationclass(?:png)?|gt(?:fine|coarse)?"
    r")|images?|imgs?|img_dir|pictures?|jpegimages|leftimg8bit)",
    re.IGNORECASE,
)
_NO_LABELS = re.compile(r"_gt(?:Fine|Coarse)_(?:color|instance(?:Train)?Ids)$")  # Cityscapes' other annotations
_TRAIN_IDS = "_labelTrainIds"  # Cityscapes' classes without gaps, which are used instead of its _labelIds
_TEXTS = {".txt", ".csv", ".xml", ".json"}  # lists and other descriptions of a data set
_INNER = 2  # the maximum number of enclosing folders that are entered


@dataclass(frozen=True)
class Layout:
    """The arrangement of the files in a folder."""

    root: Path
    title: str  # a description of the arrangement
    splits: Mapping[str, list[FilePair]]  # synonyms become "train", "val" and "test"; other names stay as they are
    note: str = ""  # how the pictures were divided into splits, and which files are left out
    is_tutorial: bool = False

    def __post_init__(self) -> None:
        ordered = dict.fromkeys([*(name for name in SPLITS if name in self.splits), *self.splits])
        object.__setattr__(self, "splits", {name: self.splits[name] for name in ordered})

    def pairs(self, split: str) -> list[FilePair]:
        """Return the pairs of a split, whose name may be a synonym ("valid" for "val"). Raises DataError if empty."""
        name = split_name(split)
        if name not in self.splits:
            known = f"the folder needs {split}.txt, or the folders {split}/ and {split}annot/"
            known = known if self.is_tutorial else f"choose {' or '.join(self.splits)}"
            raise DataError(f"{self.root}: there is no split {split!r}; {known}.{did_you_mean(split, self.splits)}")
        if not self.splits[name]:
            raise DataError(f"{self.root}: the split {split!r} is empty. Add pictures with label maps.")
        return self.splits[name]


def find_layout(root: Path) -> Layout:
    """Recognise the layout of a folder. Raises DataError if it does not exist, is not recognised or is ambiguous."""
    for folder in _unpacked(root):
        if splits := _tutorial_splits(folder):
            return Layout(folder, "the SegNet tutorial's layout", splits, is_tutorial=True)
    layout = _by_names(folder)
    if "train" not in layout.splits or "val" in layout.splits:
        return layout
    if meant := next(
        (text for name in layout.splits if name not in SPLITS and (text := did_you_mean(name, KNOWN))), ""
    ):
        raise DataError(f"{root}: there is no split for validation, but {', '.join(layout.splits)}.{meant}")
    train, val, how = hold_out(layout.splits["train"])
    note = f"{how} the validation set; to choose others, list them in val.txt, or move them from train/ to val/"
    note += f"\n{layout.note}" if layout.note else ""
    return replace(layout, splits={**layout.splits, "train": train, "val": val}, note=note)


def _unpacked(root: Path) -> Iterator[Path]:
    """Yield the folder and, while a folder contains only one other folder, as in unpacked archives, the inner one."""
    yield root
    for _ in range(_INNER):
        folders = [path for path in visible(root) if path.is_dir()]
        if len(folders) != 1 or any(_place(PurePath(folders[0].name))[1::2]) or files_of(root) or lists_of_names(root):
            return
        root = folders[0]
        yield root


def _tutorial_splits(root: Path) -> dict[str, list[FilePair]]:
    """Find lists of pairs, and folders X/ and Xannot/. A list takes priority over folders of the same name."""
    if not os.path.isdir(root):  # Path.is_dir raises OSError for a name that is too long
        raise DataError(f"{root}: no such folder. Correct the path.")
    entries = visible(root)
    annot = {root / path.name.removesuffix("annot"): path for path in entries if path.name.endswith("annot")}
    places = {images: labels for images, labels in annot.items() if images.is_dir() and images != root}
    named = {name: (images, places[images]) for name, images in by_split(places).items()
             if files_of(images) or files_of(places[images])}  # fmt: skip
    texts = [path for path in entries if path.suffix == ".txt" and split_name(path.stem) in {*SPLITS, *named}]
    lists = by_split(path for path in texts if split_name(path.stem) in named or lists_pairs(path))
    splits = {name: pairs_of_list(path) for name, path in lists.items()}
    for name, (images, labels) in named.items():
        if name not in splits:
            splits[name] = pairs_of_files(root, files_of(images), files_of(labels), (images, labels))
    return splits


class _Place(NamedTuple):
    """The meanings of the names in the path of a folder, such as data/images/train/berlin."""

    outer: tuple[str, ...]  # ("data",): the names before the first known one
    split: str  # "train", or ""
    names: tuple[str, ...]  # ("data", "berlin"): all names without a known meaning
    kind: str  # "images", "labels" or ""


def _place(folder: PurePath) -> _Place:
    outer: tuple[str, ...] = ()
    split, names, kind = "", [], ""
    for number, part in enumerate(folder.parts):
        role = _ROLE.fullmatch(part)
        name = split_name(role[1] if role else part)
        if (role or name in SPLITS) and not (split or kind):
            outer = folder.parts[:number]
        if role:
            kind = "labels" if role[2] else "images"
        if name in SPLITS:
            split = name
        elif name:
            names.append(name)
    return _Place(outer, split, tuple(names), kind)


def _by_names(root: Path) -> Layout:
    """Pair pictures and label maps whose folders differ only in their kind or, failing that, agree in the split.

    If folders of images and labels are nested, only the outermost are used. All other names are splits or scenes.
    """
    files, notes = files_below(root), []
    pictures = [path for path in files if path.suffix.lower() in PICTURES and not _NO_LABELS.search(path.stem)]
    if any(path.stem.endswith(_TRAIN_IDS) for path in pictures):
        pictures = [path for path in pictures if not path.stem.endswith("_labelIds")]
        notes = [f"the label maps are *{_TRAIN_IDS}"]
    places = {folder: _place(folder.relative_to(root)) for folder in {path.parent for path in pictures}}
    by_kind = {path for path in pictures if places[path.parent].kind == "labels"}
    choices = itertools.product((by_kind, maps_by_ending(pictures)), (True, False))
    groups = next(filter(None, (_groups(pictures, labels, places, by_folder) for labels, by_folder in choices)), {})
    if not groups:
        contents = f"files: {_count(root, files) or len(files)}" if files else "the folder is empty"
        raise DataError(
            f"{root}: no pictures with label maps found ({contents}). Correct the path, or use one of these layouts:"
            " train.txt, train/ and trainannot/, images/ and labels/, or pictures and *_L.png. Polygons of labelme and"
            " COCO must be imported first: tinysegnet data import."
        )
    outers = {key: places[maps[0].parent].outer for key, (_, maps) in groups.items()}
    outer = min(outers.values(), key=lambda names: (len(names), names))
    other = next((names for names in outers.values() if names[: len(outer)] != outer), None)
    if other is not None:
        raise DataError(f"{root}: {'/'.join(outer)}/ and {'/'.join(other)}/ are two data sets. Choose one of them.")
    has_splits = any(key[0] for key in groups if outers[key] == outer)
    pairs: dict[str, list[FilePair]] = {}
    for (split, names), group in groups.items():
        if outers[split, names] == outer or (has_splits and not split and outers[split, names][:-1] == outer):
            name = split or "/".join(names[len(outer) :])
            pairs.setdefault(name, []).extend(_pairs_of_group(root, *group, places))
    if has_splits and (beside := pairs.pop("", None)):  # files beside the folders of the splits, such as test/
        pairs.setdefault("train", beside)
    first = next(pair for found in (pairs.get("train", []), *pairs.values()) for pair in found)
    image, label = (path.parent.relative_to(root) for path in (first.image, first.labels))
    title = f"{image}/ and {label}/" if image != label else "pictures and label maps in one folder"
    if label.name.startswith("SegmentationClass"):  # in Pascal VOC, most pictures have no label map
        pairs = {name: [pair for pair in found if os.path.lexists(pair.labels)] for name, found in pairs.items()}
    top = root.joinpath(*outer)
    if not has_splits:
        everything = [pair for found in pairs.values() for pair in found]
        lists = lists_of_names(top) or lists_of_names(root)
        listed = {name: listed_pairs(path, everything, notes) for name, path in lists.items()}
        taken = {pair for found in listed.values() for pair in found}
        pairs = {"train": [pair for pair in everything if pair not in taken], **listed}
        notes += [f"divided by {', '.join(path.name for path in lists.values())}"] if lists else []
    used = {path for found in pairs.values() for pair in found for path in (pair.image, pair.labels)}
    unused = _count(root, [path for path in files if path not in used])
    notes += [f"files left out: {unused}"] if unused else []
    return Layout(top, title, pairs, "\n".join(notes))


def _groups(
    pictures: list[Path], labels: set[Path], places: Mapping[Path, _Place], by_folder: bool
) -> dict[tuple[str, tuple[str, ...]], tuple[list[Path], list[Path]]]:
    """Group pictures and label maps by split and remaining folder names or, without `by_folder`, only by split."""
    groups: dict[tuple[str, tuple[str, ...]], tuple[list[Path], list[Path]]] = {}
    for path in pictures:
        place = places[path.parent]
        group = groups.setdefault((place.split, place.names if by_folder else ()), ([], []))
        group[path in labels].append(path)
    for key, (images, maps) in sorted(groups.items()):
        images = [path for path in images if places[path.parent].kind == "images"] or images
        if not by_folder:  # folders without a picture that has a label map do not belong to the data set
            names = {name for path in maps for name in label_names(path)}
            known = {path.parent for path in images if not names.isdisjoint(image_names(path))}
            images = [path for path in images if path.parent in known]
        groups[key] = images, maps
    return {key: groups[key] for key in sorted(groups) if all(groups[key])}


def _pairs_of_group(root: Path, images: list[Path], maps: list[Path], places: Mapping[Path, _Place]) -> list[FilePair]:
    for paths in (images, maps):
        folders = {places[path.parent][1:]: path.parent for path in paths}
        for path in paths:
            if (other := folders[places[path.parent][1:]]) != path.parent:
                raise DataError(f"{path.parent}: {other} has the same meaning. Move one of these folders away.")
    return pairs_of_files(root, images, maps, (images[0].parent, maps[0].parent))


def _count(root: Path, files: list[Path]) -> str:
    """Count files, and give an example. Texts and, directly in `root`, files that are not pictures do not count."""
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    others = [path for path in files if path.suffix.lower() not in {*PICTURES, *_TEXTS} and path.parent != root]
    return f"{len(others + pictures)}, such as {(others + pictures)[0].relative_to(root)}" if others + pictures else ""
