"""Training: the loop, and the folder that remembers it.

    for each epoch:  for each batch:  forward, loss, backward, step
                     validate, write metrics.csv and checkpoints
    then:            curves, overlays, report.html

A `Recipe` (`recipes`) says how; the `runs/<name>/` folder keeps what came of it.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import runtime
from ..data import (
    Augment,
    Dataset,
    batches,
    check_dataset,
    count_pixels,
    median_frequency_weights,
    num_batches,
    read_sample,
    sqrt_median_frequency_weights,
)
from ..errors import CheckpointError, DataError, NonFiniteError, SettingError
from ..metrics import Scores
from ..models import Network, check_network
from ..ops import cross_entropy_for
from ..prediction import class_logits, evaluate
from ..weights.checkpoint import Checkpoint
from . import optim
from .batchnorm_statistics import recompute_statistics
from .recipes import Recipe, recipe_for
from .run_folder import RunFolder
from .signals import StopRequests, stop_requests

__all__ = ["Progress", "Recipe", "TrainingResult", "fit", "recipe_for"]


@dataclass(frozen=True)
class TrainingResult:
    """history: a dict per epoch, the rows of metrics.csv and the learning rate of its last step.

    scores: of the last epoch on the validation set, if any.
    void_batches: how many batches had no labelled pixel and were left out. seconds: of the whole loop.
    """

    history: list[dict[str, float]]
    scores: Scores | None
    void_batches: int
    seconds: float


@dataclass
class Progress:
    """Where a training stands: with the model and the optimizer, all that it needs to go on bit for bit.

    epoch, batch: the one to do next. generator: the state of the random generator at the epoch's beginning.
    loss_sum, loss_count: of the epoch so far. best: highest validation mIoU. seconds: spent until now.
    """

    generator: dict[str, Any]
    epoch: int = 1
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    void_batches: int = 0
    best: float = -math.inf
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    model: Network,
    data: Dataset,
    val: Dataset | None = None,
    *,
    recipe: Recipe | None = None,
    run: RunFolder | None = None,
    progress: bool = True,
    on_epoch: Callable[[list[dict[str, float]]], None] | None = None,
) -> TrainingResult:
    """Train a model in place on `data`; validate on `val`.

    recipe: default `recipe_for(data)`. run: the folder that keeps metrics, checkpoints and the report; None keeps
    nothing. A run that `RunFolder.resume` opened goes on where it stopped, with the weights it had. progress: show a
    bar. on_epoch: called with the history after each epoch, such as a `viz.LivePlot`.

    Ctrl-C (and SIGTERM) finishes the batch, saves, and raises KeyboardInterrupt; a second one stops at once. Raises
    NonFiniteError when a loss or gradient is no longer a number; checkpoints written before are kept. Raises
    SettingError for a network of another number of classes, and DataError for data that cannot be learned from.
    """
    runtime.keep_freed_memory()
    check_network(model)
    check_dataset(data)
    recipe = recipe or recipe_for(data)
    return _Training(model, data, val, recipe, run, progress, on_epoch).run()


class _Training:
    """One call of `fit`."""

    def __init__(self, model: Network, data: Dataset, val: Dataset | None, recipe: Recipe, run: RunFolder | None,
                 progress: bool, on_epoch: Callable[[list[dict[str, float]]], None] | None) -> None:  # fmt: skip
        self.model, self.data, self.val, self.recipe, self.folder = model, data, val, recipe, run
        _demand_fitting(model, data, val, recipe)
        self.on_epoch = on_epoch or (lambda history: None)
        self.ignore_label = data.palette.ignore_label
        self.class_weights = _class_weights(recipe, data)
        model.freeze("encoder" if recipe.freeze_encoder else None)
        self.optimizer = make_optimizer(model, recipe)
        self.rng = np.random.default_rng(recipe.seed)
        self.augment = Augment(recipe.flip, recipe.scale, recipe.color_jitter)
        steps = num_batches(data, recipe.batch_size)
        self.epochs = recipe.num_epochs(steps)
        self.total_steps = self.epochs * steps
        self.progress = Progress(self.rng.bit_generator.state)  # type: ignore[arg-type]
        if run and run.resumed:
            self._go_on(run.resumed)
        else:
            _start_betas(model, recipe.initial_beta)
        self.requests = StopRequests()
        self.scores: Scores | None = None
        self.began = time.perf_counter() - self.progress.seconds
        self.bar = tqdm(total=self.total_steps, initial=self.progress.step, unit="batch", disable=not progress,
                        dynamic_ncols=True, smoothing=0.05)  # fmt: skip

    def _go_on(self, saved: Checkpoint) -> None:
        """Take weights, optimizer, generator and counters from a checkpoint."""
        self.model.load_state(saved.model.state())
        try:
            self.progress = p = Progress(**saved.progress)
            self.optimizer.load_state(saved.optimizer, p.step - p.void_batches)
            self.rng.bit_generator.state = p.generator
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(f"the checkpoint does not say where the training stood: {error}") from error

    def run(self) -> TrainingResult:
        with self.bar, self.folder.held() if self.folder else nullcontext():
            with stop_requests() as self.requests:
                if self.folder:
                    self.folder.begin()
                while self.progress.epoch <= self.epochs:
                    self._train_epoch()
                    self._end_epoch()
                    if self.requests.stop:  # asked for while the checkpoints were written
                        self._save_and_stop()
            self.bar.close()
            try:
                self._finish()
            except KeyboardInterrupt:
                if self.folder:
                    print(f"trained, but without a report: {self.folder.how_to_go_on}", file=sys.stderr)
                raise
        p = self.progress
        return TrainingResult(p.history, self.scores, p.void_batches, p.seconds)

    def _finish(self) -> None:
        p = self.progress
        if self.scores is None and self.val is not None:  # a run that was resumed after its last epoch
            self.scores = evaluate(self.model, self.val, **self.recipe.prediction)
        if self.folder:
            self.folder.finish(
                self.model, self.data, self.val, history=p.history, scores=self.scores, seconds=p.seconds
            )

    def _train_epoch(self) -> None:
        """The batches of an epoch that are not done yet."""
        p, recipe = self.progress, self.recipe
        p.generator = self.rng.bit_generator.state  # type: ignore[assignment]
        self.bar.set_description(f"epoch {p.epoch}/{self.epochs}")
        settings: dict[str, Any] = {"size": recipe.size, "rng": self.rng, "augment": self.augment, "start": p.batch}
        for images, labels in batches(self.data, recipe.batch_size, **settings):
            if self._is_void(labels):
                self._count_void()
            else:
                p.loss_sum += self._step(images, labels)
                p.loss_count += 1
            p.step += 1
            p.batch += 1
            self.bar.update()
            if self.requests.stop:
                self._save_and_stop()

    def _end_epoch(self) -> None:
        p, recipe = self.progress, self.recipe
        if p.epoch == self.epochs and recipe.statistics == "exact":
            recompute_statistics(self.model, self.data, size=recipe.size, batch_size=recipe.batch_size,
                                 progress=self._until_stopped)  # fmt: skip
        # the mean loss of the batches that taught something; 0 if none did
        rate = recipe.learning_rate * self._schedule(p.step - 1)
        row = {"epoch": p.epoch, "train_loss": p.loss_sum / max(p.loss_count, 1), "learning_rate": rate}
        row |= self._validate(p.epoch)
        p.seconds = time.perf_counter() - self.began
        p.history.append({**row, "seconds": p.seconds})
        p.epoch, p.batch, p.loss_sum, p.loss_count = p.epoch + 1, 0, 0.0, 0
        p.generator = self.rng.bit_generator.state  # type: ignore[assignment]
        if self.folder:
            self.folder.record(self.model, p.history, self.scores, progress=p, optimizer=self.optimizer.state())
        self.on_epoch(p.history)

    def _save_and_stop(self) -> None:
        p = self.progress
        p.seconds = time.perf_counter() - self.began
        if self.folder:
            self.folder.save(self.model, p.history, self.scores, progress=p, optimizer=self.optimizer.state())
            self.bar.write(f"saved at step {p.step}: {self.folder.how_to_go_on}", file=sys.stderr)
        raise KeyboardInterrupt

    def _step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Forward, loss, backward, update; -> the loss."""
        # the masks of dropout follow from the step alone, so that a run that goes on draws the same ones
        self.model.reseed(self.recipe.seed, self.progress.step)
        logits = self.model.forward(images, training=True)
        loss_forward, loss_backward = cross_entropy_for(logits)
        loss, cache = loss_forward(logits, labels, class_weights=self.class_weights, ignore_label=self.ignore_label)
        if not np.isfinite(loss):
            raise self._not_finite(f"the loss is {loss}", first_bad_layer(self.model, images))
        self.model.backward(loss_backward(1.0, cache), input_gradient=False)
        bad = next((name for name, g in self.model.named_gradients() if not np.isfinite(g).all()), None)
        if bad:
            raise self._not_finite("a gradient is not finite", f"first in {bad}")
        self.optimizer.step(self._schedule(self.progress.step))
        if not self.bar.disable:
            accuracy = _accuracy(class_logits(logits[:, ::4, ::4]), labels[:, ::4, ::4], self.ignore_label)
            self.bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
        return float(loss)

    def _not_finite(self, what: str, where: str) -> NonFiniteError:
        kept = f"; the last good checkpoint is {self.folder.path / 'last.safetensors'}" if self.folder else ""
        return NonFiniteError(f"{what} at step {self.progress.step + 1}, {where}{kept}. "
                              f"Lower the learning rate ({self.recipe.learning_rate})")  # fmt: skip

    def _schedule(self, step: int) -> float:
        """Factor of the learning rate."""
        return optim.schedule(self.recipe.schedule, step, self.total_steps)

    def _is_void(self, labels: np.ndarray) -> bool:
        return self.ignore_label is not None and bool((labels == self.ignore_label).all())

    def _count_void(self) -> None:
        """A batch without labels has loss 0 and gradient 0: a step would only let the weights decay."""
        self.progress.void_batches += 1
        if self.progress.void_batches == 1:
            warnings.warn("a batch has no labelled pixel and is left out; more are counted, not shown",
                          UserWarning, stacklevel=2)  # fmt: skip

    def _validate(self, epoch: int) -> dict[str, float]:
        if self.val is None or (epoch % self.recipe.validate_every and epoch != self.epochs):
            self.scores = None
            return {"val_G": np.nan, "val_C": np.nan, "val_mIoU": np.nan}
        self.scores = scores = evaluate(self.model, self.val, **self.recipe.prediction,
                                        progress=self._until_stopped)  # fmt: skip
        if not self.bar.disable:
            self.bar.write(f"epoch {epoch}: validation G {scores.G:.3f}  C {scores.C:.3f}  mIoU {scores.mIoU:.3f}")
        return {"val_G": scores.G, "val_C": scores.C, "val_mIoU": scores.mIoU}

    def _until_stopped(self, samples: Iterable[Any]) -> Iterator[Any]:
        """A stop does not wait for the rest of what ends an epoch: resumed, one without batches left repeats it."""
        for sample in samples:
            if self.requests.stop:
                self._save_and_stop()
            yield sample


