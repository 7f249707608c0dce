"""The last checkpoint belongs to its own epoch: its best score so far, its scores, and the epoch that errors name."""

import dataclasses

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import NonFiniteError
from tinysegnet.training import Progress, Recipe, fit
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import TrainingStep
from tinysegnet.weights import checkpoint

SIZE = (20, 28)


def model():
    return ts.build("tiny", width=1 / 16)


def row(epoch, mIoU):
    return {"epoch": epoch, "train_loss": 0.5, "val_G": 0.5, "val_C": 0.5, "val_mIoU": mIoU, "seconds": 1.0}


@pytest.mark.parametrize("scores", [(0.3, 0.5, 0.4), (0.5, 0.25), (np.nan, 0.25, np.nan, 0.125)])
def test_a_resumed_run_knows_the_best_score_of_every_epoch_before(tmp_path, scores):
    folder, progress, network = RunFolder(tmp_path / "run", {"size": SIZE}, CAMVID), Progress({"state": 1}), model()
    folder.begin()
    for epoch, mIoU in enumerate(scores, 1):
        progress.history.append(row(epoch, mIoU))
        folder.record(network, None, progress, {})
        saved = RunFolder.resume(folder.path).resumed.progress
        assert saved["best"] == progress.best == max((s for s in scores[:epoch] if s == s), default=-np.inf)
        assert len(saved["history"]) == epoch
    resumed, again = RunFolder.resume(folder.path), Progress(**saved)
    again.history.append(row(len(scores) + 1, 0.2))  # worse than the best
    resumed.record(network, None, again, {})
    best = checkpoint.read(folder.path / "best.safetensors").training["epoch"]
    assert best == 1 + int(np.nanargmax(scores))


def test_an_epoch_without_validation_has_no_scores_of_an_earlier_one(tmp_path):
    data = InMemory(ToyScenes(2, size=SIZE))
    recipe = Recipe(epochs=5, size=SIZE, validate_every=2)
    run, last = RunFolder(tmp_path / "run", dataclasses.asdict(recipe), CAMVID), []

    def read(history):
        training = checkpoint.read(run.path / "last.safetensors").training
        last.append(training["scores"] and training["scores"]["mIoU"])

    history = fit(model(), data, data, recipe=recipe, run=run, progress=False, on_epoch=read).history
    assert [score is not None for score in last] == [False, True, False, True, True]
    assert last == [None if np.isnan(row["val_mIoU"]) else row["val_mIoU"] for row in history]


@pytest.mark.parametrize(("pictures", "batch_size", "step", "epoch"), [
    (4, 2, 1, 1), (4, 2, 2, 2), (5, 2, 1, 1), (5, 2, 2, 1), (5, 2, 3, 2), (5, 2, 6, 3), (2, 3, 0, 1), (2, 3, 1, 2),
    (5, 3, 1, 1), (5, 3, 2, 2),
])  # fmt: skip
def test_an_error_names_the_epoch_and_the_step_although_batches_may_be_incomplete(pictures, batch_size, step, epoch):
    data, network = InMemory(ToyScenes(pictures, size=SIZE)), model()
    network.layers["classifier"].params["weight"][...] = np.nan
    recipe = Recipe(size=SIZE, batch_size=batch_size, class_weights="none")
    one_step = TrainingStep(network, data, recipe, total_steps=10, checkpoint=None)
    with pytest.raises(NonFiniteError, match=rf"in epoch {epoch}: .* at step {step + 1},"):
        one_step.run(data[0].image[None].astype(np.float32), data[0].labels[None], step)
