"""tinysegnet train."""

import os
import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.types import PositiveInt

from .. import runtime
from ..errors import DataError, SettingError
from ..runtime.settings import convert
from ..training.recipes import Recipe, papers, recipe_for
from .data_options import DataPath, LabelOptions, Labels, count_pictures, data_name, load_splits
from .options import DEFAULT_PARAMETER, FilePath, ModelName, Numbers, OutFolder, RunFolderPath, Size, Switch, Width

if TYPE_CHECKING:
    from ..data import Dataset
    from ..models import Network
    from ..training.run_folder import RunFolder

#: the names in `models.PREPROCESSING`
PREPROCESSING = ("scaled", "unit", "local_response", "bgr", "imagenet", "caffe")


def _convert_weights(hint: Any, tokens: Any) -> tuple[float, ...] | str:
    """Return the numbers, or otherwise the text, which the recipe checks."""
    words = [token.value for token in tokens]
    try:
        return tuple(map(float, words))
    except ValueError:
        return " ".join(words)


WEIGHTS = Parameter(converter=_convert_weights, n_tokens=-1, consume_multiple=(1, None), metavar="WEIGHTS")
Weights = Annotated[str | tuple[float, ...], WEIGHTS]
RecipeName = Annotated[str, Parameter(choices=("default", *papers), metavar="RECIPE")]
PreprocessingName = Annotated[str, Parameter(choices=("own", *PREPROCESSING), metavar="NAME")]
RECIPE = Parameter(name="*", group=Group("Recipe", sort_key=1))
SAVED_OPTIONS = ("data", "recipe", "model", "width", "preprocessing", "encoder", "limit", "threads", "deterministic")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The options that determine the defaults of the others."""

    data: DataPath = "toy"
    """"toy" for drawn street scenes, or a folder with pictures and label maps."""
    recipe: RecipeName = "default"
    """The recipe sets the defaults of the other options. "default" fits them to your data. A paper's recipe sets them
    to its authors' settings, and also chooses --model."""
    labels: Labels = field(default_factory=LabelOptions)

    def defaults(self) -> tuple[str, Recipe]:
        """Return the name of the model and the settings of the recipe."""
        if self.recipe in papers:
            return papers[self.recipe].model, papers[self.recipe].recipe
        recipe = Recipe()  # the result of `recipe_for` for toy scenes, without drawing a scene
        if self.data != "toy":
            dataset = self.labels.open(self.data, "train")
            with suppress(DataError):  # the check before training will name all bad files
                recipe = recipe_for(dataset)
        return "tiny", recipe


