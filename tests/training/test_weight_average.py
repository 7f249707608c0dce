"""The average of the weights: its definition, what is validated and saved, and that a resumed run has the same bits."""

import dataclasses

import numpy as np
import pytest
from test_resume import StopAt, config, history_of, model, weights

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import CheckpointError, SettingError
from tinysegnet.training import Recipe, fit
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.weight_average import WeightAverage
from tinysegnet.weights import checkpoint

SIZE = (20, 28)
RECIPE = Recipe(epochs=2, size=SIZE, weight_average=0.8, class_weights="none")
PICTURES, STEPS = 3, 4  # steps of two pictures and of one, in two epochs


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(PICTURES, seed=0, size=SIZE))


def run_folder(path, recipe=RECIPE):
    return RunFolder(path, config(recipe), CAMVID)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Return the folder, the result and the network of a run without interruption."""
    folder, network = run_folder(tmp_path_factory.mktemp("whole") / "run"), model()
    result = fit(network, data, data, recipe=RECIPE, run=folder, progress=False)
    return folder.path, result, network


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_average_weights_every_step_by_a_power_of_the_decay(decay):
    network, rng = ts.build("tiny", width=1 / 16), np.random.default_rng(0)
    average, seen, bias = WeightAverage(network, decay), [], network.layers["classifier"].params["bias"]
    for step in range(1, 8):
        bias[...] = rng.standard_normal(bias.shape)
        seen.append(bias.copy())
        average.update(step)
    average.apply()
    factors = decay ** np.arange(6, -1, -1.0)
    np.testing.assert_allclose(bias, (factors[:, None] * seen).sum(0) / factors.sum(), rtol=1e-5, atol=1e-6)
    average.apply()  # a second time changes nothing
    average.restore()
    np.testing.assert_array_equal(bias, seen[-1])


def test_the_average_is_validated_saved_and_returned_with_its_own_statistics(whole, data):
    path, result, network = whole
    saved = checkpoint.read(path / "last.safetensors")
    assert weights(path / "last.safetensors") == {name: a.tobytes() for name, a in network.state().items()}
    assert ts.evaluate(saved.model, data, size=SIZE).mIoU == result.history[-1]["val_mIoU"] == result.scores.mIoU
    before = {name: array.copy() for name, array in saved.model.named_buffers()}
    ts.recompute_statistics(saved.model, data, size=SIZE, batch_size=2)
    assert all(np.array_equal(before[name], array) for name, array in saved.model.named_buffers())
    names = {name.removeprefix("training/") for name in saved.optimizer if name.startswith("training/")}
    assert names == set(network.state())


def test_the_average_does_not_change_the_training(whole, data):
    """The losses of the training are those without the average, whose weights are the training's in the checkpoint."""
    network = model()
    plain = dataclasses.replace(RECIPE, weight_average=0.0)
    result = fit(network, data, data, recipe=plain, progress=False)
    path, averaged, _ = whole
    assert [row["train_loss"] for row in result.history] == [row["train_loss"] for row in averaged.history]
    saved = checkpoint.read(path / "last.safetensors").optimizer
    for name, array in network.state().items():
        np.testing.assert_array_equal(saved[f"training/{name}"], array)


# After the first step, within an epoch; and in the statistics before the first and the last validation.
@pytest.mark.parametrize("reads", [2, 5, PICTURES + 2, 3 * PICTURES + 1, 4 * PICTURES - 1])
def test_a_stopped_run_with_an_average_resumes_bit_for_bit(tmp_path, data, whole, reads):
    path, result, _ = whole
    folder = run_folder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        fit(model(), StopAt(data, 1 + reads), data, recipe=RECIPE, run=folder, progress=False)
    again = fit(model(), data, data, recipe=RECIPE, run=RunFolder.resume(folder.path), progress=False)
    np.testing.assert_equal(history_of(again), history_of(result))
    for name in ("last", "best"):
        assert weights(folder.path / f"{name}.safetensors") == weights(path / f"{name}.safetensors")
    first, second = (checkpoint.read(p / "last.safetensors").optimizer for p in (folder.path, path))
    assert {name: a.tobytes() for name, a in first.items()} == {name: a.tobytes() for name, a in second.items()}


def test_a_finished_run_keeps_its_average(whole, data):
    path, result, _ = whole
    network = model()
    again = fit(network, data, data, recipe=RECIPE, run=RunFolder.resume(path), progress=False)
    assert again.scores.mIoU == result.scores.mIoU
    assert weights(path / "last.safetensors") == {name: a.tobytes() for name, a in network.state().items()}


def test_a_run_without_an_average_saves_nothing_more(tmp_path, data):
    folder = run_folder(tmp_path / "run", dataclasses.replace(RECIPE, weight_average=0.0, epochs=1))
    fit(model(), data, recipe=dataclasses.replace(RECIPE, weight_average=0.0, epochs=1), run=folder, progress=False)
    saved = checkpoint.read(folder.path / "last.safetensors")
    parameters = [name for name, _ in saved.model.named_parameters()]
    assert sorted(saved.optimizer) == sorted(f"{name}/{slot}" for name in parameters for slot in ("mean", "square"))


def test_an_average_cannot_begin_in_the_middle_of_a_run(tmp_path, data):
    plain = dataclasses.replace(RECIPE, weight_average=0.0, epochs=1)
    fit(model(), data, recipe=plain, run=run_folder(tmp_path / "run", plain), progress=False)
    with pytest.raises(CheckpointError, match="weight_average"):
        fit(model(), data, recipe=RECIPE, run=RunFolder.resume(tmp_path / "run"), progress=False)


def test_arrays_of_an_average_without_one_are_refused(whole, data):
    resumed = RunFolder.resume(whole[0])
    with pytest.raises(CheckpointError, match="training/"):
        fit(model(), data, recipe=dataclasses.replace(RECIPE, weight_average=0.0), run=resumed, progress=False)


@pytest.mark.parametrize("decay", [-0.1, 1.0, np.nan, "0.9"])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(SettingError, match="weight_average"):
        Recipe(weight_average=decay)
