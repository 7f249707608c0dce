"""The checks before training, one step (forward, loss, backward, update), and how to recognise divergence.

An error about a non-finite value names the first layer in which one occurs.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset, check_dataset, num_batches, read_sample
from ..errors import DataError, NonFiniteError, SettingError
from ..models import Network
from ..models.picture_passes import backward_pictures, batch_tape, forward_pictures
from ..runtime.distributed import Communicator, SplitBatch
from . import optim
from .optim import schedule
from .recipes import Recipe
from .training_loss import TrainingLoss, check_loss_fits

PATIENCE = 3  # epochs; the first steps at a high learning rate may be worse than guessing
NOWHERE = "in the loss itself"
EXPLODED = 24  # then an average pixel's true class has a probability below K^-24; float32's rounding unit is 2^-24


def check_training(model: Network, data: Dataset, val: Dataset | None, recipe: Recipe) -> None:
    """Raise SettingError or DataError unless network, recipe and data fit together and some pixel is labelled."""
    if not isinstance(recipe, Recipe):
        raise SettingError(f"recipe: {type(recipe).__name__} is not a tinysegnet.Recipe.")
    palette, ignore = data.palette, data.palette.ignore_label
    if model.num_classes != palette.num_classes:
        raise SettingError(f"the network has {model.num_classes} classes, but {data.name} has {palette.num_classes}. "
                           f"Build it with num_classes={palette.num_classes}.")  # fmt: skip
    model.check_size(recipe.size)
    check_loss_fits(model, recipe)
    if val is not None and (check_dataset(val).palette.names, val.palette.ignore_label) != (palette.names, ignore):
        raise DataError(f"{val.name}: the classes differ from those of {data.name}. Use validation pictures with the "
                        "same class names, in the same order, and the same ignore_label.")  # fmt: skip
    labels = (read_sample(data, i).labels for i in range(len(data)))
    if all((of_picture == ignore).all() for of_picture in labels):  # stops at the first labelled picture
        raise DataError(f"{data.name}: no pixel is labelled. Check the label maps.")


def check_ranks(communicator: Communicator, data: Dataset, recipe: Recipe) -> None:
    """Wait for all processes. Raise SettingError unless they can share the batches of this recipe."""
    if len(set(communicator.allgather((recipe, len(data))))) > 1:
        raise SettingError("the processes have different settings or data. Start all of them with the same command.")
    if communicator.size == 1:
        return
    if recipe.reduction != "tree":
        raise SettingError(f"{communicator.size} processes need reduction tree, but the recipe has {recipe.reduction}.")
    largest = -(-len(data) // num_batches(data, recipe.batch_size))
    if communicator.size > largest:
        raise SettingError(f"{communicator.size} processes cannot share batches of {largest}, because each needs a "
                           f"picture. Start at most {largest}, or choose a larger batch_size.")  # fmt: skip


class TrainingStep:
    """The training step of a recipe, with its optimizer and its loss on `data`.

    Args:
        total_steps: number of steps of the whole training run, for the schedule.
        checkpoint: the file that an error about non-finite values recommends, or None if nothing is saved.
        communicator: connects the processes that share each batch; the default is one process.
    """

    def __init__(self, model: Network, data: Dataset, recipe: Recipe, total_steps: int, checkpoint: Path | None,
                 communicator: Communicator | None = None) -> None:  # fmt: skip
        self.model, self.recipe, self.checkpoint = model, recipe, checkpoint
        self.communicator = communicator or Communicator()
        self.ignore_label = data.palette.ignore_label
        self.loss = TrainingLoss(model, data, recipe, self.communicator)
        self.class_weights, self.guess = self.loss.class_weights, self.loss.guess
        self.steps_per_epoch = num_batches(data, recipe.batch_size)
        self.optimizer = make_optimizer(model, recipe)
        self.rate_factor: Callable[[int], float]  # the factor for the learning rate in a step
        self.follow_schedule(total_steps)

    def follow_schedule(self, total_steps: int) -> None:
        """Take the learning rates from the recipe's schedule over this number of steps."""
        self.rate_factor = partial(schedule, self.recipe.schedule, total_steps=total_steps)

    def run(self, images: np.ndarray, labels: np.ndarray, step: int) -> tuple[float, np.ndarray]:
        """Train on images (N, H, W, 3) float32 in 0..255 and labels (N, H, W) uint8. Steps are counted from 0.

        If several processes share the batch, each gives its own pictures.

        Returns the loss of the whole batch, and the logits (N, H, W, num_classes) before the update. Raises
        NonFiniteError if the loss or a gradient is not finite.
        """
        # the dropout masks depend only on the seed and the step, so that a resumed run draws the same masks
        seed = self.recipe.seed, step
        if self.recipe.reduction == "tree":
            batch = SplitBatch.of_own(self.communicator, len(images))
            tape = batch_tape(batch, seed)
            outputs = forward_pictures(self.model, images, tape)
            loss, dlogits = self.loss.of_pictures(outputs, labels, self.ignore_label, batch)
            self._check_loss(loss, step, images)
            backward_pictures(self.model, dlogits, tape, batch)
            none = np.empty((0, *labels.shape[1:], self.model.config["num_classes"]), self.model.dtype)
            logits = np.concatenate([none, *outputs])
        else:
            self.model.reseed(*seed)
            logits = self.model.forward(images, training=True)
            loss, caches = self.loss.forward(logits, labels, self.ignore_label)
            self._check_loss(loss, step, images)
            self.model.backward(self.loss.backward(caches), input_gradient=False)
        bad = _first_bad(self.model.named_gradients())
        if bad:
            raise self._not_finite("a gradient is not finite", step, f"first in {bad}")
        self.optimizer.step(self.rate_factor(step))
        return loss, logits

    def is_void(self, labels: np.ndarray) -> bool:
        """Return whether no pixel is labelled. The gradient is then 0, so a step would only decay the weights."""
        return not self.communicator.any((labels != self.ignore_label).any())

    def _check_loss(self, loss: float, step: int, images: np.ndarray) -> None:
        if not np.isfinite(loss):
            found = self.communicator.allgather(_first_bad_layer(self.model, images))
            where = next((layer for layer in found if layer != NOWHERE), NOWHERE)
            raise self._not_finite(f"the loss is {loss}", step, where)

    def _not_finite(self, what: str, step: int, where: str) -> NonFiniteError:
        there = self.checkpoint and self.checkpoint.exists()
        kept = f" The last good checkpoint is {self.checkpoint}." if there else ""
        epoch = step // self.steps_per_epoch + 1
        return NonFiniteError(f"training has diverged in epoch {epoch}: {what} at step {step + 1}, {where}.{kept} "
                              f"{lower_rate(self.recipe.learning_rate)}")  # fmt: skip


