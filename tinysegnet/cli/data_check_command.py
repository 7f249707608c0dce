"""tinysegnet data check."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .data_options import LabelOptions, Labels, find_problems
from .options import FolderPath, Json

if TYPE_CHECKING:
    from ..data import Folder, Problem


def run(folder: FolderPath, /, *, labels: Labels = LabelOptions(), as_json: Json = False) -> int:
    """Check a data set: read every picture and label map, describe the folder, and list all files that cannot be used.

    The exit code is 2 if a file cannot be used.

    Args:
        folder: A folder with pictures and label maps.
    """
    from ..data import Folder
    from ..data.layouts import find_layout

    layout = find_layout(folder)
    folders = [
        Folder(folder, split, ignore=labels.ignore, classes=labels.classes, layout=layout)
        for split in layout.splits
        if layout.splits[split]()
    ]
    if not folders:
        layout.pairs(next(iter(layout.splits)))  # raises a DataError that describes what is missing
    labels.select(folders[0])
    problems = [problem for split in folders for problem in find_problems(split)]
    print(json.dumps(_as_dict(folders, problems)) if as_json else _as_text(folders, problems))
    return 2 if problems else 0


def _as_text(folders: list[Folder], problems: list[Problem]) -> str:
    pairs = sum(map(len, folders))
    summary = f"{len(problems)} files cannot be used" if problems else "all can be used"
    description = max(folders, key=lambda folder: folder.void_occurs).description
    return "\n".join([description, *(p.text for p in problems), f"{pairs} pairs checked: {summary}"])


def _as_dict(folders: list[Folder], problems: list[Problem]) -> dict[str, Any]:
    first = folders[0]
    return {
        "data": str(first.root),
        "layout": first.layout.title,
        "note": first.layout.note,
        "splits": {folder.split: len(folder) for folder in folders},
        "classes": list(first.palette.names),
        "classes_from": first.source,
        "allowed": first.label_encoding.allowed(),
        "ignore_label": first.palette.ignore_label,
        "bad": [{"file": str(problem.file), "problem": problem.text} for problem in problems],
    }
