"""tinysegnet data, data crops, data baselines, data scenes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image
from tqdm import tqdm

from .. import viz
from ..data import CAMVID, labelled_images, make_crops
from ..data.crops import write_classes
from ..data.toyscenes import ToyScenes
from ..metrics import baselines
from ..runtime.settings import check_at_least
from .data_command import Check, LabelOptions, load_splits
from .options import FolderPath

__all__ = ["COMMANDS", "Baselines", "Crops", "Data", "Scenes"]

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Crops:
    """Make a small data set out of a large one: random crops, or whole pictures scaled down."""

    data: FolderPath
    """A folder with pictures and label maps: `tinysegnet data check DIR`."""
    out: Path
    """A new folder for the result, in the layout of the SegNet tutorial's CamVid, with a classes.txt for others."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    size: tuple[int, int] = (96, 128)
    """Height and width of the new pictures."""
    whole: bool = False
    """Scale whole pictures down, which keeps the shares of the classes, instead of cropping."""
    per_picture: int = 4
    """Crops of each picture."""
    seed: int = 0
    """Of the crops' places."""

    def run(self) -> int:
        check_at_least(self, per_picture=1, seed=0, size=1)
        splits = dict(zip(SPLITS, load_splits(str(self.data), SPLITS, labels=self.labels), strict=True))
        with tqdm(unit="picture", leave=False, dynamic_ncols=True) as bar:
            counts = make_crops(splits, self.size, self.out, crops_per_picture=self.per_picture, whole=self.whole,
                                seed=self.seed, progress=lambda done, total: _advance(bar, done, total))  # fmt: skip
        print(f"{self.out}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))
        return 0


def _advance(bar: tqdm, done: int, total: int) -> None:
    bar.total, bar.n = total, done
    bar.refresh()


@dataclass(frozen=True)
class Baselines:
    """What place alone, colour alone, and both together reach on a data set: what a network has to beat."""

    data: str = "toy"
    """"toy", or a folder."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    limit: int | None = None
    """Use only so many pictures of each split."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def run(self) -> int:
        train, val = load_splits(self.data, SPLITS, self.limit, self.labels)
        palette = train.palette
        found = baselines(labelled_images(train), labelled_images(val), palette.names, palette.ignore_label)
        if self.json:
            print(json.dumps({name: scores.as_dict() for name, scores in found.items()}))
            return 0
        for name, scores in found.items():
            print(f"{name:<20}  G {scores.G:.3f}  C {scores.C:.3f}  mIoU {scores.mIoU:.3f}")
        return 0


@dataclass(frozen=True)
class Scenes:
    """Draw toy street scenes and their labels: a data set to look at, to predict, to train on."""

    out: Path
    """A folder for images/, labels/, overlays/ and classes.txt; made if it is missing."""
    count: int = 10
    """How many."""
    seed: int = 0
    """Another seed, other streets."""
    size: tuple[int, int] = (96, 128)
    """Height and width."""

    def run(self) -> int:
        check_at_least(self, count=1, seed=0, size=16)
        for folder in (self.out, *(self.out / name for name in ("images", "labels", "overlays"))):
            folder.mkdir(parents=True, exist_ok=True)
        write_classes(self.out / "classes.txt", CAMVID)
        for sample in map(ToyScenes(self.count, seed=self.seed, size=self.size).__getitem__, range(self.count)):
            name = f"{sample.name}.png"
            Image.fromarray(sample.image).save(self.out / "images" / name)
            Image.fromarray(sample.labels).save(self.out / "labels" / name)
            viz.labelled_picture(sample.image, sample.labels, CAMVID).save(self.out / "overlays" / name)
        print(self.out)
        return 0


COMMANDS: dict[str, type] = {"check": Check, "crops": Crops, "baselines": Baselines, "scenes": Scenes}


@dataclass(frozen=True)
class Data:
    """Make and examine data sets."""

    command: (
        Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Crops, tyro.conf.subcommand("crops")]
        | Annotated[Baselines, tyro.conf.subcommand("baselines")]
        | Annotated[Scenes, tyro.conf.subcommand("scenes")]
    )

    def run(self) -> int:
        return self.command.run()
