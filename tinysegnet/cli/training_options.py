"""The options that `train` and `find-lr` share, and their defaults, which depend on --data and --recipe."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Self, get_type_hints

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.types import PositiveInt

from .. import runtime
from ..errors import DataError, SettingError
from ..training.recipes import Recipe, papers, recipe_for
from .data_options import DataPath, LabelOptions, Labels
from .options import DEFAULT_PARAMETER, FilePath, ModelName, Numbers, Size, Switch, Width

if TYPE_CHECKING:
    from ..data import Palette
    from ..models import Network


def _convert_weights(hint: Any, tokens: Any) -> tuple[float, ...] | str:
    """Return the numbers, or otherwise the text, which the recipe checks."""
    words = [token.value for token in tokens]
    try:
        return tuple(map(float, words))
    except ValueError:
        return " ".join(words)


WEIGHTS = Parameter(converter=_convert_weights, n_tokens=-1, consume_multiple=(1, None), metavar="WEIGHTS")
Weights = Annotated[str | tuple[float, ...], WEIGHTS]
#: the names in `models.PREPROCESSING`
PREPROCESSING = ("scaled", "unit", "local_response", "bgr", "imagenet", "caffe")

RecipeName = Annotated[str, Parameter(choices=("default", *papers), metavar="RECIPE")]
PreprocessingName = Annotated[str, Parameter(choices=("own", *PREPROCESSING), metavar="NAME")]
FINE_TUNING_RATE = 0.2  # factor of the default learning rate for a trained network, which needs smaller steps
RECIPE = Parameter(name="*", group=Group("Recipe", sort_key=1))


@dataclass(frozen=True, kw_only=True)
class Source:
    """The options that determine the defaults of the others."""

    data: DataPath = "toy"
    """"toy" for drawn street scenes, or a folder with pictures and label maps."""
    recipe: RecipeName = "default"
    """The recipe sets the defaults of the other options. "default" fits them to your data. A paper's recipe sets them
    to its authors' settings, and also chooses --model."""
    limit: PositiveInt | None = None
    """Use at most this many pictures per split, for a quick trial."""
    labels: Labels = field(default_factory=LabelOptions)

    def defaults(self) -> tuple[str, Recipe]:
        """Return the name of the model and the settings of the recipe."""
        if self.recipe in papers:
            return papers[self.recipe].model, papers[self.recipe].recipe
        recipe = Recipe()  # the result of `recipe_for` for toy scenes, without drawing a scene
        if self.data != "toy":
            dataset = self.labels.open(self.data, "train")
            with suppress(DataError):  # the check before training will name all bad files
                recipe = recipe_for(dataset, limit=self.limit)
        return "tiny", recipe


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Source):
    """The options for the network that is trained."""

    model: ModelName = "tiny"
    width: Width = 1.0
    preprocessing: PreprocessingName = "own"
    """How the first layer prepares a picture. "own" follows the architecture of the network or --encoder."""
    encoder: FilePath | None = None
    """A file with a trained VGG16 from which --model vgg16 starts: torchvision's .pth, Keras's .h5, or .safetensors."""
    from_: Annotated[FilePath | None, Parameter(name="--from", metavar="CHECKPOINT")] = None
    """A trained network that learns your classes: a .safetensors file that `train` wrote, or "toy". All weights are
    kept, except the classifier's if your classes differ. --model, --width and --preprocessing are the network's, and
    the default learning rate is a fifth of that of a new network."""
    threads: int | None = None
    """The number of threads. Default: one per processor core."""
    deterministic: bool = False
    """Compute the same bits for any number of threads, with NumPy's matrix products in one thread. The compiled kernels
    always do."""
    settings: Annotated[Recipe, RECIPE] = field(default_factory=Recipe)

    def prepared(self, given: set[str]) -> Self:
        """Set the threads, check --encoder, and return the options with the model of --from.

        Raises SettingError if an option in `given` contradicts the network of --from.
        """
        from ..weights.checkpoint import open_checkpoint
        from ..weights.encoders import encoder_preprocessing

        if self.threads is not None:
            runtime.set_threads(self.threads)
        if self.deterministic:
            runtime.single_threaded_blas()
        if self.encoder is not None:
            encoder_preprocessing(self.encoder)  # a wrong file is refused before the pictures are read
        if self.from_ is None:
            return self
        network = open_checkpoint(self.from_).model.config
        own = {"model": network["name"], "width": network.get("width"), "preprocessing": network.get("preprocessing")}
        for name, value in own.items():
            if f"--{name}" in given and getattr(self, name) not in (value, "own"):
                raise SettingError(f"--{name} {getattr(self, name)} contradicts --from {self.from_}, whose network has "
                                   f"{name} {value}. Leave out --{name}")  # fmt: skip
        return replace(self, **own)

    def new_model(self, palette: "Palette") -> "Network":
        """Build a network with random weights, with those of --from, or with an encoder of --encoder.

        For two classes, the network of the article has one logit, as in the article.
        """
        from ..models import build
        from ..weights.checkpoint import open_checkpoint
        from ..weights.encoders import encoder_preprocessing, load_encoder
        from ..weights.fine_tuning import start_from

        if self.from_ is not None:
            model, line = start_from(open_checkpoint(self.from_), palette, seed=self.settings.seed)
            print(line)
            return model
        channels = 1 if self.model == "article" and palette.num_classes == 2 else palette.num_classes
        preprocessing = None if self.preprocessing == "own" else self.preprocessing
        if self.encoder is not None and preprocessing is None:
            preprocessing = encoder_preprocessing(self.encoder)
        model = build(self.model, channels, seed=self.settings.seed, width=self.width, preprocessing=preprocessing)
        if self.encoder is not None:
            print(load_encoder(model, self.encoder))
        return model


