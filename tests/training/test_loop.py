"""What the loop does besides training: its clock, its progress bar, its validations, and one step in detail."""

import dataclasses
import itertools
import signal
import time

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory, Palette, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import DataError, NonFiniteError, SettingError, ShapeError
from tinysegnet.training import Recipe, fit, loop
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import TrainingStep
from tinysegnet.weights import checkpoint

SIZE = (20, 28)
RECIPE = Recipe(epochs=2, batch_size=2, size=SIZE)


class Samples:
    """A data set made from a list."""

    def __init__(self, samples, palette=CAMVID):
        self.samples, self.palette, self.name = samples, palette, "a few samples"

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(6, seed=0, size=SIZE))


@pytest.fixture(scope="module")
def val():
    return InMemory(ToyScenes(2, seed=1, size=SIZE))


def model(**settings):
    return ts.build("tiny", width=1 / 16, **settings)


def replaced(**changes):
    return dataclasses.replace(RECIPE, **changes)


def run_folder(path, recipe=RECIPE):
    return RunFolder(path, dataclasses.asdict(recipe), CAMVID)


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by one second each time it is read."""
    ticks = itertools.count(100)
    monkeypatch.setattr(loop, "time", type("clock", (), {"perf_counter": lambda: float(next(ticks))}))


class Interrupted(BaseException):
    """Stops a run after an epoch."""


def stop_after(epoch):
    def check(history):
        if len(history) == epoch:
            raise Interrupted

    return check


def test_the_seconds_of_a_run_are_counted_from_its_start_and_across_interruptions(tmp_path, data, clock):
    recipe = replaced(epochs=4)
    result = fit(model(), data, recipe=recipe, progress=False)
    assert [row["seconds"] for row in result.history] == [1, 2, 3, 4]
    assert result.seconds == 4
    folder = run_folder(tmp_path / "run", recipe)
    with pytest.raises(Interrupted):
        fit(model(), data, recipe=recipe, run=folder, progress=False, on_epoch=stop_after(2))
    again = fit(model(), data, recipe=recipe, run=RunFolder.resume(folder.path), progress=False)
    assert [row["seconds"] for row in again.history] == [1, 2, 3, 4]
    cells = [line.split(",")[5] for line in (folder.path / "metrics.csv").read_text().splitlines()]
    assert cells == ["seconds", "1", "2", "3", "4"]


def test_a_stopped_run_keeps_its_seconds(tmp_path, data, clock, monkeypatch):
    folder, step = run_folder(tmp_path / "run"), TrainingStep.run

    def stop(self, *arguments):
        signal.raise_signal(signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(TrainingStep, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), data, recipe=RECIPE, run=folder, progress=False)
    progress = checkpoint.read(folder.path / "last.safetensors").progress
    assert (progress["seconds"], progress["step"], progress["epoch"], progress["batch"]) == (1, 1, 1, 1)


def test_a_run_really_takes_the_seconds_that_it_reports(data):
    began = time.perf_counter()
    result = fit(model(), data, recipe=replaced(epochs=1), progress=False)
    assert 0 < result.history[0]["seconds"] <= result.seconds <= time.perf_counter() - began


def test_validations_and_exact_statistics_are_computed_only_when_they_are_due(data, val, monkeypatch):
    called = []
    for name in ("evaluate", "recompute_statistics"):
        function = getattr(loop, name)
        monkeypatch.setattr(loop, name, lambda *a, name=name, f=function, **k: called.append(name) or f(*a, **k))
    monkeypatch.setattr(loop.runtime, "keep_freed_memory", lambda: called.append("memory"))
    epochs, recipe = [], replaced(epochs=5, validate_every=2, statistics="exact")
    fit(model(), data, val, recipe=recipe, progress=False, on_epoch=lambda history: epochs.append([*called]))
    evaluations = [row.count("evaluate") for row in epochs]
    assert evaluations == [0, 1, 1, 2, 3]
    assert [row.count("recompute_statistics") for row in epochs] == [0, 0, 0, 0, 1]
    assert called.count("evaluate") == 3
    assert called[0] == "memory"


def test_fit_freezes_the_encoder_only_if_the_recipe_says_so(data):
    network = model()
    for freeze in (True, False):
        before = {name: array.copy() for name, array in network.named_parameters()}
        fit(network, data, recipe=replaced(epochs=1, freeze_encoder=freeze), progress=False)
        for name, array in network.named_parameters():
            assert np.array_equal(array, before[name]) == (freeze and name.startswith("encoder")), name


def test_fit_rejects_what_is_no_network_no_data_and_no_recipe(data):
    with pytest.raises(SettingError, match="is not a Network"):
        fit("tiny", data)
    for settings in (
        {"data": [1]},
        {"data": Samples([])},
        {"data": data, "val": [1]},
        {"data": data, "val": Samples([])},
    ):
        with pytest.raises(DataError, match=r"is not a data set|has no pictures"):
            fit(model(), recipe=RECIPE, **settings)
    with pytest.raises(SettingError, match="recipe: dict is not"):
        fit(model(), data, recipe={"epochs": 1})
    with pytest.raises(ShapeError, match="multiples of 4"):
        fit(ts.build("article", width=1 / 16), data, recipe=replaced(size=(2, 2)))


@pytest.mark.filterwarnings("ignore:A batch has no labelled pixel")
def test_a_resumed_run_with_void_batches_continues_bit_for_bit(tmp_path, data):
    """Adam counts its own steps, without those of void batches."""
    labels = np.full((80, 112), 11, np.uint8)
    labels[1, 1] = 3  # disappears when the picture is reduced
    void = Sample(np.zeros((80, 112, 3), np.uint8), labels, "void")
    some, ends = Samples([data[0], void, data[1], void]), []
    recipe = replaced(epochs=3, batch_size=1, optimizer="adam", class_weights="none")
    for name, stop in (("whole", 9), ("halves", 1)):
        folder = run_folder(tmp_path / name, recipe)
        try:
            fit(model(), some, recipe=recipe, run=folder, progress=False, on_epoch=stop_after(stop))
        except Interrupted:
            result = fit(model(), some, recipe=recipe, run=RunFolder.resume(folder.path), progress=False)
            assert result.void_batches == 6
        saved = checkpoint.read(folder.path / "last.safetensors")
        ends.append({name: array.tobytes() for name, array in saved.model.state().items()})
    assert ends[0] == ends[1]


# --- one step ---------------------------------------------------------------------------------------------------------


def batch(data, first=0):
    samples = [data[first], data[first + 1]]
    return np.stack([s.image for s in samples]).astype(np.float32), np.stack([s.labels for s in samples])


def test_a_step_moves_the_weights_against_the_gradient_of_its_loss(data):
    images, labels = batch(data)
    network, other = model(), model()
    step = TrainingStep(network, data, replaced(optimizer="sgd", learning_rate=0.1, schedule="poly"), 8, None)
    loss, logits = step.run(images, labels, 2)
    expected = other.forward(images, training=True)
    right, cache = ts.ops.softmax_cross_entropy_forward(
        expected, labels, class_weights=step.class_weights, ignore_label=11
    )
    other.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    assert loss == right
    np.testing.assert_array_equal(logits, expected)
    rate, gradients, moved = 0.1 * (1 - 2 / 8) ** 0.9, dict(other.named_gradients()), dict(network.named_parameters())
    for name, array in other.named_parameters():
        np.testing.assert_allclose(moved[name], array - rate * gradients[name], rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize(("classes", "loss"), [(1, 2), (2, 2), (3, 3)])
def test_guessing_among_one_or_two_classes_has_the_loss_ln_2(classes, loss):
    palette = Palette(tuple("abc"[:classes]), ((0, 0, 0), (1, 1, 1), (2, 2, 2))[:classes])
    data = Samples([Sample(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8), "a")], palette)
    step = TrainingStep(model(num_classes=classes), data, replaced(class_weights="none"), 1, None)
    assert step.guess == pytest.approx(np.log(loss))


@pytest.mark.parametrize(("step", "epoch"), [(0, 1), (2, 1), (3, 2), (5, 2), (6, 3)])
def test_the_error_about_a_loss_names_the_epoch_and_the_step(data, step, epoch):
    broken = model()
    broken.layers["classifier"].params["bias"][0] = np.nan
    training = TrainingStep(broken, data, RECIPE, 9, None)
    with pytest.raises(NonFiniteError, match=rf"in epoch {epoch}: .* at step {step + 1}, first in classifier\.bias"):
        training.run(*batch(data), step)


def test_the_first_layer_with_non_finite_output_is_found_as_in_training(data):
    """Running statistics are not used in training, so they are not to blame."""
    broken = model()
    broken.layers["encoder1.bn1"].buffers["running_mean"][...] = np.inf
    broken.layers["decoder2.conv1"].params["weight"][...] = 3e38
    training = TrainingStep(broken, data, RECIPE, 9, None)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="first in the output of decoder2"):
        training.run(*batch(data), 0)


def test_without_an_ignore_label_no_batch_is_void(data):
    palette = dataclasses.replace(CAMVID, ignore_label=None)
    step = TrainingStep(model(), Samples([data[0]], palette), replaced(class_weights="none"), 1, None)
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    assert not step.is_void(labels)
    assert not step.is_void(np.full((2, 2), 255, np.uint8))
