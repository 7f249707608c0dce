"""tinysegnet train."""

import os
import shlex
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import DataError, SettingError, did_you_mean
from ..runtime.settings import convert
from ..training.recipes import Recipe, validation_interval
from .data_options import LabelOptions, count_pictures, data_name, load_splits
from .distributed_job import Distributed, ranks_of_command
from .options import FilePath, OutFolder, RunFolderPath
from .training_options import NetworkOptions

if TYPE_CHECKING:
    from ..data import Dataset
    from ..models import Network
    from ..training.run_folder import RunFolder

HIDDEN = ()  # settings that are no options
SAVED_OPTIONS = ("data", "recipe", "model", "width", "preprocessing", "encoder", "limit", "threads", "deterministic")
MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, kw_only=True)
class Train(NetworkOptions):
    """Train a network, and write checkpoints, curves, overlays and a report to runs/NAME/.

    The defaults depend on --data and --recipe: `tinysegnet train --recipe paper-basic --help` shows the settings of
    SegNet-Basic's authors. A run's config.json contains those that were chosen for your pictures.
    """

    name: Annotated[str | None, Parameter(metavar="NAME")] = None
    """The name of the run's folder. Default: the data, model, date and time."""
    runs: OutFolder = Path("runs")
    """The folder in which the run's folder is created."""
    minutes: float | None = None
    """Choose the number of epochs such that training takes about this long, from the time of a few steps."""
    config: FilePath | None = None
    """A run's config.json, or a TOML file with names of options, whose values are the defaults of the other options."""
    resume: RunFolderPath | None = None
    """Continue the run in this folder, with its data, network and recipe. Only --epochs, --patience, --open,
    --quiet and --distributed may be given.
    --epochs continues a finished run too: the learning rate follows the schedule of the longer run from this step on,
    so with --schedule constant, the weights are those of a run with as many epochs from the start."""
    distributed: Distributed = False
    open: bool = False
    """Open the report in the web browser when it first exists. It is refreshed during the training."""
    quiet: bool = False
    """Show no progress. Results and warnings are still printed."""

    def run(self, settings: Any) -> int:
        """Train with these settings of the recipe."""
        from ..training.pictures import shortcomings
        from ..training.time_budget import epochs_within

        if self.minutes is not None and not 0 < self.minutes <= MOST_MINUTES:
            raise SettingError(f"--minutes {self.minutes:g} is out of range. Give a number above 0, at most "
                               f"{MOST_MINUTES} (a week)")  # fmt: skip
        if self.resume is not None:
            return self._resume(self.resume, settings)
        if self.name is not None:
            _check_name(self.name)
        if self.distributed:
            if self.minutes is not None or settings.reduction == "batch":
                given = "--minutes" if self.minutes is not None else "--reduction batch"
                raise SettingError(f"train: --distributed and {given} cannot be combined. Leave out one of the two")
            settings = replace(settings, reduction="tree")
        options, recipe = self.prepared(), self.chosen_recipe(settings)
        train, val = load_splits(self.data, ("train", "val"), self.limit, self.labels)
        folder = options._folder(train, val)
        model = options.new_model(train.palette, recipe.seed)
        options._describe(model, train, val)
        if recipe.freeze_encoder and self.from_ is None and self.encoder is None:
            print("note: --freeze-encoder keeps random weights, because neither --from nor --encoder is given")
        for line in shortcomings(train, val, ranks_of_command()):
            print(f"note: {line}")
        if self.minutes is not None:
            epochs, line = epochs_within(self.minutes, model, train, val, recipe, settings.validate_every)
            recipe = replace(recipe, epochs=epochs, iterations=None)
            print(line)
        fitted = self.minutes is not None or (self.recipe == "default" and self.data != "toy")
        if fitted and settings.validate_every is None:
            recipe = replace(recipe, validate_every=validation_interval(recipe.epochs))
        folder.config |= asdict(recipe)
        return _train(folder, model, train, val, recipe, self.open)

    def _resume(self, path: Path, settings: Any) -> int:
        from ..training.pictures import fingerprint
        from ..training.run_folder import RunFolder

        plan = {name: getattr(settings, name) for name in ("epochs", "patience")}
        Recipe(**{name: value for name, value in plan.items() if value is not None})  # checks the numbers
        folder = RunFolder.resume(path, **plan)
        options, recipe = self._as_begun(path, folder.config)
        if self.distributed and recipe.reduction != "tree":
            raise SettingError(f"{path}: the run has the reduction {recipe.reduction}, and --distributed needs tree. "
                               "Leave out --distributed, or start a new run")  # fmt: skip
        options.prepared()
        train, val = load_splits(options.data, ("train", "val"), options.limit, options.labels)
        anew = f"start a new run with --config {shlex.quote(str(path / 'config.json'))}"
        if train.palette.names != folder.palette.names:
            raise DataError(f"{options.data}: its classes are {', '.join(train.palette.names)}, but the run learns "
                            f"{', '.join(folder.palette.names)}. Restore them, or {anew}")  # fmt: skip
        for split, pictures in (("train", train), ("val", val)):
            recorded, now = folder.config.get("pictures", {}).get(split), fingerprint(pictures)
            if recorded not in (None, now):
                counts = f"{recorded['count']} then, {now['count']} now"
                raise DataError(f"{options.data}: the names of the pictures of the split {split} have changed since the"
                                f" run began ({counts}). Restore them, or {anew}")  # fmt: skip
        saved: Any = folder.resumed
        options._describe(saved.model, train, val)
        print(f"continuing from {folder.path / 'last.safetensors'}, step {saved.progress['step']}")
        return _train(folder, saved.model, train, val, recipe, self.open)

    def _as_begun(self, path: Path, config: dict[str, Any]) -> tuple["Train", Recipe]:
        """Return the options and the recipe in a run's config.json."""
        own = {name: config[name] for name in SAVED_OPTIONS if name in config}
        own.setdefault("preprocessing", "scaled")  # older files do not name it, because there was no other
        own["encoder"] = None  # the weights are those of the checkpoint
        settings = {f.name: config[f.name] for f in fields(Recipe) if f.name in config}
        file, known = path / "config.json", {f.name for f in fields(Recipe)} | set(SAVED_OPTIONS)
        for name in set(config) - known:
            if meant := did_you_mean(name, known - set(config)):  # otherwise, an option would silently have its default
                raise DataError(f"{file}: unknown option {name!r}.{meant}")
        try:
            own |= {name: convert(name, own.get(name), int | None) for name in ("limit", "threads")}
            return replace(self, **own, labels=LabelOptions.of(config)), Recipe(**settings)
        except (TypeError, SettingError) as error:
            raise DataError(f"{file}: cannot be used: {str(error).rstrip('.')}. Start a new run") from error

    def _describe(self, model: "Network", train: "Dataset", val: "Dataset") -> None:
        from ..data import Folder, OneClass

        whole = train.data if isinstance(train, OneClass) else train
        if isinstance(whole, Folder):
            print(whole.description)
        print(f"{self.model}, {model.num_parameters:,} parameters; {data_name(self.data)}: "
              f"{count_pictures(train, 'training')}, {count_pictures(val, 'validation')}")  # fmt: skip

    def _folder(self, train: "Dataset", val: "Dataset") -> "RunFolder":
        from ..training.pictures import fingerprint
        from ..training.run_folder import RunFolder

        default_name = f"{Path(self.data).resolve().name}-{self.model}-{time.strftime('%Y%m%d-%H%M%S')}"
        config = {name: getattr(self, name) for name in SAVED_OPTIONS} | asdict(self.labels)
        config |= {"encoder": self.encoder and str(self.encoder), "from": self.from_ and str(self.from_),
                   "pictures": {"train": fingerprint(train), "val": fingerprint(val)}}  # fmt: skip
        return RunFolder(self.runs / (self.name or default_name), config, train.palette)


