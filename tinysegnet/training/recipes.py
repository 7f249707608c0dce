"""How to train: the fields of a `Recipe`, the plain default for a data set, and the recipes of the papers.

The four papers' recipes are those of the authors' solver and model files (github.com/alexgkendall/SegNet-Tutorial,
Models/): pictures of 360x480 in batches of 4, as they are, in random order; SGD as Caffe has it, at a constant rate,
with momentum 0.9 and weight decay 5e-4; biases learn twice as fast and do not decay; median frequency class weights.
There are four differences. Class weights are computed from the given labels, since the published ones belong to older
labels (`data.class_weights`). Batch norm has exact statistics (`statistics`), as from the authors' script, and eps is
1e-5, not 1e-9. The paper's SegNet starts from VGG16 trained on ImageNet, ours from He et al.'s random weights, on
scaled pictures (`models.vgg16`). Steps are rounded up to whole epochs, while Caffe's batches run across epochs.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from ..data import Augment, Dataset, check_dataset, read_sample
from ..errors import SettingError, unknown_name
from ..runtime.settings import check_at_least, convert_fields

MOST_PIXELS = 4_000_000  # per training picture: the network keeps some hundred times as much of each


@dataclass(frozen=True)
class Recipe:
    """How to train. The same fields are the options of `tinysegnet train` and part of a run's config.json."""

    epochs: int = 5
    """Passes over the training pictures."""
    iterations: int | None = None
    """Total steps, instead of --epochs; rounded up to whole epochs. Default: --epochs counts."""
    batch_size: int = 2
    """Pictures per step."""
    size: tuple[int, int] = (96, 128)
    """Height and width of the training pictures."""
    optimizer: Literal["sgd", "adam", "caffe_sgd"] = "adam"
    """SGD with momentum, Adam, or SGD as Caffe has it: with the learning rate inside the velocity."""
    learning_rate: float = 0.005
    """The largest learning rate; the schedule scales it. SGD needs about 20 times as much as Adam."""
    momentum: float = 0.9
    """Momentum of SGD."""
    bias_rate: float = 1.0
    """A factor on the learning rate of the convolutions' biases."""
    weight_decay: float = 0.0
    """How strongly the parameters are pulled towards zero."""
    decayed: Literal["weight", "weight_gamma", "weight_gamma_beta"] = "weight"
    """What weight decay acts on: weights of convolutions; also gamma of batch norm; also its beta."""
    initial_beta: float = 0.0
    """Initial value of batch norm's beta where it is 0, as in every new network."""
    schedule: Literal["constant", "step", "poly", "one_cycle"] = "one_cycle"
    """How the learning rate changes during the training."""
    class_weights: Literal["none", "median_frequency", "sqrt_median_frequency"] = "sqrt_median_frequency"
    """Class weights of the loss, computed from the training labels."""
    flip: float = 0.5
    """Probability of mirroring a picture."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Enlarge each picture by a random factor in this range, then crop it."""
    color_jitter: float = 0.0
    """Strength of random brightness, contrast and saturation."""
    statistics: Literal["running", "exact"] = "running"
    """Batch norm's statistics after the last epoch: running averages, or exact over the unaugmented training data."""
    mirror: bool = False
    """Average the predictions of a picture and its mirror image, in validation and later; this takes twice as long."""
    test_scales: tuple[float, ...] = (1.0,)
    """Average the predictions at these factors of the size, in validation and later; 2 takes four times as long."""
    validate_every: int = 1
    """Epochs between validations; the last epoch is always validated."""
    seed: int = 0
    """Seed of the order and the augmentation."""
    freeze_encoder: bool = False
    """Train the decoder only, which saves the encoder's backward. The paper trains all layers, pretrained or not."""

    def __post_init__(self) -> None:
        convert_fields(self)
        check_at_least(self, epochs=1, batch_size=1, size=1, validate_every=1, seed=0, weight_decay=0, bias_rate=0)
        if self.iterations is not None:
            check_at_least(self, iterations=1)
        if self.size[0] * self.size[1] > MOST_PIXELS:
            raise SettingError(f"size: {self.size} (expected at most {MOST_PIXELS / 1e6:.0f} Mpx)")
        largest = max(self.test_scales)
        if min(self.test_scales) <= 0 or self.size[0] * self.size[1] * largest**2 > MOST_PIXELS:
            raise SettingError(f"test_scales: {self.test_scales} (expected numbers above 0, and no more than"
                               f" {MOST_PIXELS / 1e6:.0f} Mpx)")  # fmt: skip
        if self.learning_rate <= 0:
            raise SettingError(f"learning_rate: {self.learning_rate} (expected a number above 0)")
        if not 0 <= self.momentum < 1:
            raise SettingError(f"momentum: {self.momentum} (expected 0 <= momentum < 1)")
        Augment(self.flip, self.scale, self.color_jitter)  # raises SettingError for impossible values

    @property
    def prediction(self) -> dict[str, Any]:
        """`size`, `mirror` and `scales` of `predict`."""
        return {"size": self.size, "mirror": self.mirror, "scales": self.test_scales}

    def num_epochs(self, steps: int) -> int:
        """The number of epochs, given the number of steps per epoch."""
        return self.epochs if self.iterations is None else -(-self.iterations // steps)


def recipe_for(data: Dataset) -> Recipe:
    """The default recipe for a data set.

    Toy scenes are used as they are. Pictures from disk are shrunk, scaled, cropped and jittered for 200 epochs, which
    gave the best results in half an hour on two cores with CamVid's small pictures (README, results).
    """
    height, width = read_sample(check_dataset(data), 0).labels.shape
    if data.name.startswith("toy scenes"):
        return Recipe(size=(height, width))
    return Recipe(
        epochs=200, batch_size=4, size=_shrunk(height, width), optimizer="sgd", learning_rate=0.1, weight_decay=5e-4,
        scale=(1.0, 2.0), color_jitter=0.4, mirror=True, test_scales=(0.75, 1.0, 1.5, 2.0), validate_every=25,
    )  # fmt: skip


def _shrunk(height: int, width: int, area: int = 120 * 160) -> tuple[int, int]:
    """A size of this area and about the same shape, in multiples of 4, which every network takes; never enlarged."""
    factor = math.sqrt(area / (height * width))
    if factor >= 1:
        return height, width
    return min(height, max(4, 4 * round(height * factor / 4))), min(width, max(4, 4 * round(width * factor / 4)))


class Paper(NamedTuple):
    """The name of a network, and the authors' recipe for it."""

    model: str
    recipe: Recipe


_SHARED = Recipe(
    batch_size=4, size=(360, 480), optimizer="caffe_sgd", weight_decay=5e-4, bias_rate=2.0, schedule="constant",
    class_weights="median_frequency", flip=0.0, statistics="exact", validate_every=10,
)  # fmt: skip
# SegNet-Basic's model files do not mention batch norm's parameters, which decay by Caffe's default. SegNet's files
# exclude beta.
_BASIC = replace(_SHARED, iterations=10_000, learning_rate=0.1, decayed="weight_gamma_beta", initial_beta=0.001)
_VGG16 = replace(_SHARED, iterations=40_000, learning_rate=0.001, decayed="weight_gamma", initial_beta=0.001)

papers: dict[str, Paper] = {
    "paper-basic": Paper("basic", _BASIC),
    "paper-vgg16": Paper("vgg16", _VGG16),
    "paper-bayesian-basic": Paper("bayesian-basic", _BASIC),
    "paper-bayesian-vgg16": Paper("bayesian-vgg16", replace(_VGG16, iterations=60_000, initial_beta=0.0)),
}


def paper_recipe(name: str) -> Recipe:
    """The recipe of one of `papers`, such as "paper-basic". Raises SettingError for another name."""
    if not isinstance(name, str) or name not in papers:
        raise SettingError(unknown_name("recipe", name, papers))
    return papers[name].recipe
