"""The training loop.

    for each epoch:  for each batch:  forward, loss, backward, step
                     validate, write metrics.csv and checkpoints

The settings come from a `Recipe` (see `recipes`). The results are written to the folder `runs/<name>/`.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .. import runtime
from ..data import Augment, Dataset, batches, check_dataset, num_batches
from ..data.picture_statistics import TrainingPictures
from ..errors import CheckpointError, SettingError
from ..metrics import Scores
from ..models import Network, check_network
from ..prediction.evaluate import evaluate
from ..runtime.distributed import Communicator
from ..runtime.progress import TrainingProgress, hidden, say
from ..weights.checkpoint import Checkpoint
from .batchnorm_statistics import recompute_statistics
from .recipes import Recipe, recipe_for
from .run_folder import SCORE_COLUMNS, RunFolder, has_stalled
from .signals import stop_requests
from .training_step import TrainingStep, check_ranks, check_training, describe_divergence
from .weight_average import WeightAverage


@dataclass(frozen=True)
class TrainingResult:
    """The result of `fit`."""

    history: list[dict[str, float]]  # per epoch: its row of metrics.csv
    scores: Scores | None  # on the validation data after the last epoch; None without validation data
    void_batches: int  # number of batches that were skipped because they had no labelled pixel
    seconds: float  # duration of the whole loop
    stalled: str = ""  # if training ended early, a line that says so
    diverged: str = ""  # if training has diverged, a line that says when, and what to do


@dataclass
class Progress:
    """The state from which, together with the model and the optimizer, training resumes bit for bit."""

    generator: dict[str, Any]  # state of the random generator at the beginning of the epoch
    epoch: int = 1  # the current epoch, counted from 1
    batch: int = 0  # the next batch of the epoch, counted from 0
    step: int = 0  # steps so far, including void batches
    loss_sum: float = 0.0  # sum of the losses in this epoch so far
    loss_count: int = 0  # number of losses in the sum
    void_batches: int = 0  # batches without a labelled pixel so far
    best: float = -math.inf  # highest validation mIoU so far
    seconds: float = 0.0  # training time so far
    history: list[dict[str, float]] = field(default_factory=list)  # one row per finished epoch


def fit(
    model: Network,
    data: Dataset,
    val: Dataset | None = None,
    *,
    recipe: Recipe | None = None,
    run: RunFolder | None = None,
    progress: bool = True,
    on_epoch: Callable[[list[dict[str, float]]], None] | None = None,
    communicator: Communicator | None = None,
) -> TrainingResult:
    """Train a network in place.

    After Ctrl-C or SIGTERM, `fit` finishes the batch, saves, and raises KeyboardInterrupt. A second signal stops it at
    once. `tinysegnet.write_report` writes the report of a finished run.

    Args:
        model: the network, whose parameters and running statistics change.
        data: the training data.
        val: the validation data; None skips validation.
        recipe: the training settings; the default is `recipe_for(data)`.
        run: the folder for configuration, metrics and checkpoints; None saves nothing. A run that was opened by
            `RunFolder.resume` continues where it stopped, with its own weights.
        progress: show the phase, the loss and the time left, on one line in a terminal or a notebook. If stderr is a
            file or a pipe, this is one line per epoch.
        on_epoch: called with the history after each epoch: a list with one row per finished epoch, a dictionary with
            the columns of metrics.csv and `learning_rate`. It can update a plot, or log to TensorBoard:

                def log(history):
                    for name, value in history[-1].items():
                        writer.add_scalar(name, value, history[-1]["epoch"])

            Scores are NaN in epochs without validation. An error in this function ends the training after the epoch,
            which is saved before.
        communicator: connects the processes that share each batch. All of them call `fit` with the same arguments, and
            the reduction of the recipe must be tree. Only rank 0 writes to the folder and calls `on_epoch`.

    Raises:
        NonFiniteError: the loss or a gradient is not finite. Earlier checkpoints are kept.
        SettingError: network and data have different numbers of classes, or there is patience without `val`.
        DataError: no pixel of the data is labelled, or another training run is writing to the folder.
    """
    runtime.keep_freed_memory()
    check_network(model)
    check_dataset(data)
    recipe, ranks = recipe or recipe_for(data), communicator or Communicator()
    with hidden(not progress or ranks.rank > 0):
        return _Training(model, data, val, recipe, run, on_epoch, ranks).run()


class _Training:
    """The state and the steps of a single call of `fit`."""

    def __init__(self, model: Network, data: Dataset, val: Dataset | None, recipe: Recipe, run: RunFolder | None,
                 on_epoch: Callable[[list[dict[str, float]]], None] | None, ranks: Communicator) -> None:  # fmt: skip
        self.model, self.data, self.val, self.recipe, self.ranks = model, data, val, recipe, ranks
        check_training(model, data, val, recipe)
        check_ranks(ranks, data, recipe)
        self.folder, self.plan_began = run if ranks.rank == 0 else None, run.plan_began if run else 0
        if val is None and recipe.patience is not None:
            raise SettingError("patience: there are no validation pictures to wait for. Pass val, or patience=None.")
        self.on_epoch = on_epoch if on_epoch and ranks.rank == 0 else lambda _: None
        model.freeze("encoder" if recipe.freeze_encoder else None)
        self.rng = np.random.default_rng(recipe.seed)
        self.augment = Augment(recipe.flip, recipe.scale, recipe.color_jitter)
        self.batches_per_epoch = num_batches(data, recipe.batch_size)
        self.epochs = recipe.num_epochs(self.batches_per_epoch)
        total = self.epochs * self.batches_per_epoch
        if self.folder and self.folder.input is None and (pictures := TrainingPictures.of(data)):
            self.folder.input = asdict(pictures)
        last = run.path / "last.safetensors" if run else None
        self.training_step = TrainingStep(model, data, recipe, total, last, ranks)
        self.average = WeightAverage(model, recipe.weight_average)
        self.state = Progress(self.rng.bit_generator.state)  # type: ignore[arg-type]
        if run and run.resumed:
            self._restore(run.resumed)
        else:
            for name, array in model.named_parameters():
                if name.endswith(".beta") and not array.any():  # only untrained betas are 0
                    array[...] = recipe.initial_beta
        steps = (self.epochs + 1 - self.state.epoch) * self.batches_per_epoch - self.state.batch
        # the epochs of an older run had fewer steps, but its schedule ends with its last step too
        total = self.state.step + steps
        self.training_step.follow_schedule(total)
        self.scores: Scores | None = None
        self.saved = False  # whether a stopped run is saved
        self.began = time.perf_counter() - self.state.seconds
        validations = sum(self._is_validated(epoch) for epoch in range(self.state.epoch, self.epochs + 1))
        self.turns = -(-len(val or ()) // ranks.size)  # of a validation
        left = {"training": steps, "validating": validations * self.turns,
                "saving": self.epochs + 1 - self.state.epoch}  # fmt: skip
        if passes := sum(self._has_statistics(epoch) for epoch in range(self.state.epoch, self.epochs + 1)):
            left["statistics"] = passes * self.batches_per_epoch
        self.progress = TrainingProgress(self.epochs, total, left)

    def _restore(self, saved: Checkpoint) -> None:
        self.model.load_state(saved.model.state())
        try:
            self.state = p = Progress(**saved.progress)
            steps = p.step - p.void_batches
            self.training_step.optimizer.load_state(self.average.load_state(saved.optimizer, steps), steps)
            self.rng.bit_generator.state = p.generator
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(f"the checkpoint lacks training state: {error}") from error

    def run(self) -> TrainingResult:
        with self.progress, self.folder.held() if self.folder else nullcontext():
            with stop_requests() as self.requests:
                try:
                    self._train()
                except KeyboardInterrupt:
                    if self.folder and not self.saved:  # Ctrl-C was pressed twice
                        say(self.folder.stopped_at_once())
                    raise
            if self.scores is None and self.val is not None:  # the run had finished before it was resumed
                with self.folder.finishing() if self.folder else nullcontext():
                    self.scores = self._evaluate(self.epochs, self.val)
        p = self.state
        stalled = ""
        if p.epoch <= self.epochs:
            stalled = f"stopped after epoch {p.epoch - 1} of {self.epochs}, because the best mIoU is still {p.best:.3f}"
        return TrainingResult(p.history, self.scores, p.void_batches, p.seconds, stalled, self._divergence())

    def _has_stalled(self) -> bool:
        return has_stalled(self.state.history, self.recipe.patience, self.plan_began)

    def _train(self) -> None:
        if self.folder:
            self.folder.begin()
        while self.state.epoch <= self.epochs and not self._has_stalled():
            self._train_epoch()
            self._end_epoch()
            if self._must_stop():  # Ctrl-C was pressed while the checkpoints were written
                self._save_and_stop()

    def _train_epoch(self) -> None:
        p, recipe = self.state, self.recipe
        self.average.restore()
        self.progress.begin("training", p.epoch)
        settings: dict[str, Any] = {"size": recipe.size, "rng": self.rng, "augment": self.augment, "start": p.batch,
                                    "own": self.ranks.share}  # fmt: skip
        for images, labels in batches(self.data, recipe.batch_size, **settings):
            if self.training_step.is_void(labels):
                p.void_batches += 1
                if p.void_batches == 1:
                    warnings.warn("A batch has no labelled pixel and is skipped. Later void batches will be skipped "
                                  "silently.", UserWarning, stacklevel=2)  # fmt: skip
            else:
                loss, _ = self.training_step.run(images, labels, p.step)
                self.average.update(self.training_step.optimizer.steps)
                p.loss_sum += loss
                p.loss_count += 1
                self.progress.facts["loss"] = loss
            p.step += 1
            p.batch += 1
            self.progress.advance()
            if self._must_stop():
                self._save_and_stop()

    def _must_stop(self) -> bool:
        """Return whether a process was asked to stop. All of them then stop after the same step."""
        return self.ranks.any(self.requests.stop)

    def _end_epoch(self) -> None:
        p, recipe = self.state, self.recipe
        self.average.apply()
        if self._has_statistics(p.epoch):
            self.progress.begin("statistics", p.epoch, self.batches_per_epoch)
            recompute_statistics(self.model, self.data, size=recipe.size, batch_size=recipe.batch_size,
                                 progress=self._until_stopped,
                                 communicator=self.ranks if recipe.reduction == "tree" else None)  # fmt: skip
        rate = recipe.learning_rate * self.training_step.rate_factor(p.step - 1)
        loss = p.loss_sum / p.loss_count if p.loss_count else 0.0  # the mean over the batches that were not void
        row = {"epoch": p.epoch, "train_loss": loss, "learning_rate": rate}
        row |= self._validate(p.epoch)
        self.progress.begin("saving", p.epoch)
        p.seconds = time.perf_counter() - self.began
        p.history.append({**row, "seconds": p.seconds})
        p.epoch, p.batch, p.loss_sum, p.loss_count = p.epoch + 1, 0, 0.0, 0
        p.generator = self.rng.bit_generator.state  # type: ignore[assignment]
        if self.folder:
            self.folder.record(self.model, self.scores, p, self._arrays())
        if diverged := self._divergence():
            warnings.warn(diverged, UserWarning, stacklevel=2)  # the same text is shown only once
        self.on_epoch(p.history)
        self.progress.advance()
        self.progress.end_epoch(p.history[-1])

    def _divergence(self) -> str:
        return describe_divergence(self.state.history, self.training_step.guess, self.recipe.learning_rate)

    def _save_and_stop(self) -> None:
        p = self.state
        p.seconds = time.perf_counter() - self.began
        self.average.apply()
        if self.folder:
            self.folder.save(self.model, self.scores, p, self._arrays())
            self.saved = True
            say(f"Saved at step {p.step}. To continue: {self.folder.how_to_go_on}")
        raise KeyboardInterrupt

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays of the training state that are not in the network."""
        return self.training_step.optimizer.state() | self.average.state()

    def _validate(self, epoch: int) -> dict[str, float]:
        columns = [*SCORE_COLUMNS, *(f"IoU {name}" for name in self.data.palette.names)]
        if self.val is None or not self._is_validated(epoch):
            self.scores = None
            return dict.fromkeys(columns, np.nan)
        self.scores = scores = self._evaluate(epoch, self.val)
        return dict(zip(columns, (scores.G, scores.C, scores.mIoU, *scores.IoU.tolist()), strict=True))

    def _is_validated(self, epoch: int) -> bool:
        return epoch % self.recipe.validate_every == 0 or epoch == self.epochs

    def _has_statistics(self, epoch: int) -> bool:
        """Return whether batch norm's statistics are recomputed after this epoch."""
        averaged, exact = self.average.decay > 0, self.recipe.statistics == "exact"
        if epoch == self.epochs:
            return averaged or exact
        may_be_last = exact and self.recipe.patience is not None
        return (averaged or may_be_last) and self.val is not None and self._is_validated(epoch)

    def _evaluate(self, epoch: int, val: Dataset) -> Scores:
        self.progress.begin("validating", epoch, self.turns)
        settings: dict[str, Any] = {"progress": self._until_stopped, "communicator": self.ranks}
        return evaluate(self.model, val, **self.recipe.prediction, **settings)

    def _until_stopped(self, samples: Iterable[Any]) -> Iterator[Any]:
        """Allow stopping during the work at the end of an epoch, which a resumed run repeats."""
        for sample in samples:
            if self._must_stop():
                self._save_and_stop()
            yield sample
            self.progress.advance()
