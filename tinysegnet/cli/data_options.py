"""Loading data sets in commands: the options for label maps, and the checks before all other work."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from cyclopts import Group, Parameter
from tqdm import tqdm

from ..data import Dataset, Folder, InMemory, OneClass, Problem, open_dataset
from ..data.folders import Classes
from ..errors import DataError
from ..runtime.settings import convert_fields

_NAMED = 3  # how many bad files the one line of an error names


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """How to read the label maps of a folder."""

    ignore: int | None = None
    """The value in label maps that means "not labelled". Default: inferred (a class called void, else 255)."""
    classes: Classes = "merged"
    """For CamVid's 32 classes: merged into the eleven of the SegNet papers, or all."""
    one_class: str | None = None
    """The name of a class: the task becomes this class against everything else, with two classes."""

    def __post_init__(self) -> None:
        convert_fields(self)

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> LabelOptions:
        """The options in a run's config.json, or in a checkpoint's "training"."""
        return cls(**{f.name: saved[f.name] for f in fields(cls) if f.name in saved})

    def open(self, data: str, split: str) -> Dataset:
        """The split. Only its file list and classes are read."""
        return open_dataset(data, split, ignore=self.ignore, classes=self.classes)

    def written(self) -> str:
        """The options as on the command line, after a space; empty for the defaults."""
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return "".join(f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given)

    def select(self, data: Dataset) -> Dataset:
        """The data with the one class against everything else, if one was named."""
        return data if self.one_class is None else OneClass(data, self.one_class)


Labels = Annotated[LabelOptions, Parameter(name="*", group=Group("Label maps", sort_key=2))]


def load_splits(
    data: str, splits: tuple[str, ...], limit: int | None = None, labels: LabelOptions = LabelOptions()
) -> list[Dataset]:
    """Load splits of at most `limit` pictures each: draw toy scenes, check every label of a folder.

    Raises DataError for bad files; one line counts those of all splits.
    """
    opened = [labels.open(data, split) for split in splits]
    selected = [labels.select(dataset) for dataset in opened]  # refuses an unknown class before files are read
    problems = [p for dataset in opened if isinstance(dataset, Folder) for p in find_problems(dataset, limit)]
    if problems:
        files = ", ".join(str(problem.file) for problem in problems[:_NAMED])
        named = problems[0].text if len(problems) == 1 else files + ", ..." * (len(problems) > _NAMED)
        raise DataError(f"{data}: files that cannot be used: {len(problems)} ({named}). "
                        f"To see all of them: tinysegnet data check {shlex.quote(data)}{labels.written()}")  # fmt: skip
    if limit is None and data != "toy":
        return selected
    return [
        InMemory(dataset, limit=limit, progress=_bar(f"loading {dataset.name} {split}"))
        for dataset, split in zip(selected, splits, strict=True)
    ]


def find_problems(folder: Folder, limit: int | None = None) -> list[Problem]:
    """The files of a split that cannot be used, with a progress bar. limit: the number of pictures to check."""
    bar = _bar(f"checking {folder.name}")
    return folder.problems(progress=lambda indices: bar(indices[:limit]))


def _bar(what: str) -> Any:
    return lambda loop: tqdm(loop, desc=what, unit="picture", leave=False, dynamic_ncols=True)
