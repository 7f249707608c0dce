"""tinysegnet train, evaluate."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tqdm import tqdm

from .. import backend, checkpoint
from ..data import Dataset, Folder
from ..errors import DataError
from ..models import build, models
from ..predict import evaluate
from ..runs import RunFolder
from ..train import Recipe, fit
from .datasets import LabelOptions, load_split, load_splits

__all__ = ["Evaluate", "Train"]

if TYPE_CHECKING:  # the names are known at run time only
    ModelName = str
else:
    ModelName = Literal[tuple(models)]


@dataclass(frozen=True)
class Train:
    """Train a network, and write checkpoints, curves, overlays and a report to runs/NAME/.

    The defaults of the recipe depend on --data: `tinysegnet train --data DIR --help` shows those for your pictures.
    """

    data: str = "toy"
    """"toy" for drawn street scenes, or a folder with pictures and label maps: `tinysegnet data check DIR`."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    model: ModelName = "tiny"
    """Which network."""
    width: float = 1.0
    """A factor on the channels of every stage."""
    name: str | None = None
    """Of the run's folder; default: data, model, date and time."""
    runs: Path = Path("runs")
    """Where the runs are."""
    limit: int | None = None
    """Use only so many pictures of each split, to try things out."""
    threads: int | None = None
    """How many processor cores to use; default: all."""
    recipe: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)

    def run(self) -> int:
        if self.threads:
            backend.set_threads(self.threads)
        train, val = load_splits(self.data, ("train", "val"), self.limit, self.labels)
        model = build(self.model, train.palette.num_classes, seed=self.recipe.seed, width=self.width)
        folder = RunFolder(self.runs / (self.name or self._default_name()), self._config(), train.palette)
        _tell(train)
        print(f"{self.model}, {model.num_parameters:,} parameters; {len(train)} pictures of {train.name} to train on, "
              f"{len(val)} to validate")  # fmt: skip
        result = fit(model, train, val, recipe=self.recipe, run=folder)
        print(result.scores and result.scores.table())
        print(f"trained for {result.seconds:.0f} s\nreport: {folder.path / 'report.html'}")
        return 0

    def _config(self) -> dict[str, Any]:
        config = {"data": self.data, "model": self.model, "width": self.width, "limit": self.limit}
        return {**config, **asdict(self.labels), **asdict(self.recipe)}

    def _default_name(self) -> str:
        return f"{Path(self.data).resolve().name}-{self.model}-{time.strftime('%Y%m%d-%H%M%S')}"


def _tell(data: Dataset) -> None:
    """What was inferred of a folder."""
    if isinstance(data, Folder):
        print(data.description)


@dataclass(frozen=True)
class Evaluate:
    """Score a trained network on labelled pictures: G, C, mIoU and every class, at the labels' own resolution."""

    checkpoint: tyro.conf.Positional[Path]
    """A .safetensors file that `train` wrote."""
    data: str = "toy"
    """"toy", or a folder."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    split: str = "val"
    """Which part of it."""
    limit: int | None = None
    """Use only so many pictures."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def run(self) -> int:
        loaded = checkpoint.read(self.checkpoint)
        data = load_split(self.data, self.split, self.limit, self.labels)
        _demand_classes(loaded.model.config["num_classes"], data)
        scores = evaluate(loaded.model, data, size=loaded.size, progress=_counted(len(data)))
        print(json.dumps({**scores.as_dict(), "images": len(data)}) if self.json else scores.table())
        return 0


def _demand_classes(num_classes: int, data: Dataset) -> None:
    found = data.palette.num_classes
    if found != num_classes:
        raise DataError(f"{data.name}: {found} classes (expected the network's {num_classes})."
                        " Choose the data it was trained for, or --classes and --ignore as then")  # fmt: skip


def _counted(total: int) -> Any:
    return lambda loop: tqdm(loop, total=total, desc="evaluating", unit="picture", leave=False, dynamic_ncols=True)
