"""Converting annotations of labelme and COCO to label maps in a plain folder."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...files import kind_of
from ..class_lists import find_class_list
from ..pairs import files_below, files_of, folded, inside
from .coco import read_coco
from .labelme import read_labelme
from .plain_folder import Drawing, Imported, number_classes, write_plain_folder

_KINDS = {"annotations", "images", "labels", "json"}  # folders with these names are not splits


def import_annotations(
    source: str | PathLike[str], out: str | PathLike[str], *, progress: Callable[[list[Drawing]], Iterable[Any]] = iter
) -> Imported:
    """Convert annotations to a folder with images/, labels/ and classes.txt. Later shapes cover earlier ones.

    Args:
        source: a JSON file, or a folder with JSON files. Several folders or COCO files become splits. Files outside
            the folder are not read.
        out: a new or empty folder. The files are written to `out`.part, which is renamed to `out` at the end.
        progress: a function that wraps the loop over the pictures, such as tqdm.

    Raises:
        DataError: nothing can be imported, or the annotations are ambiguous.
    """
    source, imported = Path(source), Imported(Path(source))
    root = source if source.is_dir() else source.parents[source.parent.name == "annotations"]
    paths = [source] if source.is_file() else _json_files(source, imported)
    drawings: list[Drawing] = []
    formats = set()
    for path in paths:
        with imported.attempt(path):
            if not inside(path, root):
                raise DataError(f"{path}: the link points outside {root}. Copy the file into the folder.")
            if (kind := kind_of(path)).endswith(("archive", "picture", "device")):
                raise DataError(f"{path}: this is {kind}, not a JSON file. Give a JSON file or an unzipped folder.")
            record = json.loads(path.read_text(encoding="utf-8-sig"))
            if "shapes" in record:
                drawings.append(read_labelme(path, record, root, _split(path, root, "other"), imported))
                formats.add("labelme")
            elif "annotations" in record and "images" in record:
                drawings += read_coco(path, record, root, _split(path, root, path.stem), imported)
                formats.add("COCO")
            else:
                imported.dropped["JSON files of other kinds"] += 1
    if len(formats) > 1:
        raise DataError(f"{source}: there are annotations of both labelme and COCO. Give a folder with one format.")
    if 0 < imported.largest <= 1:
        raise DataError(f"{source}: coordinates lie between 0 and 1, so they may be relative. Export them in pixels.")
    labels, listed = sorted({label for drawing in drawings for label, _ in drawing.shapes}), None
    if categories := imported.categories:
        groups = {group for _, group, _ in categories.values()}
        if 0 in categories and categories[0][0] in groups and categories[0][0] not in labels:  # as in Roboflow's files
            imported.dropped["unused category that only names the group of the others"] += 1
            del categories[0]
        labels = [categories[number][0] for number in sorted(categories)]
    else:
        listed = find_class_list([root])
        imported.annotated &= {*listed.names} if listed else imported.annotated
        pictures = [file for folder in {path.parent for path in paths} for file in files_of(folder)]
        imported.dropped["pictures without a JSON file"] = len({p.with_suffix(".json") for p in pictures} - {*paths})
    colors = number_classes(source, labels, listed)
    for label, other in () if listed or categories else pairwise(sorted(colors, key=folded)):
        if folded(label) == folded(other):
            raise DataError(f"{source}: the labels {label!r} and {other!r} differ only in case. Rename one of them.")
    write_plain_folder(Path(out), drawings, progress, colors, imported)
    return imported


def _json_files(folder: Path, imported: Imported) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such file or folder. Correct the path.")
    found = [path for path in files_below(folder, 2) if path.suffix.lower() == ".json"]
    found.sort(key=lambda path: (len(path.parts), path))
    instances = [path for path in found if path.name.startswith("instances_")]
    if instances:  # COCO's other files, such as captions_*.json, describe the same pictures
        imported.dropped["JSON files other than instances_*.json"] = len(found) - len(instances)
    return instances or found


def _split(path: Path, root: Path, other: str) -> str:
    """Return the split of a JSON file: "train" for instances_train2017.json or train/_annotations.coco.json."""
    folders = [part for part in path.relative_to(root).parts[:-1] if part.lower() not in _KINDS]
    name = path.stem.removeprefix("instances_") if path.stem.startswith("instances_") else (folders or [other])[-1]
    return re.sub(r"[^\w-]+", "_", re.sub(r"(?<=\D)(19|20)\d\d$", "", name)).lower()
