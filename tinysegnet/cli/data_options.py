"""How every command that reads a data set loads it: the options for label maps, and the checks before anything else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from cyclopts import Group, Parameter
from tqdm import tqdm

from ..data import Dataset, Folder, InMemory, OneClass, Problem, open_dataset
from ..data.folders import Classes
from ..errors import DataError, SettingError
from ..runtime.settings import convert_fields

__all__ = ["LabelOptions", "Labels", "find_problems", "load_splits"]

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
        """The split; read is only what it takes to know its files and classes."""
        return open_dataset(data, split, ignore=self.ignore, classes=self.classes)

    def overridden(self, given: LabelOptions) -> LabelOptions:
        """These options, except where `given` differs from the defaults."""
        default = LabelOptions()
        chosen = {f.name: getattr(given, f.name) for f in fields(given)}
        return replace(self, **{name: value for name, value in chosen.items() if value != getattr(default, name)})

    def written(self) -> str:
        """As on the command line, with a space in front; empty for the defaults."""
        ignore = "" if self.ignore is None else f" --ignore {self.ignore}"
        one_class = "" if self.one_class is None else f" --one-class {shlex.quote(self.one_class)}"
        return ignore + ("" if self.classes == "merged" else f" --classes {self.classes}") + one_class

    def select(self, data: Dataset) -> Dataset:
        """The data with the one class against everything else, if one was named."""
        return data if self.one_class is None else OneClass(data, self.one_class)


Labels = Annotated[LabelOptions, Parameter(name="*", group=Group("Label maps", sort_key=2))]


def load_splits(
    data: str, splits: tuple[str, ...], limit: int | None = None, labels: LabelOptions | None = None
) -> list[Dataset]:
    """Splits that are ready: toy scenes drawn, every label of a folder checked.

    Args:
        data: "toy", or a folder.
        splits: Such as ("train", "val").
        limit: The largest number of pictures per split.
        labels: How to read the label maps.

    Raises:
        DataError: Files are bad; one line counts those of all splits.
    """
    labels = labels or LabelOptions()
    if limit is not None and limit < 1:
        raise SettingError(f"limit: {limit} (expected at least 1 picture)")
    opened = [labels.open(data, split) for split in splits]
    for dataset in opened:
        labels.select(dataset)  # refuses an unknown class before anything is read
    folders = [dataset for dataset in opened if isinstance(dataset, Folder)]
    _refuse(data, [problem for folder in folders for problem in find_problems(folder, limit)], labels)
    loaded = [
        dataset if dataset in folders and limit is None else _in_memory(dataset, split, limit)
        for dataset, split in zip(opened, splits, strict=True)
    ]
    return [labels.select(dataset) for dataset in loaded]


def _in_memory(dataset: Dataset, split: str, limit: int | None) -> Dataset:
    return InMemory(dataset, limit=limit, progress=_bar(f"loading {dataset.name} {split}"))


def find_problems(folder: Folder, limit: int | None = None) -> list[Problem]:
    """The files of a split that cannot be used, with a progress bar. limit: the number of pictures to check."""
    bar = _bar(f"checking {folder.name}")
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


def _bar(what: str) -> Any:
    return lambda loop: tqdm(loop, desc=what, unit="picture", leave=False, dynamic_ncols=True)
