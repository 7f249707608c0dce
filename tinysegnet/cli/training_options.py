"""The options that `train` and `find-lr` share, and the recipe that they choose."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Self, get_type_hints

from cyclopts import Group, Parameter
from cyclopts.types import PositiveInt

from .. import runtime
from ..errors import DataError, SettingError
from ..training.recipes import DICE_WEIGHTS, Recipe, papers, recipe_for
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
#: types that the parser can read
TYPES: dict[str, Any] = {"size": Size, "test_scales": Numbers, "mirror": Switch, "class_weights": Weights}
RECIPE = Parameter(name="*", group=Group("Recipe", sort_key=1))
#: the names in `models.PREPROCESSING`
PREPROCESSING = ("scaled", "unit", "local_response", "bgr", "imagenet", "caffe")

RecipeName = Annotated[str, Parameter(choices=("default", *papers), metavar="RECIPE")]
PreprocessingName = Annotated[str, Parameter(choices=("own", *PREPROCESSING), metavar="NAME")]
OwnModel = Annotated[ModelName | None, Parameter(help="The network. Default: that of --recipe or --from, or tiny.")]
OwnWidth = Annotated[Width | None, Parameter(help=(
    "A factor on the number of channels of every stage. Default: 1, or that of --from."
))]  # fmt: skip
FINE_TUNING_RATE = 0.2  # factor of the default learning rate for a trained network, which needs smaller steps


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The options for the data and the network. `prepared` fills in the default of --model and --width."""

    data: DataPath = "toy"
    """"toy" for drawn street scenes, or a folder with pictures and label maps."""
    recipe: RecipeName = "default"
    """The recipe sets the defaults of the options below. "default" fits them to your pictures. A paper's recipe sets
    them to its authors' settings, and also chooses --model."""
    limit: PositiveInt | None = None
    """Use at most this many pictures per split, for a quick trial."""
    labels: Labels = field(default_factory=LabelOptions)
    model: OwnModel = None
    width: OwnWidth = None
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

    def prepared(self) -> Self:
        """Set the threads, check --encoder, and return the options with the network of --recipe or --from.

        Raises SettingError if an option contradicts the network of --from.
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
            default = next((paper.model for name, paper in papers.items() if name == self.recipe), "tiny")
            return replace(self, model=self.model or default, width=1.0 if self.width is None else self.width)
        network = open_checkpoint(self.from_).model.config
        own = {"model": network["name"], "width": network.get("width"), "preprocessing": network.get("preprocessing")}
        for name, value in own.items():
            if getattr(self, name) not in (None, "own", value):
                raise SettingError(f"--{name} {getattr(self, name)} contradicts --from {self.from_}, whose network has "
                                   f"{name} {value}. Leave out --{name}")  # fmt: skip
        return replace(self, **own)

    def chosen_recipe(self, settings: Any) -> Recipe:
        """Return the recipe for the data, with the settings that are not None."""
        recipe = Recipe()  # the result of `recipe_for` for toy scenes, without drawing a scene
        if self.recipe in papers:
            recipe = papers[self.recipe].recipe
        elif self.data != "toy":
            dataset = self.labels.open(self.data, "train")
            with suppress(DataError):  # the check before training will name all bad files
                recipe = recipe_for(dataset, limit=self.limit)
        if self.from_ is not None and self.recipe == "default":
            recipe = replace(recipe, learning_rate=float(f"{recipe.learning_rate * FINE_TUNING_RATE:g}"))
        given = {name: value for name, value in vars(settings).items() if value is not None}
        if "epochs" in given:
            given["iterations"] = None
        if given.get("loss") == "dice" and given.setdefault("class_weights", "none") != "none":
            raise SettingError(f"class_weights: {DICE_WEIGHTS}")
        return replace(recipe, **given)

    def new_model(self, palette: "Palette", seed: int) -> "Network":
        """Build a network with random weights, with those of --from, or with an encoder of --encoder.

        For two classes, the network of the article has one logit, as in the article.
        """
        from ..models import build
        from ..weights.checkpoint import open_checkpoint, start_from
        from ..weights.encoders import encoder_preprocessing, load_encoder

        if self.from_ is not None:
            model, line = start_from(open_checkpoint(self.from_), palette, seed=seed)
            print(line)
            return model
        assert self.model is not None, "the options are prepared"
        assert self.width is not None
        channels = 1 if self.model == "article" and palette.num_classes == 2 else palette.num_classes
        preprocessing = None if self.preprocessing == "own" else self.preprocessing
        if self.encoder is not None and preprocessing is None:
            preprocessing = encoder_preprocessing(self.encoder)
        model = build(self.model, channels, seed=seed, width=self.width, preprocessing=preprocessing)
        if self.encoder is not None:
            print(load_encoder(model, self.encoder))
        return model


def command(kind: Any, arguments: list[str], hidden: tuple[str, ...] = ()) -> Callable[..., int]:
    """Return a command with the options of the dataclass `kind`, a `NetworkOptions`, and the settings of a recipe.

    It calls the method `run` of the options with the settings, which are None if they are not given. The help page
    shows the values of the recipe in `arguments`, unless they depend on pictures. The settings in `hidden` are no
    options.
    """
    _check_combinations({word.split("=", 1)[0] for word in arguments if word.startswith("--")})
    words = {part for word in arguments for part in word.split("=", 1)}
    recipe = next((paper.recipe for name, paper in papers.items() if name in words), None)
    shown = vars(recipe or Recipe()) if recipe or "--data" not in words else {}

    def option(name: str, hint: Any) -> Any:
        show = DEFAULT_PARAMETER.show_default(shown.get(name))  # type: ignore[operator, misc]
        return Annotated[TYPES.get(name, hint) | None, Parameter(parse=name not in hidden, show_default=lambda _: show)]

    # derived from Recipe, whose docstrings describe the options; without its checks, which None would not pass
    settings_class = make_dataclass(
        "Settings", [(name, option(name, hint), None) for name, hint in get_type_hints(Recipe).items()],
        bases=(Recipe,), frozen=True, kw_only=True,
        namespace={"__module__": Recipe.__module__, "__post_init__": lambda settings: None},
    )  # fmt: skip

    defaults = kind(), settings_class()

    def run(*, options=defaults[0], settings=defaults[1]):
        return options.run(settings)

    run.__annotations__ |= {"options": Annotated[kind, Parameter(name="*")],
                            "settings": Annotated[settings_class, RECIPE]}  # fmt: skip
    run.__doc__ = kind.__doc__
    return run


def _check_combinations(given: set[str]) -> None:
    others = sorted(
        given - {"--resume", "--epochs", "--patience", "--quiet", "--open", "--distributed", "--debug", "--help"}
    )
    if "--resume" in given and others:
        raise SettingError(f"train --resume uses the options of the run. Leave out {others[0]}")
    for alternatives in (("--epochs", "--iterations", "--minutes"), ("--from", "--encoder")):
        found = [option for option in alternatives if option in given]
        if len(found) > 1:
            raise SettingError(f"train: {found[0]} and {found[1]} cannot be combined. Give one of them")
