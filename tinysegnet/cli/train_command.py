"""tinysegnet train."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .. import runtime
from ..data import Dataset, Folder, OneClass
from ..errors import DataError, SettingError
from ..models import PREPROCESSING, Network, build, models
from ..runtime.settings import convert
from ..training.loop import fit
from ..training.recipes import Recipe, papers
from ..training.run_folder import RunFolder, read_config
from ..weights.encoders import encoder_preprocessing, load_encoder
from .data_command import LabelOptions, load_splits

__all__ = ["RECIPES", "Train"]

RECIPES = ("default", *papers)

if TYPE_CHECKING:  # the names are known at run time only
    ModelName = str
    RecipeName = str
    PreprocessingName = str
else:
    ModelName = Annotated[
        Literal[tuple(models)], tyro.conf.arg(metavar="MODEL", help=f"Which network: {', '.join(models)}.")
    ]
    RecipeName = Literal[RECIPES]
    PreprocessingName = Literal["own", *PREPROCESSING]

SAVED_OPTIONS = (
    "data", "recipe", "model", "width", "preprocessing", "encoder", "limit", "threads", "deterministic",
)  # fmt: skip


@dataclass(frozen=True)
class Train:
    """Train a network, and write checkpoints, curves, overlays and a report to runs/NAME/.

    The defaults depend on --data and --recipe: `tinysegnet train --data DIR --help` shows those for your pictures, and
    `tinysegnet train --recipe paper-basic --help` those of SegNet-Basic's authors.
    """

    data: str = "toy"
    """"toy" for drawn street scenes, or a folder with pictures and label maps: `tinysegnet data check DIR`."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    recipe: RecipeName = "default"
    """Where the defaults of the options come from: the data, or the paper's authors; the latter choose --model, too."""
    model: ModelName = "tiny"
    """Which network."""
    width: float = 1.0
    """A factor on the channels of every stage."""
    preprocessing: PreprocessingName = "own"
    """What the first layer does to a picture; own: as the network's description has it, or as the --encoder expects."""
    encoder: Path | None = None
    """A file with a trained VGG16 to start --model vgg16 from: torchvision's .pth, Keras's .h5, or .safetensors."""
    name: str | None = None
    """Of the run's folder; default: data, model, date and time."""
    runs: Path = Path("runs")
    """Where the runs are."""
    limit: int | None = None
    """Use only so many pictures of each split, to try things out."""
    threads: int | None = None
    """How many processor cores to use; default: all."""
    deterministic: bool = False
    """The same bits whatever the number of threads; the kernels give them anyway, NumPy's products need one thread."""
    resume: Path | None = None
    """The folder of a run that was stopped: go on with its data, network and recipe; nothing else can be given."""
    settings: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)

    def run(self) -> int:
        return self._train() if self.resume is None else self._as_begun(self.resume)._train()

    def _as_begun(self, path: Path) -> Train:
        """The options that the run was begun with, from its config.json."""
        config = read_config(path)
        own = {name: config[name] for name in SAVED_OPTIONS if name in config}
        own.setdefault("preprocessing", "scaled")  # the only one there was when configs did not name it
        settings = {f.name: config[f.name] for f in fields(Recipe) if f.name in config}
        try:
            own["limit"] = convert("limit", own.get("limit"), int | None)
            return replace(self, **own, labels=LabelOptions.of(config), settings=Recipe(**settings))
        except (TypeError, SettingError) as error:
            raise DataError(f"{path / 'config.json'}: not what `train` wrote: {error}. Start a new run") from error

    def _train(self) -> int:
        if self.name is not None:
            _demand_name(self.name)
        if self.threads is not None:
            runtime.set_threads(self.threads)
        if self.deterministic:
            runtime.single_threaded_blas()
        if self.encoder is not None and self.resume is None:
            encoder_preprocessing(self.encoder)  # a wrong file is refused before the pictures are read
        train, val = load_splits(self.data, ("train", "val"), self.limit, self.labels)
        folder = self._folder(train)
        model = folder.resumed.model if folder.resumed else self._new_model(train.palette.num_classes)
        _tell(train)
        print(f"{self.model}, {model.num_parameters:,} parameters; {len(train)} pictures of {train.name} to train on, "
              f"{len(val)} to validate")  # fmt: skip
        if folder.resumed:
            print(f"going on from {folder.path / 'last.safetensors'}, step {folder.resumed.progress['step']}")
        result = fit(model, train, val, recipe=self.settings, run=folder)
        from ..report.run_report import write_report  # and matplotlib with it, when there is something to draw

        page = write_report(folder, model, train, val, result)
        if result.scores:
            print(result.scores.table())
        print(f"trained for {result.seconds:.0f} s\nreport: {page}")
        return 0

    def _new_model(self, num_classes: int) -> Network:
        """With random weights, but those of --encoder in its encoder, which takes pictures as it did before.

        For two classes the article's network has one logit, as in the articles.
        """
        channels = 1 if self.model == "article" and num_classes == 2 else num_classes
        preprocessing = None if self.preprocessing == "own" else self.preprocessing
        if self.encoder is not None and preprocessing is None:
            preprocessing = encoder_preprocessing(self.encoder)
        model = build(self.model, channels, seed=self.settings.seed, width=self.width, preprocessing=preprocessing)
        if self.encoder is not None:
            print(load_encoder(model, self.encoder))
        return model

    def _folder(self, train: Dataset) -> RunFolder:
        if self.resume is not None:
            return RunFolder.resume(self.resume)
        return RunFolder(self.runs / (self.name or self._default_name()), self._config(), train.palette)

    def _config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in SAVED_OPTIONS}
        config["encoder"] = None if self.encoder is None else str(self.encoder)
        return {**config, **asdict(self.labels), **asdict(self.settings)}

    def _default_name(self) -> str:
        return f"{Path(self.data).resolve().name}-{self.model}-{time.strftime('%Y%m%d-%H%M%S')}"


def _demand_name(name: str) -> None:
    if name in ("", ".", "..") or set(name) & set("/\\\0") or len(os.fsencode(name)) > 255:
        raise SettingError(f"--name {name!r} (expected a name of a folder, not a path). Choose where with --runs")


def _tell(data: Dataset) -> None:
    """What was inferred of a folder."""
    whole = data.data if isinstance(data, OneClass) else data
    if isinstance(whole, Folder):
        print(whole.description)