@dataclass(frozen=True, kw_only=True)
class Train(Source):
    """Train a network, and write checkpoints, curves, overlays and a report to runs/NAME/.

    The defaults depend on --data and --recipe: `tinysegnet train --data DIR --help` shows the defaults for your
    pictures, and `tinysegnet train --recipe paper-basic --help` shows the settings of SegNet-Basic's authors.
    """

    model: ModelName = "tiny"
    width: Width = 1.0
    preprocessing: PreprocessingName = "own"
    """How the first layer prepares a picture. "own" follows the architecture of the network or --encoder."""
    encoder: FilePath | None = None
    """A file with a trained VGG16 from which --model vgg16 starts: torchvision's .pth, Keras's .h5, or .safetensors."""
    name: Annotated[str | None, Parameter(metavar="NAME")] = None
    """The name of the run's folder. Default: the data, model, date and time."""
    runs: OutFolder = Path("runs")
    """The folder in which the run's folder is created."""
    limit: PositiveInt | None = None
    """Use at most this many pictures per split, for a quick trial."""
    threads: int | None = None
    """The number of threads. Default: one per processor core."""
    deterministic: bool = False
    """Compute the same bits for any number of threads, with NumPy's matrix products in one thread. The compiled kernels
    always do."""
    resume: RunFolderPath | None = None
    """Continue the stopped run in this folder, with its data, network and recipe. Of the other options, only --open and
    --quiet may be given."""
    open: bool = False
    """Open the report in the web browser when it first exists. It is refreshed during the training."""
    quiet: bool = False
    """Show no progress. Results and warnings are still printed."""
    settings: Annotated[Recipe, RECIPE] = field(default_factory=Recipe)

    def run(self) -> int:
        return self._train() if self.resume is None else self._as_begun(self.resume)._train()

    def _as_begun(self, path: Path) -> "Train":
        """Return the options with which the run began, as its config.json records them."""
        from ..training.run_folder import read_config

        config = read_config(path)
        own = {name: config[name] for name in SAVED_OPTIONS if name in config}
        own.setdefault("preprocessing", "scaled")  # older files do not name it, because there was no other
        settings = {f.name: config[f.name] for f in fields(Recipe) if f.name in config}
        try:
            own["limit"] = convert("limit", own.get("limit"), int | None)
            return replace(self, **own, labels=LabelOptions.of(config), settings=Recipe(**settings))
        except (TypeError, SettingError) as error:
            raise DataError(f"{path / 'config.json'}: cannot be used: {error}. Start a new run") from error

    def _train(self) -> int:
        from ..data import Folder, OneClass, num_batches
        from ..report.run_report import write_report
        from ..training.loop import fit
        from ..weights.encoders import encoder_preprocessing
        from .live_page import LivePage

        if self.name is not None:
            _check_name(self.name)
        if self.threads is not None:
            runtime.set_threads(self.threads)
        if self.deterministic:
            runtime.single_threaded_blas()
        if self.encoder is not None and self.resume is None:
            encoder_preprocessing(self.encoder)  # a wrong file is refused before the pictures are read
        train, val = load_splits(self.data, ("train", "val"), self.limit, self.labels)
        folder = self._folder(train)
        model = folder.resumed.model if folder.resumed else self._new_model(train.palette.num_classes)
        whole = train.data if isinstance(train, OneClass) else train
        if isinstance(whole, Folder):
            print(whole.description)
        print(f"{self.model}, {model.num_parameters:,} parameters; {data_name(self.data)}: "
              f"{count_pictures(train, 'training')}, {count_pictures(val, 'validation')}")  # fmt: skip
        if folder.resumed:
            print(f"continuing from {folder.path / 'last.safetensors'}, step {folder.resumed.progress['step']}")
        recipe = Recipe(**asdict(self.settings))
        epochs = recipe.num_epochs(num_batches(train, recipe.batch_size))
        live_page = LivePage(folder, train, val, epochs, browser=self.open)
        try:
            result = fit(model, train, val, recipe=recipe, run=folder, on_epoch=live_page)
        except BaseException:
            live_page.stopped(f"Training has stopped. To continue it: {folder.how_to_go_on}")
            raise
        if result.scores:
            print(result.scores.table())
        page = write_report(folder, model, train, val, result)
        live_page.open(page)
        print(f"trained for {result.seconds:.0f} s\n{_checkpoints(folder.path, result.history)}\nreport: {page}")
        if result.diverged:
            print(f"warning: {result.diverged}")
            return 1
        best = shlex.quote(str(folder.path / "best.safetensors"))
        print(f"to segment a picture: tinysegnet predict {best} PICTURE --out DIR")
        return 0

    def _new_model(self, num_classes: int) -> "Network":
        """Build a network with random weights. --encoder provides the weights of the encoder.

        For two classes, the network of the article has one logit, as in the article.
        """
        from ..models import build
        from ..weights.encoders import encoder_preprocessing, load_encoder

        channels = 1 if self.model == "article" and num_classes == 2 else num_classes
        preprocessing = None if self.preprocessing == "own" else self.preprocessing
        if self.encoder is not None and preprocessing is None:
            preprocessing = encoder_preprocessing(self.encoder)
        model = build(self.model, channels, seed=self.settings.seed, width=self.width, preprocessing=preprocessing)
        if self.encoder is not None:
            print(load_encoder(model, self.encoder))
        return model

    def _folder(self, train: "Dataset") -> "RunFolder":
        from ..training.run_folder import RunFolder

        if self.resume is not None:
            return RunFolder.resume(self.resume)
        default_name = f"{Path(self.data).resolve().name}-{self.model}-{time.strftime('%Y%m%d-%H%M%S')}"
        config = {name: getattr(self, name) for name in SAVED_OPTIONS} | asdict(self.labels) | asdict(self.settings)
        config["encoder"] = None if self.encoder is None else str(self.encoder)
        return RunFolder(self.runs / (self.name or default_name), config, train.palette)


def command(arguments: list[str]) -> Callable[..., int]:
    """Return `tinysegnet train` with the defaults that --data, --recipe and the label options in `arguments` imply.

    The help page also shows these defaults. The parser reads defaults from the fields of a dataclass, so each recipe
    needs its own class.
    """
    given = [word.split("=", 1)[0] for word in arguments if word.startswith("--")]
    _check_combinations(given)
    source = _parse_source(arguments) if {"--data", "--recipe"} & {*given} else Source()
    model, recipe = source.defaults()
    if "--epochs" in given:
        recipe = replace(recipe, iterations=None)
    # types that the command line can parse
    option_types = {"size": Size, "test_scales": Numbers, "mirror": Switch, "class_weights": Weights}
    settings = _with_defaults(Recipe, [
        (name, option_types.get(name, hint), getattr(recipe, name)) for name, hint in get_type_hints(Recipe).items()
    ])  # fmt: skip
    options = _with_defaults(Train, [
        ("model", ModelName, model), ("settings", Annotated[settings, RECIPE], settings())
    ])  # fmt: skip
    defaults = options()

    def train(*, options=defaults):
        return options.run()

    train.__annotations__["options"] = Annotated[options, Parameter(name="*")]
    train.__doc__ = Train.__doc__
    return train


def _with_defaults(options: type, changed: list[tuple[str, Any, Any]]) -> Any:
    """Derive a dataclass in which some fields, given as (name, type, default), have other types and defaults."""
    module = {"__module__": __name__}  # the parser looks up types in this module
    return make_dataclass(options.__name__, changed, bases=(options,), frozen=True, kw_only=True, namespace=module)


def _check_combinations(given: list[str]) -> None:
    others = [option for option in given if option not in ("--resume", "--help", "--open", "--quiet")]
    if "--resume" in given and others:
        raise SettingError(f"train --resume uses the options of the run. Leave out {others[0]}")
    if "--epochs" in given and "--iterations" in given:
        raise SettingError("train: --epochs and --iterations cannot be combined. Give one of them")


def _parse_source(arguments: list[str]) -> Source:
    def source(*, source: Annotated[Source, Parameter(name="*")] = Source()) -> Source:
        return source

    app = App(default_command=source, default_parameter=DEFAULT_PARAMETER, help_flags=(), version_flags=())
    try:
        _, bound, *_ = app.parse_known_args(arguments)
    except CycloptsError:  # the error is reported when the whole command line is parsed
        return Source()
    return source(**bound.arguments)


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
