"""A training run that has diverged reports it, and a normal run never does."""

import dataclasses
import math

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import NonFiniteError
from tinysegnet.training.loop import fit
from tinysegnet.training.recipes import Recipe, papers
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import TrainingStep, describe_divergence

FOLDERS = Recipe(
    batch_size=4, optimizer="sgd", learning_rate=0.1, weight_decay=5e-4, scale=(1.0, 2.0), color_jitter=0.4
)
RECIPES = {"toy": ("tiny", Recipe()), "folders": ("tiny", FOLDERS), **papers}


def history(*losses):
    return [{"epoch": epoch, "train_loss": loss} for epoch, loss in enumerate(losses, 1)]


@pytest.mark.parametrize("guess", [math.log(2), math.log(11), 30.0])
@pytest.mark.parametrize(("factors", "epoch"), [
    ((1.5, 1.2, 0.8), None),
    ((3, 5, 0.9), None),  # a high start
    ((0.5, 3, 5), None),  # a blip, so far
    ((0.5, 3, 5, 1.9), None),
    ((0.5, 3, 5, 4), 2),
    ((3, 3, 3), 1),
    ((0.5, 0.4, 4e8), 3),
    ((4e8,), 1),
    ((0.5, 4e8, 3), 2),
    ((0.5, 4e8, 0.5), None),  # it has recovered
    ((), None),
])  # fmt: skip
def test_losses_far_above_guessing_are_a_divergence(guess, factors, epoch):
    line = describe_divergence(history(*(factor * guess for factor in factors)), guess, 0.5)
    assert bool(line) == (epoch is not None)
    if epoch:
        assert f"since epoch {epoch}:" in line
        assert "--learning-rate 0.05" in line
        assert "\n" not in line


@pytest.mark.parametrize(("losses", "epoch"), [
    ((0.5, 2, 2, 2, 2), None),  # twice the loss of guessing is not yet more
    ((0.5, 2.001, 2.001, 2.001), 2),
    ((2, 2.001, 2.001), None),
    ((24,), None),
    ((24.001,), 1),
    ((2.001, 24), None),
])  # fmt: skip
def test_a_divergence_begins_just_beyond_its_limits(losses, epoch):
    line = describe_divergence(history(*losses), 1.0, 0.5)
    assert bool(line) == (epoch is not None)
    if epoch:
        assert f"since epoch {epoch}: its loss was {losses[epoch - 1]:.3g}" in line


@pytest.mark.parametrize("weights", ["none", "sqrt_median_frequency", "median_frequency"])
def test_guessing_has_the_loss_of_equal_probabilities(weights):
    data = InMemory(ToyScenes(3, size=(24, 32)))
    step = TrainingStep(ts.build("tiny", 11, width=1 / 16), data, Recipe(class_weights=weights), 1, None)
    labels = np.stack([sample.labels for sample in data])
    loss, _ = ts.ops.softmax_cross_entropy_forward(
        np.zeros((*labels.shape, 11), np.float32), labels, class_weights=step.class_weights, ignore_label=11
    )
    assert step.guess == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.parametrize("weights", ["none", "median_frequency"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_first_epochs_of_every_recipe_are_not_a_divergence(recipe, weights):
    name, settings = RECIPES[recipe]
    settings = dataclasses.replace(
        settings, iterations=None, epochs=amount(4, 6), size=(20, 28), class_weights=weights, statistics="running"
    )
    model, data = ts.build(name, 11, width=1 / 16), InMemory(ToyScenes(4, size=(20, 28)))
    result = fit(model, data, recipe=settings, progress=False)
    assert result.diverged == ""
    step = TrainingStep(model, data, settings, 1, None)
    assert max(row["train_loss"] for row in result.history) < 1.9 * step.guess


def test_a_diverged_training_says_so_everywhere(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})
    options = f"--epochs 3 --width 0.1 --limit 4 --size 24x32 --learning-rate 100 --runs {tmp_path} --name x"
    assert main(["train", *options.split()]) == 1
    out, err = capsys.readouterr()
    assert err.count("training has diverged since epoch") == 1
    assert "--learning-rate 10." in err
    assert "training has diverged since epoch" in out.splitlines()[-1]
    assert "to segment a picture" not in out
    assert "raining has diverged since epoch" in (tmp_path / "x/report.html").read_text()
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda *_, warning, **__: warning)
    assert main(["train", "--resume", str(tmp_path / "x")]) == 1
    assert "training has diverged" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_names_the_epoch_and_the_remedy():
    broken = ts.build("tiny", 11, width=1 / 16)
    broken.layers["classifier"].params["weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match=r"diverged in epoch 1: .*--learning-rate 0\.0005") as caught:
        fit(broken, InMemory(ToyScenes(4, size=(24, 32))), recipe=Recipe(size=(24, 32)), progress=False)
    assert "\n" not in str(caught.value)


RECIPE = Recipe(epochs=1, size=(24, 32))


@pytest.fixture(scope="module")
def scenes():
    return InMemory(ToyScenes(4, size=(24, 32)))


def model():
    return ts.build("tiny", 11, width=1 / 16)


def test_a_nan_weight_is_named_and_the_checkpoint_kept(tmp_path, scenes):
    folder = RunFolder(tmp_path / "run", {"size": [24, 32]}, CAMVID)
    fit(model(), scenes, scenes, recipe=RECIPE, run=folder, progress=False)
    kept = (folder.path / "last.safetensors").read_bytes()
    broken = model()
    broken.layers["encoder2.bn1"].params["gamma"][1] = np.nan
    with pytest.raises(NonFiniteError, match=r"encoder2\.bn1\.gamma.*checkpoint is .*run/last"):
        fit(broken, scenes, recipe=RECIPE, run=folder, progress=False)
    assert (folder.path / "last.safetensors").read_bytes() == kept


def test_an_overflow_names_its_layer(scenes):
    broken = model()
    broken.layers["decoder2.conv1"].params["weight"][...] = 3e38
    overflow = pytest.raises(NonFiniteError, match=r"step 1,.*decoder2\.(conv1|bn1)")
    with overflow, np.errstate(over="ignore", invalid="ignore"):
        fit(broken, scenes, recipe=RECIPE, progress=False)