def _demand_fitting(model: Network, data: Dataset, val: Dataset | None, recipe: Recipe) -> None:
    """What can be known before the first step: classes agree, and there is something to learn."""
    if not isinstance(recipe, Recipe):
        raise SettingError(f"recipe: {type(recipe).__name__} (expected a tinysegnet.Recipe)")
    if model.num_classes != data.palette.num_classes:
        one_logit = model.config["num_classes"] == 1
        tells = "one logit, which tells 2 classes" if one_logit else f"{model.num_classes} classes"
        raise SettingError(f"the network has {tells}, {data.name} has {data.palette.num_classes}: build it with "
                           f"num_classes={data.palette.num_classes}")  # fmt: skip
    model.demand_size(recipe.size)
    if val is not None and _meaning(check_dataset(val)) != _meaning(data):
        raise DataError(f"{val.name}: other classes than {data.name} (expected the same names in the same order, and "
                        "the same ignore_label). Validate on pictures that were labelled alike")  # fmt: skip
    if not any(_is_labelled(data, i) for i in range(len(data))):  # the first one, mostly
        raise DataError(f"{data.name}: no pixel is labelled (expected at least one class). Check the label maps")


def _meaning(data: Dataset) -> tuple[tuple[str, ...], int | None]:
    return data.palette.names, data.palette.ignore_label


