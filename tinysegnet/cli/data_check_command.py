"""tinysegnet data check."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, SettingError
from ..files import write_atomically
from .data_options import LabelOptions, Labels, find_problems, progress_bar
from .options import FilePath, FolderPath, Json

if TYPE_CHECKING:
    from ..data import Folder
    from ..data.layouts import Layout
    from ..data.survey import SurveyedPair

Shares = dict[str, dict[str, float]]  # split -> class, or "void" -> share of all pixels


def run(
    folder: FolderPath, /, *, labels: Labels = LabelOptions(), sheet: FilePath | None = None, as_json: Json = False
) -> int:
    """Check a data set: read every picture and label map, describe the folder, and list all files that cannot be used.

    The table contains each class's share of the pixels. The exit code is 2 if a file cannot be used. It is 1 if all
    files can be used, but there are no pictures for training or validation.

    Args:
        folder: A folder with pictures and label maps.
        sheet: A PNG file for a contact sheet: pairs that look wrong, with the reason, and typical pairs.
    """
    from ..data import Folder
    from ..data.duplicates import shared_pictures
    from ..data.layouts import find_layout
    from ..data.survey import survey

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise SettingError(f"{sheet}: the contact sheet is a PNG file. Give a --sheet that ends in .png")
    layout = find_layout(folder)
    folders = [
        Folder(folder, split, ignore=labels.ignore, classes=labels.classes, layout=layout)
        for split in layout.splits
        if layout.splits[split]()
    ]
    if not folders:
        layout.pairs(next(iter(layout.splits)))  # raises a DataError that describes what is missing
    selected = [labels.select(split) for split in folders]
    problems = [problem for split in folders for problem in find_problems(split)]
    pairs = {
        split.split: survey(data, fits=sheet is not None, progress=progress_bar(f"counting {data.name}"))
        for split, data in zip(folders, selected, strict=True)
    }
    names = selected[0].palette.names
    shares = {split: _shares(found, names) for split, found in pairs.items()}
    missing, duplicates = _missing_splits(layout), shared_pictures(folders)
    suspicious = {} if sheet is None else _write_sheet(sheet, folder, [p for found in pairs.values() for p in found])
    if as_json:
        content = {
            **_as_dict(folders), "shares": shares, "missing_splits": missing, "duplicates": duplicates,
            "suspicious": [{"name": pair.name, "reason": reason} for pair, reason in suspicious.items()],
            "bad": [{"file": str(problem.file), "problem": problem.text} for problem in problems],
        }  # fmt: skip
        print(json.dumps(content))
    else:
        print(max(folders, key=lambda split: split.void_occurs).description)
        print("\n".join(["", *_table(shares), "", *_differences(shares), *duplicates, *(p.text for p in problems)]))
        if sheet is not None:
            print(f"{sheet}: {len(suspicious)} pairs look suspicious")
        usable = f"{len(problems)} files cannot be used" if problems else "all can be used"
        if missing and not problems:
            scored = f"tinysegnet evaluate CHECKPOINT --data {shlex.quote(str(folder))} --split {folders[0].split}"
            usable = (f"they can be scored ({scored}), but training is impossible, because there is no split "
                      f"{' and '.join(missing)}. Add it")  # fmt: skip
        print(f"{sum(map(len, folders))} pairs checked: {usable}")
    return 2 if problems else 1 if missing else 0


def _shares(pairs: list[SurveyedPair], names: tuple[str, ...]) -> dict[str, float]:
    pixels = sum(pair.pixels for pair in pairs) if pairs else [0] * (len(names) + 1)
    total = max(1, sum(pixels))
    return {name: float(count / total) for name, count in zip([*names, "void"], pixels, strict=True)}


def _table(shares: Shares) -> list[str]:
    """Return the lines of a table: for each class, its share of the pixels of each split in percent."""
    names = list(next(iter(shares.values())))
    if not any(classes["void"] for classes in shares.values()):
        names.remove("void")
    width = max(map(len, [*names, "% of the pixels"]))
    rows = [("% of the pixels", list(shares))]
    rows += [(name, [_percent(classes[name]) for classes in shares.values()]) for name in names]
    return [name.ljust(width) + "".join(cell.rjust(max(8, len(s) + 2)) for cell, s in zip(cells, shares, strict=True))
            for name, cells in rows]  # fmt: skip


def _percent(share: float) -> str:
    return "-" if not share else "< 0.1" if share < 0.0005 else f"{100 * share:.1f}"


def _differences(shares: Shares) -> list[str]:
    """Name the classes that occur in the training pictures but not in another split, and vice versa."""
    lines = []
    for split in shares if "train" in shares else ():
        for here, there in (("train", split), (split, "train")):
            absent = [
                name for name in shares[here] if name != "void" and shares[here][name] and not shares[there][name]
            ]
            if absent:
                lines.append(f"classes of {here} that do not occur in {there}: {', '.join(absent)}")
    return lines


def _missing_splits(layout: Layout) -> list[str]:
    """Return which of the splits that training needs the folder does not have."""
    missing = []
    for split in ("train", "val"):
        try:
            layout.pairs(split)
        except DataError:
            missing.append(split)
    return missing


def _write_sheet(path: Path, folder: Path, pairs: list[SurveyedPair]) -> dict[SurveyedPair, str]:
    from .. import viz
    from ..data.survey import suspicious

    found = suspicious(pairs, pairs[0].data.palette.names) if pairs else {}
    if pairs:
        sheet = viz.contact_sheet(folder.resolve().name, pairs, found)
        write_atomically(path, viz.picture_bytes(sheet))
    return found


def _as_dict(folders: list[Folder]) -> dict[str, Any]:
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
    }
