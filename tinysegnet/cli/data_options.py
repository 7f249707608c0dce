"""Loading data sets in commands: the options for label maps, and the checks before any other work."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from ..errors import DataError
from ..runtime.settings import convert_fields
from .options import check_folder

if TYPE_CHECKING:
    from ..data import Dataset, Folder, Problem

DataPath = Annotated[
    str,
    Parameter(metavar="DIR", validator=check_folder, help='"toy" for drawn street scenes, or a folder of pictures.'),
]
_NAMED = 3  # how many bad files an error names


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """How to read the label maps of a folder."""

    ignore: int | None = None
    """The value in label maps that means "not labelled". Default: inferred (a class called void, else 255)."""
    classes: Literal["merged", "all"] = "merged"
    """How to use CamVid's 32 classes: merged into the eleven of the SegNet papers, or all."""
    one_class: Annotated[str | None, Parameter(metavar="CLASS")] = None
    """The name of a class: the network separates it from everything else, as two classes."""

    def __post_init__(self) -> None:
        convert_fields(self)

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> LabelOptions:
        """Return the options in a run's config.json, or in a checkpoint's "training"."""
        return cls(**{f.name: saved[f.name] for f in fields(cls) if f.name in saved})

    def open(self, data: str, split: str) -> Dataset:
        """Open a split. Only its file list and classes are read."""
        from ..data import open_dataset

        return open_dataset(data, split, ignore=self.ignore, classes=self.classes)

    def written(self) -> str:
        """Return the options as on the command line, after a space; empty for the defaults."""
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return "".join(f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given)

    def select(self, data: Dataset) -> Dataset:
        """Return the data, as one class against everything else if a class was named."""
        from ..data import OneClass

        return data if self.one_class is None else OneClass(data, self.one_class)


Labels = Annotated[LabelOptions, Parameter(name="*", group=Group("Label maps", sort_key=2))]


def load_splits(
    data: str, splits: tuple[str, ...], limit: int | None = None, labels: LabelOptions = LabelOptions()
) -> list[Dataset]:
    """Load splits of at most `limit` pictures each: draw toy scenes, or check every label map of a folder.

    Raises DataError for bad files; one line counts the bad files of all splits.
    """
    from ..data import Folder, InMemory

    opened = [labels.open(data, split) for split in splits]
    selected = [labels.select(dataset) for dataset in opened]  # refuses an unknown class before files are read
    problems = [p for dataset in opened if isinstance(dataset, Folder) for p in find_problems(dataset, limit)]
    if problems:
        files = ", ".join(str(problem.file) for problem in problems[:_NAMED])
        named = problems[0].text if len(problems) == 1 else files + ", ..." * (len(problems) > _NAMED)
        raise DataError(f"{data}: files that cannot be used: {len(problems)} ({named}). "
                        f"List all of them: tinysegnet data check {shlex.quote(data)}{labels.written()}")  # fmt: skip
    if limit is None and data != "toy":
        return selected
    return [
        InMemory(dataset, limit=limit, progress=_bar(f"loading {dataset.name} {split}"))
        for dataset, split in zip(selected, splits, strict=True)
    ]


def find_problems(folder: Folder, limit: int | None = None) -> list[Problem]:
    """Return the files of a split that cannot be used. At most `limit` pictures are checked, with a progress bar."""
    bar = _bar(f"checking {folder.name}")
    return folder.problems(progress=lambda indices: bar(indices[:limit]))


def _bar(what: str) -> Any:
    from tqdm import tqdm

    return lambda loop: tqdm(loop, desc=what, unit="picture", leave=False, dynamic_ncols=True)