def _is_labelled(data: Dataset, index: int) -> bool:
    return bool((read_sample(data, index).labels != data.palette.ignore_label).any())


def first_bad_layer(model: Network, images: np.ndarray) -> str:
    """In words: the first layer whose output is not finite, or whose parameters are not."""
    bad = next((name for name, a in model.named_parameters() if not np.isfinite(a).all()), None)
    if bad:
        return f"first in {bad}"
    x = images
    for name, layer in model.layers.items():
        x = layer.forward(x, training=True)
        if not np.isfinite(x).all():
            return f"first in the output of {name}"
    return "in the loss itself"


def make_optimizer(model: Network, recipe: Recipe) -> optim.Optimizer:
    """The optimizer that a recipe names."""
    settings: dict[str, Any] = {name: getattr(recipe, name) for name in ("learning_rate", "weight_decay", "bias_rate")}
    settings["decayed"] = recipe.decayed.split("_")
    if recipe.optimizer == "adam":
        return optim.Adam(model, **settings)
    return optim.SGD(model, momentum=recipe.momentum, rate_in_velocity=recipe.optimizer == "caffe_sgd", **settings)


def _start_betas(model: Network, value: float) -> None:
    """Only where a beta is 0: one that was trained stays."""
    for name, array in model.named_parameters():
        if name.endswith(".beta") and not array.any():
            array[...] = value


def _class_weights(recipe: Recipe, data: Dataset) -> np.ndarray | None:
    kinds: dict[str, Callable] = {"median_frequency": median_frequency_weights,
                                  "sqrt_median_frequency": sqrt_median_frequency_weights}  # fmt: skip
    return kinds[recipe.class_weights](count_pixels(data)) if recipe.class_weights in kinds else None


def _accuracy(logits: np.ndarray, labels: np.ndarray, ignore_label: int | None) -> float:
    labelled = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
    right = logits.argmax(-1) == labels
    return float(right[labelled].mean()) if labelled.any() else 0.0