def _train(folder: "RunFolder", model: "Network", train: "Dataset", val: "Dataset", recipe: Recipe,
           browser: bool) -> int:  # fmt: skip
    from ..data import num_batches
    from ..report.run_report import write_report
    from ..training.loop import fit
    from ..training.pictures import FEW_VALIDATION_PICTURES
    from .live_page import LivePage

    ranks = ranks_of_command()
    epochs = recipe.num_epochs(num_batches(train, recipe.batch_size))
    live_page = LivePage(folder, train, val, epochs, browser=browser)
    try:
        result = fit(model, train, val, recipe=recipe, run=folder, on_epoch=live_page, communicator=ranks)
    except BaseException:
        live_page.stopped(f"Training has stopped. To continue it: {folder.how_to_go_on}")
        raise
    if ranks.rank > 0:
        return 0
    if result.stalled:
        print(result.stalled)
    if result.scores:
        print(result.scores.table())
    page = write_report(folder, model, train, val, result)
    live_page.open(page)
    print(f"trained for {result.seconds:.0f} s\n{_checkpoints(folder.path, result.history)}\nreport: {page}")
    if result.diverged:
        print(f"warning: {result.diverged}")
        return 1
    # few validation pictures cannot tell which epoch is best
    suggested = folder.path / f"{'last' if len(val) < FEW_VALIDATION_PICTURES else 'best'}.safetensors"
    print(f"to segment a picture: tinysegnet predict {shlex.quote(str(suggested))} PICTURE --out DIR")
    return 0


def _check_name(name: str) -> None:
    if name in ("", ".", "..") or set(name) & set("/\\\0") or len(os.fsencode(name)) > 255:
        raise SettingError(f"--name {name!r} is not the name of a folder. Choose the folder above it with --runs")


def _checkpoints(folder: Path, history: list[dict[str, float]]) -> str:
    """Return one line for the best checkpoint and one for the last, with the epoch and the validation mIoU."""
    scored = [row for row in history if row["val_mIoU"] == row["val_mIoU"]]  # without NaN
    rows = {"best": max(scored, key=lambda row: row["val_mIoU"])} if scored else {}
    rows["last"] = history[-1]
    return "\n".join(f"{name}: epoch {row['epoch']}, mIoU {row['val_mIoU']:.3f}, {folder / f'{name}.safetensors'}"
                     for name, row in rows.items())  # fmt: skip


OPTIONS = Train