def command(kind: Any, arguments: list[str], hidden: tuple[str, ...] = ()) -> Callable[..., int]:
    """Return a command with the options of the dataclass `kind`, a `NetworkOptions`, whose method `run` is called.

    Its defaults, which the help page shows, are those that --data, --recipe and the label options in `arguments` imply.
    The parser reads defaults from the fields of a dataclass, so each recipe needs its own class. The settings of the
    recipe in `hidden` are no options.
    """
    given = {word.split("=", 1)[0] for word in arguments if word.startswith("--")}
    _check_combinations(given)
    source = _parse_source(arguments) if {"--data", "--recipe", "--limit"} & given else Source()
    model, recipe = source.defaults()
    if "--epochs" in given:
        recipe = replace(recipe, iterations=None)
    if "--from" in given and source.recipe == "default":
        recipe = replace(recipe, learning_rate=recipe.learning_rate * FINE_TUNING_RATE)
    # types that the command line can parse
    option_types = {"size": Size, "test_scales": Numbers, "mirror": Switch, "class_weights": Weights}
    settings = _with_defaults(Recipe, [
        (name, Annotated[hint, Parameter(parse=False)] if name in hidden else option_types.get(name, hint),
         getattr(recipe, name)) for name, hint in get_type_hints(Recipe).items()
    ])  # fmt: skip
    options = _with_defaults(kind, [
        ("model", ModelName, model), ("settings", Annotated[settings, RECIPE], settings())
    ])  # fmt: skip
    defaults = options()

    def run(*, options=defaults):
        return options.run(given)

    run.__annotations__["options"] = Annotated[options, Parameter(name="*")]
    run.__doc__ = kind.__doc__
    return run


def _with_defaults(options: type, changed: list[tuple[str, Any, Any]]) -> Any:
    """Derive a dataclass in which some fields, given as (name, type, default), have other types and defaults."""
    module = {"__module__": options.__module__}  # the parser looks up types in this module
    return make_dataclass(options.__name__, changed, bases=(options,), frozen=True, kw_only=True, namespace=module)


def _check_combinations(given: set[str]) -> None:
    others = sorted(given - {"--resume", "--epochs", "--patience", "--quiet", "--open", "--debug", "--help"})
    if "--resume" in given and others:
        raise SettingError(f"train --resume uses the options of the run. Leave out {others[0]}")
    for alternatives in (("--epochs", "--iterations", "--minutes"), ("--from", "--encoder")):
        found = [option for option in alternatives if option in given]
        if len(found) > 1:
            raise SettingError(f"train: {found[0]} and {found[1]} cannot be combined. Give one of them")


def _parse_source(arguments: list[str]) -> Source:
    def source(*, source: Annotated[Source, Parameter(name="*")] = Source()) -> Source:
        return source

    app = App(default_command=source, default_parameter=DEFAULT_PARAMETER, help_flags=(), version_flags=())
    try:
        _, bound, *_ = app.parse_known_args(arguments)
    except CycloptsError:  # the error is reported when the whole command line is parsed
        return Source()
    return source(**bound.arguments)
