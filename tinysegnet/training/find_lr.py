"""The learning-rate range test of Smith 2015 ("Cyclical learning rates", section 3.3).

A copy of the network is trained for a few steps while the rate rises exponentially. The loss falls as soon as the rate
is large enough, and rises when the rate becomes too large. Each batch has another loss, so the curve is smoothed.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..data import Augment, Dataset, batches, check_dataset
from ..data.batches import Batch
from ..errors import DataError, NonFiniteError, SettingError
from ..models import Network, check_network
from ..runtime.settings import convert
from .recipes import Recipe, recipe_for
from .training_step import TrainingStep, check_training

MEMORY = 0.9  # weight of the earlier losses in the smoothed loss
EXPLODED = 4.0  # the test ends when the smoothed loss is this many times its minimum


@dataclass(frozen=True, eq=False)
class RangeTest:
    """The result of `find_lr`: one value per step, until the loss exploded."""

    rates: np.ndarray  # (steps,) learning rates
    losses: np.ndarray  # (steps,) the loss of each batch
    smoothed: np.ndarray  # (steps,) running mean of the losses
    suggestion: float  # a good maximum learning rate


def find_lr(
    model: Network, data: Dataset, *, recipe: Recipe | None = None, steps: int = 100,
    between: tuple[float, float] | None = None,
) -> RangeTest:  # fmt: skip
    """Find a learning rate by a range test on a copy of the network, which itself stays as it is.

    The suggestion is a tenth of the rate at which the smoothed loss is lowest, with two digits. With another seed, it
    may differ by a factor of ten.

    Args:
        model: a new network, or a trained one that is to be fine-tuned.
        data: the training data.
        recipe: the other settings, such as the optimizer and the batch size; the default is `recipe_for(data)`.
        steps: the number of training steps, at least 10.
        between: the first and the last rate. Default: (1e-5, 1) for Adam, and (1e-4, 10) for SGD.

    Raises:
        SettingError: an argument is out of range, or network and data do not fit together.
        DataError: no batch has a labelled pixel.
    """
    check_network(model)
    recipe, steps = recipe or recipe_for(check_dataset(data)), convert("steps", steps, int)
    usual = (1e-5, 1.0) if recipe.optimizer == "adam" else (1e-4, 10.0)
    first, last = convert("between", between or usual, tuple[float, float])
    if steps < 10 or not 0 < first < last:
        raise SettingError(f"find_lr: {steps} steps between {first} and {last}. Give at least 10 steps, and two rising"
                           " rates above 0")  # fmt: skip
    check_training(model, data, None, recipe)
    rates, model = np.geomspace(first, last, steps), copy.deepcopy(model)
    model.freeze("encoder" if recipe.freeze_encoder else None)
    step = TrainingStep(model, data, replace(recipe, learning_rate=first), total_steps=steps, checkpoint=None)
    step.rate_factor = lambda index: float(rates[index] / first)
    losses, smoothed, mean = list[float](), list[float](), 0.0
    for images, labels in itertools.islice(endless_batches(data, recipe), steps):
        try:
            losses.append(step.run(images, labels, len(losses))[0])
        except NonFiniteError:
            break
        mean = MEMORY * mean + (1 - MEMORY) * losses[-1]
        smoothed.append(mean / (1 - MEMORY ** len(losses)))  # without the bias of the zero at the start
        if smoothed[-1] > EXPLODED * min(smoothed):
            break
    if not losses:
        raise DataError(f"{data.name}: the loss is not finite at a rate of {first:g}. Give lower rates, or check the "
                        "label maps")  # fmt: skip
    best = float(f"{rates[np.argmin(smoothed)] / 10:.2g}")
    return RangeTest(rates[: len(losses)], np.array(losses), np.array(smoothed), best)


def endless_batches(data: Dataset, recipe: Recipe) -> Iterator[Batch]:
    """Yield the batches of a training run that are not void, epoch after epoch."""
    rng, augment = np.random.default_rng(recipe.seed), Augment(recipe.flip, recipe.scale, recipe.color_jitter)
    while True:
        for images, labels in batches(data, recipe.batch_size, size=recipe.size, rng=rng, augment=augment):
            if (labels != data.palette.ignore_label).any():
                yield images, labels
