"""The options for label maps, and the loading of data sets, whose files are checked before any other work."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from ..errors import DataError
from ..runtime.progress import track
from ..runtime.settings import convert_fields
from .distributed_job import ranks_of_command
from .options import check_folder

if TYPE_CHECKING:
    from ..data import Dataset, Folder

PaletteChoice = Annotated[Literal["own", "safe"], Parameter(help=(
    'The colours of the classes: their own, or "safe" ones, which people with any colour vision can tell apart.'
))]  # fmt: skip
DataPath = Annotated[str, Parameter(metavar="DIR", validator=check_folder)]


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """The options for reading the label maps of a folder."""

    ignore: int | None = None
    """The value in label maps that means "not labelled". Default: the value of a class called void, else 255."""
    classes: Literal["merged", "all"] = "merged"
    """Whether CamVid's 32 classes are merged into the eleven of the SegNet papers, or all are used."""
    one_class: Annotated[str | None, Parameter(metavar="CLASS")] = None
    """The name of a class that the network separates from everything else, as two classes."""
    palette: PaletteChoice = "own"

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
        """Return the options as they are written on the command line, each after a space. Defaults are left out."""
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return "".join(f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given)

    def select(self, data: Dataset) -> Dataset:
        """Return the data with the chosen colours. If one class was chosen, the others become one."""
        from ..data import OneClass

        selected = data if self.one_class is None else OneClass(data, self.one_class)
        selected.palette = selected.palette.with_colors(self.palette)
        return selected


Labels = Annotated[LabelOptions, Parameter(name="*", group=Group("Label maps", sort_key=2))]


def load_splits(
    data: str, splits: tuple[str, ...], limit: int | None = None, labels: LabelOptions = LabelOptions()
) -> list[Dataset]:
    """Load splits of at most `limit` pictures each. Toy scenes are drawn, and every label map of a folder is checked.
    Several processes share the checks.

    Warns about repeated pictures and doubtful rotations. Raises DataError with the number of bad files in all splits.
    """
    from ..data import Folder, InMemory
    from ..data.plausibility import doubtful_rotations, shared_pictures

    ranks = ranks_of_command()
    opened = [labels.open(data, split) for split in splits]
    selected = [labels.select(dataset) for dataset in opened]  # an unknown class is refused before files are read
    own = [p for dataset in opened if isinstance(dataset, Folder)
           for p in find_problems(dataset, limit, slice(ranks.rank, None, ranks.size))]  # fmt: skip
    problems = [problem for found in ranks.allgather(own) for problem in found]
    if problems:
        count = f"{data}: files that cannot be used: {len(problems)}"
        raise DataError(f"{count}. {problems[0]} List all: tinysegnet data check {shlex.quote(data)}"
                        + labels.written())  # fmt: skip
    folders = [dataset for dataset in opened if isinstance(dataset, Folder)] if ranks.rank == 0 else []
    for line in (*shared_pictures(folders), *doubtful_rotations(folders)):
        warnings.warn(line, UserWarning, stacklevel=2)
    if limit is None and data != "toy":
        return selected
    return [
        InMemory(dataset, limit=limit, progress=track(f"loading the split {split}"))
        for dataset, split in zip(selected, splits, strict=True)
    ]


def count_pictures(dataset: Dataset, kind: str = "") -> str:
    """Return the number of pictures as text, such as "1 picture" or "12 training pictures"."""
    return " ".join(filter(None, [str(len(dataset)), kind, "picture" if len(dataset) == 1 else "pictures"]))


def data_name(data: str) -> str:
    """Return the value of --data as the output names it."""
    return "toy scenes" if data == "toy" else data


def find_problems(folder: Folder, limit: int | None = None, own: slice = slice(None)) -> list[str]:
    """Return a line about each bad file of a split. Of the first `limit` pictures, the `own` ones are checked, with a
    progress bar."""
    bar = track("checking pictures")
    return folder.problems(progress=lambda indices: bar(indices[:limit][own]))
