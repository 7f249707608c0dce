"""Training over ranks: the same bits for any number of them, and all ranks stop, fail and resume together."""

import dataclasses
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import NonFiniteError, SettingError
from tinysegnet.runtime.distributed import Communicator, run_ranks
from tinysegnet.training import Recipe, fit, loop, recompute_statistics
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import TrainingStep
from tinysegnet.weights import checkpoint

SIZE = 21, 27
RECIPE = Recipe(epochs=2, batch_size=4, size=SIZE, color_jitter=0.2, scale=(1.0, 1.3), reduction="tree")
KINDS = {
    "tiny": ("tiny", {}),
    "basic": ("basic", {"size": (16, 32), "optimizer": "sgd", "learning_rate": 0.1, "statistics": "exact"}),
    "dropout": ("bayesian-basic", {"size": (16, 32)}),
    "dice": ("tiny", {"loss": "cross_entropy_dice", "weight_average": 0.5}),
    "focal": ("fcn-basic", {"loss": "focal", "class_weights": "none", "freeze_encoder": True, "size": (16, 32)}),
}


class Scenes:
    """Ten scenes of an odd size, in batches of 4, 3 and 3. One scene is void, and two are partly void."""

    palette, name = CAMVID, "scenes"

    def __init__(self):
        scenes = [Sample(s.image, s.labels.copy(), s.name) for s in InMemory(ToyScenes(10, seed=0, size=SIZE)).samples]
        scenes[1].labels[:9] = scenes[4].labels[:, ::2] = scenes[7].labels[:] = CAMVID.ignore_label
        self.scenes, self.reads = scenes, 0

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        self.reads += 1
        return self.scenes[index]


@pytest.fixture(scope="module")
def val():
    return InMemory(ToyScenes(3, seed=1, size=SIZE))


def train(communicator, val, recipe=RECIPE, name="tiny", folder=None):
    """Train, and return everything that must be the same on all ranks."""
    model = ts.build(name, width=1 / 16)
    result = fit(model, Scenes(), val, recipe=recipe, run=folder, progress=False, communicator=communicator)
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in result.history]
    return {key: array.tobytes() for key, array in model.state().items()}, str(rows), result.scores.confusion.tolist()


@pytest.mark.parametrize("kind", amount(["dice"], KINDS))
def test_the_bits_do_not_depend_on_the_ranks(kind, val):
    name, settings = KINDS[kind]
    epochs = 17 if kind in amount((), ("tiny", "basic")) else 2  # of three steps
    recipe = dataclasses.replace(RECIPE, epochs=epochs, validate_every=epochs, **settings)
    alone = train(Communicator(), val, recipe, name)
    assert train(None, val, recipe, name) == alone
    for ranks in amount((3,), (2, 3, 4)):
        assert run_ranks(ranks, lambda communicator: train(communicator, val, recipe, name)) == [alone] * ranks


