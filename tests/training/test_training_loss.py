"""The loss of a recipe: which op it is, its class weights, and what is refused."""

import dataclasses
import warnings

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError
from tinysegnet.training import Recipe
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_loss import TrainingLoss
from tinysegnet.weights import checkpoint

SIZE, VOID = (20, 28), CAMVID.ignore_label
OWN = tuple(float(k) for k in range(11))


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(2, seed=0, size=SIZE))


def expected(loss, logits, labels, weights):
    """Return the loss and its gradient from PyTorch-tested ops, one by one."""
    calls = {
        "cross_entropy": [(ts.ops.softmax_cross_entropy_forward, ts.ops.softmax_cross_entropy_backward,
                           {"class_weights": weights, "label_smoothing": 0.1})],
        "focal": [(ts.ops.focal_loss_forward, ts.ops.focal_loss_backward, {"class_weights": weights, "gamma": 3.0})],
        "dice": [(ts.ops.dice_loss_forward, ts.ops.dice_loss_backward, {})],
    }  # fmt: skip
    calls["cross_entropy_dice"] = calls["cross_entropy"] + calls["dice"]
    value, gradient = 0.0, np.zeros_like(logits)
    for forward, backward, settings in calls[loss]:
        part, cache = forward(logits, labels, ignore_label=VOID, **settings)
        value, gradient = value + part, gradient + backward(1.0, cache)
    return value, gradient


def test_weights_of_0_for_all_classes_in_the_labels_are_refused():
    sky = InMemory(ToyScenes(1, seed=0, size=SIZE))
    sky[0].labels[...] = 0
    with pytest.raises(SettingError, match="class_weights"):
        TrainingLoss(ts.build("tiny", width=1 / 16), sky, Recipe(size=SIZE, class_weights=OWN))


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "dice", "cross_entropy_dice"])
def test_a_recipe_trains_with_the_loss_it_names(data, loss):
    settings = {"focal": {"focal_gamma": 3}, "dice": {}}.get(loss, {"label_smoothing": 0.1})
    weights = {} if loss == "dice" else {"class_weights": OWN}
    recipe = Recipe(size=SIZE, loss=loss, **settings, **weights)
    logits = np.random.default_rng(0).standard_normal((2, *SIZE, 11)).astype(np.float32)
    labels = np.stack([data[0].labels, data[1].labels])
    mine = TrainingLoss(ts.build("tiny", width=1 / 16), data, recipe)
    value, caches = mine.forward(logits, labels, VOID)
    right, gradient = expected(loss, logits, labels, np.array(OWN))
    assert value == pytest.approx(right, rel=1e-6)
    np.testing.assert_allclose(mine.backward(caches), gradient, atol=1e-8)


@pytest.mark.parametrize("settings", [
    {}, {"label_smoothing": 0.2}, {"loss": "focal"}, {"loss": "focal", "focal_gamma": 0.5},
    {"label_smoothing": 0.2, "class_weights": OWN},
], ids=str)  # fmt: skip
def test_the_loss_of_guessing_is_that_of_equal_logits(data, settings):
    """It holds for all pixels at once, because class weights by frequency are averages over them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small scenes lack some classes
        mine = TrainingLoss(ts.build("tiny", width=1 / 16), data, Recipe(size=SIZE, **settings))
    labels = np.stack([data[0].labels, data[1].labels])
    value, _ = mine.forward(np.zeros((2, *SIZE, 11), np.float32), labels, VOID)
    assert mine.guess == pytest.approx(value, rel=1e-5)


def test_dice_is_never_judged_as_diverged(data):
    mine = TrainingLoss(ts.build("tiny", width=1 / 16), data, Recipe(size=SIZE, loss="dice"))
    assert (mine.guess, mine.class_weights) == (1, None)


def test_own_class_weights_are_recorded_and_described(tmp_path, data):
    recipe = Recipe(epochs=1, size=SIZE, class_weights=OWN)
    folder = RunFolder(tmp_path / "run", dataclasses.asdict(recipe), CAMVID)
    ts.fit(ts.build("tiny", width=1 / 16), data, recipe=recipe, run=folder, progress=False)
    assert checkpoint.read(folder.path / "last.safetensors").class_weights == OWN


WRONG = {
    "class_weights": [{"class_weights": (1, -1)}, {"class_weights": (0, 0)}, {"class_weights": ()},
                      {"class_weights": (1, np.nan)}, {"class_weights": ("1", "2")}, {"class_weights": 2},
                      {"loss": "dice", "class_weights": OWN}],
    "label_smoothing": [{"label_smoothing": -0.1}, {"label_smoothing": 1}, {"loss": "focal", "label_smoothing": 0.1},
                        {"loss": "dice", "label_smoothing": 0.1}],
    "focal_gamma": [{"loss": "focal", "focal_gamma": -1}, {"focal_gamma": 1}, {"loss": "dice", "focal_gamma": 1}],
    "loss": [{"loss": "Dice"}, {"loss": None}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), [(name, row) for name, rows in WRONG.items() for row in rows], ids=str)
def test_settings_that_make_no_sense_are_refused_by_name(name, settings):
    with pytest.raises(SettingError, match=f"^{name}: ") as caught:
        Recipe(**settings)
    assert "\n" not in str(caught.value)


def test_a_recipe_with_dice_says_that_it_has_no_class_weights():
    assert Recipe(loss="dice").class_weights == "none"
    assert Recipe(loss="dice", class_weights="median_frequency").class_weights == "none"


COMMANDS = {
    "--class-weights 1 2 3": ("class_weights", "3", "11 classes"),
    "--class-weights median": ("class_weights", "'median'", "Did you mean 'median_frequency'?"),
    "--class-weights 1 x": ("class_weights", "'1 x'"),
    "--loss dice --class-weights 1 2": ("class_weights", "dice"),
    "--loss dice --class-weights median_frequency": ("class_weights", "dice"),
    "--loss dice --class-weights sqrt_median_frequency": ("class_weights", "dice"),
    "--model article --one-class road --loss dice": ("dice", "article", "single logit"),
    "--model article --one-class road --label-smoothing 0.1": ("label_smoothing", "article", "single logit"),
}


@pytest.mark.parametrize(("options", "facts"), COMMANDS.items(), ids=COMMANDS)
def test_the_command_refuses_what_the_loss_cannot_use(tmp_path, capsys, options, facts):
    small = ["--limit", "2", "--size", "20x28", "--width", "0.1", "--epochs", "1", "--runs", str(tmp_path)]
    assert main(["train", *options.split(), *small]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert [fact for fact in facts if fact not in line] == []
    assert not list(tmp_path.glob("*/config.json"))


def test_the_command_takes_a_number_per_class(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("tinysegnet.cli.train_command._train", lambda *passed: seen.append(passed[4]) or 0)
    train = "train", "--limit", "2", "--size", "20x28"
    assert main([*train, "--class-weights", *map(str, OWN), "--loss", "focal", "--focal-gamma", "0"]) == 0
    assert main([*train, "--class-weights", "none", "--weight-average", "0.99"]) == 0
    assert main([*train, "--class-weights", "none", "--loss", "dice", "--recipe", "paper-basic"]) == 0
    assert [(s.class_weights, s.loss, s.weight_average) for s in seen] == [
        (OWN, "focal", 0.0), ("none", "cross_entropy", 0.99), ("none", "dice", 0.0)]  # fmt: skip