def describe_divergence(history: Sequence[Mapping[str, float]], guess: float, learning_rate: float) -> str:
    """Return a line with the epoch since which training has diverged and the remedy, or "" if it has not diverged.

    An epoch is bad if its loss is more than twice the loss of guessing. Training has diverged if the last PATIENCE
    epochs are bad, or if one of the latest bad epochs exceeds EXPLODED times that loss. `history` has rows with "epoch"
    and "train_loss". `guess` is the loss of equal probabilities for all classes, ln K times the mean class weight.
    """
    factors = [row["train_loss"] / guess for row in history]
    good = max((i for i, factor in enumerate(factors, 1) if factor <= 2), default=0)  # epochs up to the last good one
    if len(factors) - good < PATIENCE and all(factor <= EXPLODED for factor in factors[good:]):
        return ""
    epoch, loss = history[good]["epoch"], history[good]["train_loss"]
    return (f"training has diverged since epoch {epoch}: its loss was {loss:.3g}, but guessing gives {guess:.3g}. Only "
            f"checkpoints of earlier epochs are useful. {lower_rate(learning_rate)}")  # fmt: skip


def lower_rate(learning_rate: float) -> str:
    """Return the advice to start again, because a resumed run keeps its learning rate."""
    return f"Lower the learning rate ({learning_rate:g}): start a new run with --learning-rate {learning_rate / 10:g}."


def make_optimizer(model: Network, recipe: Recipe) -> optim.Optimizer:
    """Create the optimizer that a recipe names."""
    settings: dict[str, Any] = {name: getattr(recipe, name) for name in ("learning_rate", "weight_decay", "bias_rate")}
    settings["decayed"] = recipe.decayed.split("_")
    if recipe.optimizer == "adam":
        return optim.Adam(model, **settings)
    return optim.SGD(model, momentum=recipe.momentum, rate_in_velocity=recipe.optimizer == "caffe_sgd", **settings)


def _first_bad_layer(model: Network, images: np.ndarray) -> str:
    """Find the first layer with non-finite parameters, or else with non-finite output, and describe it in words."""
    bad = _first_bad(model.named_parameters())
    if bad:
        return f"first in {bad}"
    x = images
    if not len(x):
        return NOWHERE
    for name, layer in copy.deepcopy(model.layers).items():  # a copy, because training=True updates running statistics
        x = layer.forward(x, training=True)
        if not np.isfinite(x).all():
            return f"first in the output of {name}"
    return NOWHERE


def _first_bad(named: optim.Named) -> str | None:
    with np.errstate(all="ignore"):  # a sum is the fastest test; where it overflows, each number is tested
        return next((name for name, array in named if not (np.isfinite(array.sum()) or np.isfinite(array).all())), None)
