"""tinysegnet data check, and what every command that reads a data set shares: its options and how it is loaded."""

from __future__ import annotations

import json
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tqdm import tqdm

from ..data import Dataset, Folder, InMemory, OneClass, Problem, open_dataset
from ..data.folders import Classes
from ..data.layouts import find_layout
from ..errors import DataError, SettingError
from ..runtime.settings import convert_fields
from .options import FolderPath

__all__ = ["Check", "LabelOptions", "load_split", "load_splits"]

_NAMED = 3  # how many bad files the one line of an error names


@dataclass(frozen=True)
class LabelOptions:
    """How the label maps of a folder are to be read."""

    ignore: int | None = None
    """The value in label maps that means "not labelled"; default: inferred (a class called void, else 255)."""
    classes: Classes = "merged"
    """For CamVid's 32 classes: merged to the eleven of the SegNet papers, or all."""
    one_class: str | None = None
    """The name of a class: the task is then where that is and where not, with two classes."""

    def __post_init__(self) -> None:
        convert_fields(self)

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> LabelOptions:
        """Those in a run's config.json, or in a checkpoint's "training"."""
        return cls(**{f.name: saved[f.name] for f in fields(cls) if f.name in saved})

    def open(self, data: str, split: str) -> Dataset:
        """The split, nothing read yet but what it takes to know files and classes."""
        return open_dataset(data, split, ignore=self.ignore, classes=self.classes)

    def overridden(self, given: LabelOptions) -> LabelOptions:
        """These, but for what is given: what differs from the defaults."""
        default = LabelOptions()
        chosen = {f.name: getattr(given, f.name) for f in fields(given)}
        return replace(self, **{name: value for name, value in chosen.items() if value != getattr(default, name)})

    def written(self) -> str:
        """As on the command line, with a space in front; empty for the defaults."""
        ignore = "" if self.ignore is None else f" --ignore {self.ignore}"
        one_class = "" if self.one_class is None else f" --one-class {shlex.quote(self.one_class)}"
        return ignore + ("" if self.classes == "merged" else f" --classes {self.classes}") + one_class

    def select(self, data: Dataset) -> Dataset:
        """With the one class only, if one was named."""
        return data if self.one_class is None else OneClass(data, self.one_class)


def load_split(data: str, split: str, limit: int | None = None, labels: LabelOptions | None = None) -> Dataset:
    """A split that is ready: toy scenes drawn, every label of a folder checked. limit: at most so many pictures."""
    return load_splits(data, (split,), limit, labels)[0]


def load_splits(
    data: str, splits: tuple[str, ...], limit: int | None = None, labels: LabelOptions | None = None
) -> list[Dataset]:
    """As `load_split`, several at once: if files are bad, one DataError counts those of all of them."""
    labels = labels or LabelOptions()
    if limit is not None and limit < 1:
        raise SettingError(f"limit: {limit} (expected at least 1 picture)")
    opened = [labels.open(data, split) for split in splits]
    for dataset in opened:
        labels.select(dataset)  # refuses a class that there is not, before anything is read
    with _spoken_warnings():
        folders = [dataset for dataset in opened if isinstance(dataset, Folder)]
        _refuse(data, [problem for folder in folders for problem in _problems(folder, limit)], labels)
        loaded = [dataset if dataset in folders and limit is None else _in_memory(dataset, split, limit)
                  for dataset, split in zip(opened, splits, strict=True)]  # fmt: skip
    return [labels.select(dataset) for dataset in loaded]


def _in_memory(dataset: Dataset, split: str, limit: int | None) -> Dataset:
    return InMemory(dataset, limit=limit, progress=_bar(f"loading {dataset.name} {split}", "picture"))


def _problems(folder: Folder, limit: int | None = None) -> list[Problem]:
    bar = _bar(f"checking {folder.name}", "picture")
    return folder.problems(progress=lambda indices: bar(indices[:limit]))


def _refuse(data: str, problems: list[Problem], labels: LabelOptions) -> None:
    """One line for all bad files, if there are any."""
    if not problems:
        return
    named = "; ".join(problem.text for problem in problems) if len(problems) == 1 else _first(problems)
    raise DataError(f"{data}: files that cannot be used: {len(problems)} ({named}). "
                    f"To see all of them: tinysegnet data check {shlex.quote(data)}{labels.written()}")  # fmt: skip


def _first(problems: list[Problem]) -> str:
    names = [str(problem.file) for problem in problems[:_NAMED]]
    return ", ".join([*names, "..."] if len(problems) > _NAMED else names)


def _bar(what: str, unit: str) -> Any:
    return lambda loop: tqdm(loop, desc=what, unit=unit, leave=False, dynamic_ncols=True)


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    """Warnings as lines on stderr, each once, instead of Python's two with a place in the source."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            for text in dict.fromkeys(str(warning.message) for warning in caught):
                print(f"warning: {text}", file=sys.stderr)


@dataclass(frozen=True)
class Check:
    """Read every picture and label map of a folder; say what the folder is, and list all files that cannot be used."""

    data: FolderPath
    """The folder."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    json: bool = False
    """Print one JSON object instead of lines."""

    def run(self) -> int:
        layout = find_layout(self.data)
        folders = [
            Folder(self.data, split, ignore=self.labels.ignore, classes=self.labels.classes, layout=layout)
            for split in layout.splits
            if layout.splits[split]()
        ]
        if not folders:
            layout.pairs(next(iter(layout.splits)))  # says that there are no pairs
        self.labels.select(folders[0])
        with _spoken_warnings():
            problems = [problem for folder in folders for problem in _problems(folder)]
        print(json.dumps(_as_dict(folders, problems)) if self.json else _as_text(folders, problems))
        return 2 if problems else 0


def _as_text(folders: list[Folder], problems: list[Problem]) -> str:
    pairs = sum(map(len, folders))
    summary = f"{len(problems)} files cannot be used" if problems else "all can be used"
    return "\n".join([folders[0].description, *(p.text for p in problems), f"{pairs} pairs checked: {summary}"])


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
