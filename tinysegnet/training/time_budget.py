"""The number of epochs that fit into a time budget, from a few measured steps and predictions."""

import copy
import math
import time
from collections.abc import Callable

import numpy as np

from ..data import Dataset, InMemory, num_batches
from ..models import Network
from ..prediction import evaluate
from .find_lr import endless_batches
from .recipes import Recipe
from .training_step import TrainingStep, check_training

MEASURED = 3  # timed steps, of which the median counts
VALIDATIONS = 8  # see `recipes.validation_interval`
MOST = 10  # at most this many times the epochs of the recipe, because more would hardly improve the network


def epochs_within(minutes: float, model: Network, data: Dataset, val: Dataset, recipe: Recipe,
                  every: int | None = None) -> tuple[int, str]:  # fmt: skip
    """Return the number of epochs that a training run of about `minutes` has, and a line that explains the choice.

    A copy of the network is trained for a few steps, and predicts a picture. The time for compiling and for writing the
    report is not included. At least one epoch is trained, and at most ten times those of the recipe. There are about
    eight validations, or one `every` so many epochs.
    """
    check_training(model, data, val, recipe)
    model, pictures, picture = copy.deepcopy(model), endless_batches(data, recipe), InMemory(val, limit=1)
    model.freeze("encoder" if recipe.freeze_encoder else None)
    step = TrainingStep(model, data, recipe, total_steps=1, checkpoint=None)

    def train() -> None:
        step.run(*next(pictures), step=0)

    def validate() -> None:
        evaluate(model, picture, **recipe.prediction)

    seconds, per_picture = _seconds(train), _seconds(validate)
    steps, validation = num_batches(data, recipe.batch_size), per_picture * len(val)
    epoch, allowed = steps * seconds, 60 * minutes
    if every or allowed < VALIDATIONS * (epoch + validation):  # by default, a short run validates every epoch
        fitting = int(allowed / (epoch + validation / (every or 1)))
    else:
        fitting = int((allowed - VALIDATIONS * validation) / epoch)
    most = MOST * recipe.num_epochs(steps)
    epochs = max(1, min(fitting, most))
    note = f", the most for {len(data)} pictures" if fitting > most else ", the least" if fitting < 1 else ""
    total = epochs * epoch + (math.ceil(epochs / every) if every else min(epochs, VALIDATIONS)) * validation
    line = (f"--minutes {minutes:g}: --epochs {epochs}{note}. A step takes {1000 * seconds:.0f} ms, a validation "
            f"{validation:.1f} s, and all of the training about {total / 60:.1f} min")  # fmt: skip
    return epochs, line


def _seconds(action: Callable[[], None]) -> float:
    action()  # the first call may compile kernels
    times = []
    for _ in range(MEASURED):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return float(np.median(times))