@pytest.mark.parametrize("kind", amount(["dice"], ["tiny", "basic", "dice", "focal"]))
def test_tree_and_batch_differ_only_in_rounding(kind):
    name, settings = KINDS[kind]
    losses = []
    for reduction in ("batch", "tree"):
        recipe = dataclasses.replace(RECIPE, epochs=1, **settings, reduction=reduction)
        result = fit(ts.build(name, width=1 / 16), Scenes(), recipe=recipe, progress=False)
        losses.append(result.history[0]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_each_rank_reads_only_its_pictures(val):
    """In the training itself; the class weights and the search for a labelled picture read some more."""

    def reads(communicator):
        data, recipe = Scenes(), dataclasses.replace(RECIPE, epochs=1)
        fit(ts.build("tiny", width=1 / 16), data, val, recipe=recipe, progress=False, communicator=communicator)
        return data.reads

    assert run_ranks(1, reads) == [1 + 10 + 10]
    assert run_ranks(2, reads) == [1 + 5 + 6, 1 + 5 + 4]  # of the batches, 2 + 2 + 2 and 2 + 1 + 1


def test_exact_statistics_have_the_same_bits():
    def statistics(communicator):
        model = ts.build("tiny", width=1 / 16)
        recompute_statistics(model, Scenes(), size=SIZE, batch_size=4, communicator=communicator)
        return {name: array.tobytes() for name, array in model.named_buffers()}

    (alone,) = run_ranks(1, statistics)
    assert run_ranks(3, statistics) == [alone] * 3
    model = ts.build("tiny", width=1 / 16)
    recompute_statistics(model, Scenes(), size=SIZE, batch_size=4)
    for name, array in model.named_buffers():
        np.testing.assert_allclose(np.frombuffer(alone[name], np.float32), array, rtol=1e-4, atol=1e-4)


# --- stopping and resuming -------------------------------------------------------------------------------------------


def arrays(path):
    saved = checkpoint.read(path / "last.safetensors")
    return {name: array.tobytes() for name, array in (*saved.model.state().items(), *saved.optimizer.items())}


def new_folder(path):
    return RunFolder(path, {"data": "toy", "model": "tiny", "width": 1 / 16, **dataclasses.asdict(RECIPE)}, CAMVID)


class StopAt:
    """Stands for the signals to one rank, of which the first comes before its n-th look at `stop`."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def stop(self):
        self.looks -= 1
        return self.looks == 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory, val):
    path = tmp_path_factory.mktemp("whole") / "run"
    train(None, val, folder=new_folder(path))
    return arrays(path)


# The looks are: one per step, one per turn of a validation (two turns with two ranks), and one after each epoch.
@pytest.mark.parametrize("look", amount([4], range(1, 2 * (3 + 2 + 1) + 1)))
def test_a_run_stopped_on_one_rank_resumes_with_other_ranks(tmp_path, val, whole, monkeypatch, look):
    """Two ranks train until one of them is asked to stop. Four ranks continue, and end with the same bits."""
    asked = threading.local()

    @contextmanager
    def requests():
        yield asked.stop

    def stopped(communicator):
        asked.stop = StopAt(look if communicator.rank == 1 else 0)
        with pytest.raises(KeyboardInterrupt):
            train(communicator, val, folder=new_folder(tmp_path / "run"))

    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_requests", requests)
        run_ranks(2, stopped)
    assert (arrays(tmp_path / "run") == whole) == (look >= 9)  # after the last step
    run_ranks(4, lambda ranks: train(ranks, val, folder=RunFolder.resume(tmp_path / "run")))
    assert arrays(tmp_path / "run") == whole


# --- failures --------------------------------------------------------------------------------------------------------


def test_all_ranks_report_the_same_divergence():
    def diverge(communicator):
        model = ts.build("tiny", width=1 / 16)
        model.layers["classifier"].params["bias"][0] = np.inf
        with pytest.raises(NonFiniteError) as caught, np.errstate(all="ignore"):
            fit(model, Scenes(), recipe=RECIPE, progress=False, communicator=communicator)
        return str(caught.value)

    first, *others = run_ranks(3, diverge)
    assert "at step 1, first in classifier.bias" in first
    assert others == [first, first]


def test_the_layer_of_a_divergence_is_known_on_all_ranks():
    """Only the rank whose picture is not finite can find the layer."""

    def find(communicator):
        step = TrainingStep(ts.build("tiny", width=1 / 16), Scenes(), RECIPE, 1, None, communicator)
        images = np.full((1, *SIZE, 3), np.nan if communicator.rank == 1 else 99, np.float32)
        with pytest.raises(NonFiniteError) as caught, np.errstate(all="ignore"):
            step.run(images, np.zeros((1, *SIZE), np.uint8), 0)
        return str(caught.value)

    first, second = run_ranks(2, find)
    assert "first in the output of" in first
    assert first == second


@pytest.mark.parametrize(("ranks", "settings", "message"), [
    (5, {}, "5 processes cannot share batches of 4.*Start at most 4"),
    (2, {"reduction": "batch"}, "2 processes need reduction tree"),
    (3, {"batch_size": 2}, "3 processes cannot share batches of 2"),
])  # fmt: skip
def test_impossible_divisions_are_refused_on_all_ranks(ranks, settings, message):
    recipe = dataclasses.replace(RECIPE, **settings)

    def refused(communicator):
        with pytest.raises(SettingError, match=message):
            fit(ts.build("tiny", width=1 / 16), Scenes(), recipe=recipe, progress=False, communicator=communicator)
        return True

    assert run_ranks(ranks, refused) == [True] * ranks


def test_ranks_with_other_settings_are_refused():
    def refused(communicator):
        recipe = dataclasses.replace(RECIPE, seed=communicator.rank)
        with pytest.raises(SettingError, match="different settings"):
            fit(ts.build("tiny", width=1 / 16), Scenes(), recipe=recipe, progress=False, communicator=communicator)

    run_ranks(2, refused)
