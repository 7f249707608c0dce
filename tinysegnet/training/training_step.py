"""One step of training: forward, loss, backward, update. The first layer with a non-finite number is reported."""

import copy
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset, count_pixels, median_frequency_weights, sqrt_median_frequency_weights
from ..errors import NonFiniteError
from ..models import Network
from ..ops import cross_entropy_for
from . import optim
from .recipes import Recipe
from .schedules import schedule


class TrainingStep:
    """The step that a recipe describes, with its optimizer and the class weights of `data`.

    total_steps: the length of the whole training, for the schedule. checkpoint: the file that an error about non-finite
    numbers recommends; None if nothing is saved.
    """

    def __init__(
        self, model: Network, data: Dataset, recipe: Recipe, total_steps: int, checkpoint: Path | None
    ) -> None:
        self.model, self.recipe, self.total_steps, self.checkpoint = model, recipe, total_steps, checkpoint
        self.ignore_label = data.palette.ignore_label
        self.class_weights = _class_weights(recipe, data)
        self.optimizer = make_optimizer(model, recipe)

    def run(self, images: np.ndarray, labels: np.ndarray, step: int) -> tuple[float, np.ndarray]:
        """Train on one batch -> the loss, and the logits (N, H, W, num_classes) before the update.

        images: (N, H, W, 3) float32 in 0..255. labels: (N, H, W) uint8. step: its number, from 0. Raises NonFiniteError
        if the loss or a gradient is not finite; the message names the first layer with such numbers.
        """
        # the masks of dropout depend on the step alone, so that a resumed run draws the same ones
        self.model.reseed(self.recipe.seed, step)
        logits = self.model.forward(images, training=True)
        loss_forward, loss_backward = cross_entropy_for(logits)
        loss, cache = loss_forward(logits, labels, class_weights=self.class_weights, ignore_label=self.ignore_label)
        if not np.isfinite(loss):
            raise self._not_finite(f"the loss is {loss}", step, _first_bad_layer(self.model, images))
        self.model.backward(loss_backward(1.0, cache), input_gradient=False)
        bad = _first_bad(self.model.named_gradients())
        if bad:
            raise self._not_finite("a gradient is not finite", step, f"first in {bad}")
        self.optimizer.step(self.rate_factor(step))
        return float(loss), logits

    def rate_factor(self, step: int) -> float:
        """The schedule's factor on the learning rate in this step."""
        return schedule(self.recipe.schedule, step, self.total_steps)

    def is_void(self, labels: np.ndarray) -> bool:
        """Whether no pixel is labelled: loss and gradient are 0, and a step would only let the weights decay."""
        return self.ignore_label is not None and bool((labels == self.ignore_label).all())

    def accuracy(self, predicted: np.ndarray, labels: np.ndarray) -> float:
        """Share of the labelled pixels that are right; 0 if none is labelled."""
        labelled = labels != (-1 if self.ignore_label is None else self.ignore_label)
        return float((predicted == labels)[labelled].mean()) if labelled.any() else 0.0

    def _not_finite(self, what: str, step: int, where: str) -> NonFiniteError:
        kept = f"; the last good checkpoint is {self.checkpoint}" if self.checkpoint else ""
        return NonFiniteError(f"{what} at step {step + 1}, {where}{kept}. "
                              f"Lower the learning rate ({self.recipe.learning_rate})")  # fmt: skip


def make_optimizer(model: Network, recipe: Recipe) -> optim.Optimizer:
    """The optimizer that a recipe names."""
    settings: dict[str, Any] = {name: getattr(recipe, name) for name in ("learning_rate", "weight_decay", "bias_rate")}
    settings["decayed"] = recipe.decayed.split("_")
    if recipe.optimizer == "adam":
        return optim.Adam(model, **settings)
    return optim.SGD(model, momentum=recipe.momentum, rate_in_velocity=recipe.optimizer == "caffe_sgd", **settings)


def _class_weights(recipe: Recipe, data: Dataset) -> np.ndarray | None:
    if recipe.class_weights == "none":
        return None
    weights = median_frequency_weights if recipe.class_weights == "median_frequency" else sqrt_median_frequency_weights
    return weights(count_pixels(data))


def _first_bad_layer(model: Network, images: np.ndarray) -> str:
    """In words: the first layer whose parameters are not finite, or else whose output is not, found with a copy."""
    bad = _first_bad(model.named_parameters())
    if bad:
        return f"first in {bad}"
    x = images
    for name, layer in copy.deepcopy(model.layers).items():  # training=True moves running statistics
        x = layer.forward(x, training=True)
        if not np.isfinite(x).all():
            return f"first in the output of {name}"
    return "in the loss itself"


def _first_bad(named: optim.Named) -> str | None:
    """The name of the first array with a number that is not finite."""
    return next((name for name, array in named if not np.isfinite(array).all()), None)
