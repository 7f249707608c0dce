"""Training settings: the fields of a `Recipe`, the default recipe for a data set, and the recipes of the papers.

The papers' four recipes follow the authors' solver and model files (github.com/alexgkendall/SegNet-Tutorial, Models/).
The page lessons/site/pages/paper_recipes.md says what they have in common and where they differ from these files.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import SettingError, unknown_name
from ..runtime.settings import check_at_least, check_augmentation, convert_fields

if TYPE_CHECKING:
    from ..data import Dataset

FEW_PICTURES = 40  # below this number, a batch has two pictures, which are enlarged more
STEPS_PER_ROOT = 960  # training steps for n pictures: this number times the square root of n
ClassWeights = Literal["none", "median_frequency", "sqrt_median_frequency"]
DICE_WEIGHTS = "the loss dice counts all classes alike. Leave them out, or use the loss cross_entropy_dice."
MAX_PIXELS = 4_000_000  # limit for a training picture; training needs about a hundred times as many bytes


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run. They are also options of `tinysegnet train` and part of a run's config.json."""

    epochs: int = 5
    """Number of passes over the training pictures."""
    iterations: int | None = None
    """Number of training steps, instead of --epochs. It is rounded up to whole epochs."""
    batch_size: int = 2
    """Pictures per step."""
    size: tuple[int, int] = (96, 128)
    """Height and width of the training pictures."""
    optimizer: Literal["sgd", "adam", "caffe_sgd"] = "adam"
    """SGD with momentum, Adam, or Caffe's form of SGD, which applies the learning rate inside the velocity."""
    learning_rate: float = 0.005
    """Maximum learning rate, which the schedule scales. SGD needs about 20 times the learning rate of Adam."""
    momentum: float = 0.9
    """Momentum of SGD."""
    bias_rate: float = 1.0
    """Factor for the learning rate of the convolutions' biases."""
    weight_decay: float = 0.0
    """Strength of weight decay, which pulls parameters towards zero."""
    decayed: Literal["weight", "weight_gamma", "weight_gamma_beta"] = "weight"
    """Parameters that decay: convolution weights, optionally with batch norm's gamma, or with gamma and beta."""
    initial_beta: float = 0.0
    """Initial value of batch norm's beta in a new network."""
    schedule: Literal["constant", "step", "poly", "one_cycle"] = "one_cycle"
    """How the learning rate changes during training."""
    loss: Literal["cross_entropy", "focal", "dice", "cross_entropy_dice"] = "cross_entropy"
    """The loss: cross-entropy; focal, which discounts pixels that are already right; soft Dice, the overlap of each
    class; or the sum of cross-entropy and Dice."""
    focal_gamma: float = 2.0
    """How strongly the focal loss discounts pixels that are already right. 0 is the cross-entropy."""
    label_smoothing: float = 0.0
    """Share of each pixel's target that the cross-entropy spreads over all classes."""
    class_weights: ClassWeights | tuple[float, ...] = "sqrt_median_frequency"
    """Class weights of the loss: one number per class, or by the frequency of the classes in the training labels:
    median_frequency, sqrt_median_frequency, or none. Dice uses none."""
    weight_average: float = 0.0
    """Decay of an exponential moving average of the weights, such as 0.99, which is validated and saved. 0: off."""
    flip: float = 0.5
    """Probability of mirroring a picture."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Range of the random factor by which each picture is enlarged before it is cropped."""
    color_jitter: float = 0.0
    """Strength of random changes in brightness, contrast and saturation."""
    statistics: Literal["running", "exact"] = "running"
    """Batch norm's final statistics: running averages, or exact values over the unaugmented training data."""
    mirror: bool = False
    """Average the predictions for a picture and its mirror image, in validation and later. This takes twice as long."""
    test_scales: tuple[float, ...] = (1.0,)
    """Average the predictions at these scales, in validation and later. Scale 2 takes four times as long."""
    validate_every: int = 1
    """Epochs between validations. The last epoch is always validated."""
    patience: int | None = None
    """Stop after this many validations without a better mIoU. Default: train all epochs."""
    reduction: Literal["batch", "tree"] = "batch"
    """How sums over a batch are added: all pictures at once, or picture by picture in a fixed tree. With tree, the bits
    of a run do not depend on the number of processes (--distributed)."""
    seed: int = 0
    """Seed of the order of the pictures, the augmentation and the dropout masks."""
    freeze_encoder: bool = False
    """Train the decoder only, which saves the encoder's backward pass. The paper trains all layers."""

    def __post_init__(self) -> None:
        convert_fields(self)
        check_at_least(self, epochs=1, batch_size=1, size=1, validate_every=1, seed=0, weight_decay=0, bias_rate=0,
                       focal_gamma=0)  # fmt: skip
        for name in ("iterations", "patience"):
            if getattr(self, name) is not None:
                check_at_least(self, **{name: 1})
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise SettingError(f"size: {self.size} is larger than {MAX_PIXELS / 1e6:.0f} Mpx. Choose a smaller size.")
        largest = max(self.test_scales)
        if min(self.test_scales) <= 0 or self.size[0] * self.size[1] * largest**2 > MAX_PIXELS:
            raise SettingError(f"test_scales: {self.test_scales} is out of range. Choose positive numbers such that"
                               f" the largest picture does not exceed {MAX_PIXELS / 1e6:.0f} Mpx.")  # fmt: skip
        if self.learning_rate <= 0:
            raise SettingError(f"learning_rate: {self.learning_rate} is not positive. Choose a positive number.")
        for name in ("momentum", "label_smoothing", "weight_average"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name}: {getattr(self, name)} must be at least 0 and less than 1.")
        check_augmentation(self)
        self._check_loss()

    def _check_loss(self) -> None:
        """Check that the loss uses the settings that were given for it."""
        if self.label_smoothing and self.loss not in ("cross_entropy", "cross_entropy_dice"):
            raise SettingError(f"label_smoothing: the loss {self.loss} has none. Use cross_entropy, or leave it out.")
        if self.focal_gamma != 2 and self.loss != "focal":
            raise SettingError(f"focal_gamma: the loss {self.loss} has none. Use the loss focal, or leave it out.")
        weights = self.class_weights
        if isinstance(weights, tuple) and (min(weights) < 0 or not any(weights)):
            raise SettingError(f"class_weights: {weights} must not be negative, and not all 0.")
        if self.loss == "dice" and isinstance(weights, tuple):
            raise SettingError(f"class_weights: {DICE_WEIGHTS}")
        if self.loss == "dice":  # a run's config.json and checkpoints tell what was used
            object.__setattr__(self, "class_weights", "none")

    @property
    def prediction(self) -> dict[str, Any]:
        """The arguments `size`, `mirror` and `scales` of `predict`."""
        return {"size": self.size, "mirror": self.mirror, "scales": self.test_scales}

    def num_epochs(self, steps: int) -> int:
        """Return the number of epochs, given the number of steps per epoch."""
        return self.epochs if self.iterations is None else -(-self.iterations // steps)


def recipe_for(data: "Dataset", *, limit: int | None = None) -> Recipe:
    """Return the default recipe for a data set, of which at most `limit` pictures are used.

    Toy scenes are used at their own size, for five epochs. Pictures from disk are reduced, and are changed by random
    scale, crop and colour jitter. The number of steps grows with the square root of the number of pictures: about 3,000
    for ten pictures, 18,400 for CamVid's 367 (200 epochs, half an hour on two cores), and 96,000 for ten thousand.
    """
    from ..data import check_dataset, read_sample

    height, width = read_sample(check_dataset(data), 0).labels.shape
    if data.name.startswith("toy scenes"):
        return Recipe(size=(height, width))
    pictures = min(len(data), limit or len(data))
    few = pictures < FEW_PICTURES
    batch_size = 2 if few else 4
    steps = STEPS_PER_ROOT * math.sqrt(pictures)
    epochs = int(float(f"{steps / math.ceil(pictures / batch_size):.2g}"))  # two digits, because it is a rough rule
    return Recipe(
        epochs=epochs, batch_size=batch_size, size=_shrunk(height, width), optimizer="sgd", learning_rate=0.1,
        weight_decay=5e-4, scale=(1.0, 3.0 if few else 2.0), color_jitter=0.4, mirror=True,
        test_scales=(0.75, 1.0, 1.5, 2.0), validate_every=validation_interval(epochs),
    )  # fmt: skip


def validation_interval(epochs: int) -> int:
    """Return the number of epochs between validations with which a training run has about eight of them."""
    return max(1, round(epochs / 8))


def _shrunk(height: int, width: int) -> tuple[int, int]:
    """Reduce a size to about 120 x 160 in similar proportions, with multiples of 4, which some networks require."""
    factor = math.sqrt(120 * 160 / (height * width))
    if factor >= 1:
        return height, width
    return min(height, max(4, 4 * round(height * factor / 4))), min(width, max(4, 4 * round(width * factor / 4)))


class Paper(NamedTuple):
    """The name of a network and the authors' recipe for it."""

    model: str
    recipe: Recipe


_SHARED = Recipe(
    batch_size=4, size=(360, 480), optimizer="caffe_sgd", weight_decay=5e-4, bias_rate=2.0, schedule="constant",
    class_weights="median_frequency", flip=0.0, statistics="exact", validate_every=10,
)  # fmt: skip
# In SegNet-Basic's model files, batch norm's parameters decay, which is Caffe's default. SegNet's files exclude beta.
_BASIC = replace(_SHARED, iterations=10_000, learning_rate=0.1, decayed="weight_gamma_beta", initial_beta=0.001)
_VGG16 = replace(_SHARED, iterations=40_000, learning_rate=0.001, decayed="weight_gamma", initial_beta=0.001)

papers: dict[str, Paper] = {
    "paper-basic": Paper("basic", _BASIC),
    "paper-vgg16": Paper("vgg16", _VGG16),
    "paper-bayesian-basic": Paper("bayesian-basic", _BASIC),
    "paper-bayesian-vgg16": Paper("bayesian-vgg16", replace(_VGG16, iterations=60_000, initial_beta=0.0)),
}


def paper_recipe(name: str) -> Recipe:
    """Return one of the recipes in `papers`, such as "paper-basic". Raises SettingError for unknown names."""
    if not isinstance(name, str) or name not in papers:
        raise SettingError(unknown_name("recipe", name, papers))
    return papers[name].recipe
