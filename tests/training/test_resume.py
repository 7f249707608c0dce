"""No saved work is lost: a training run continues bit for bit after it was stopped, was killed or met a full disk."""

import dataclasses
import errno
import os
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from forms import amount
from threadpoolctl import threadpool_limits
from training_commands import OPTIONS, command, last_step, train

import tinysegnet as ts
from tinysegnet import files, runtime
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.training import Recipe, fit
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.weights import checkpoint

SIZE = (20, 28)
RECIPE = Recipe(epochs=3, batch_size=2, size=SIZE, color_jitter=0.2, scale=(1.0, 1.3), validate_every=2)
STEPS = 12


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(8, seed=0, size=SIZE))


@pytest.fixture(scope="module")
def val():
    return InMemory(ToyScenes(2, seed=1, size=SIZE))


def config(recipe=RECIPE):
    return {"data": "toy", "model": "tiny", "width": 1 / 16, **dataclasses.asdict(recipe)}


def model():
    return ts.build("tiny", width=1 / 16)


def weights(path):
    return {name: array.tobytes() for name, array in checkpoint.read(path).model.state().items()}


def history_of(result):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]


@pytest.fixture(scope="module", params=["sgd", "adam", *amount([], ["averaged"])])
def whole(request, data, val, tmp_path_factory):
    """Return recipe, last weights, history and best weights of a training run without interruption."""
    settings = {"weight_average": 0.8} if request.param == "averaged" else {"optimizer": request.param}
    recipe = dataclasses.replace(RECIPE, **settings)
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run", config(recipe), CAMVID)
    result = fit(model(), data, val, recipe=recipe, run=folder, progress=False)
    return (
        recipe,
        weights(folder.path / "last.safetensors"),
        history_of(result),
        weights(folder.path / "best.safetensors"),
    )


class StopAt:
    """A data set that sends SIGINT to this process when it is read for the n-th time."""

    def __init__(self, data, count):
        self.data, self.left, self.palette, self.name = data, count, data.palette, data.name

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return self.data[index]


# The first step, a step inside an epoch, the last step of an epoch, and the last step of the training.
@pytest.mark.parametrize("step", amount([1, 6, 8, STEPS], range(1, STEPS + 1)))
def test_a_run_stopped_at_a_step_resumes_bit_for_bit(tmp_path, data, val, whole, step):
    recipe, last, history, best = whole
    folder = RunFolder(tmp_path / "run", config(recipe), CAMVID)
    # The class weights need every sample once before the first step, and each step reads two samples. With an average
    # of the weights, the statistics before the validation of the second epoch need every sample once.
    passes = 2 if recipe.weight_average and step > STEPS * 2 // 3 else 1
    interrupted = StopAt(data, passes * len(data) + 2 * step)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), interrupted, val, recipe=recipe, run=folder, progress=False)
    saved = checkpoint.read(folder.path / "last.safetensors")
    assert saved.progress["step"] == step
    result = fit(model(), data, val, recipe=recipe, run=RunFolder.resume(folder.path), progress=False)
    assert weights(folder.path / "last.safetensors") == last
    assert weights(folder.path / "best.safetensors") == best
    np.testing.assert_equal(history_of(result), history)


def test_a_run_stopped_before_its_first_step_writes_nothing(tmp_path, data):
    folder = RunFolder(tmp_path / "run", config(), CAMVID)
    with pytest.raises(KeyboardInterrupt):  # while the class weights are computed
        fit(model(), StopAt(data, 1), recipe=RECIPE, run=folder, progress=False)
    assert not folder.path.exists()


@pytest.mark.parametrize("picture", amount([1, 4], range(1, 5)))
def test_a_run_stopped_in_a_validation_resumes_bit_for_bit(tmp_path, data, val, whole, picture):
    """Epochs 2 and 3 are validated with two pictures each. The run stops without waiting for the second picture."""
    recipe, last, history, best = whole
    folder = RunFolder(tmp_path / "run", config(recipe), CAMVID)
    interrupted = StopAt(val, picture)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), data, interrupted, recipe=recipe, run=folder, progress=False)
    assert interrupted.left == 0
    saved = checkpoint.read(folder.path / "last.safetensors").progress
    assert saved["step"] == (STEPS if picture > 2 else STEPS * 2 // 3)
    result = fit(model(), data, val, recipe=recipe, run=RunFolder.resume(folder.path), progress=False)
    assert weights(folder.path / "last.safetensors") == last
    assert weights(folder.path / "best.safetensors") == best
    np.testing.assert_equal(history_of(result), history)


@pytest.mark.parametrize("picture", [1, 5])
def test_a_run_stopped_in_the_exact_statistics_resumes_bit_for_bit(tmp_path, data, picture):
    recipe = dataclasses.replace(RECIPE, epochs=1, statistics="exact", optimizer="caffe_sgd", learning_rate=0.01)
    folders = [RunFolder(tmp_path / name, config(recipe), CAMVID) for name in ("whole", "stopped")]
    fit(model(), data, recipe=recipe, run=folders[0], progress=False)
    with pytest.raises(KeyboardInterrupt):  # after reading the data for class weights and for one epoch
        fit(model(), StopAt(data, 2 * len(data) + picture), recipe=recipe, run=folders[1], progress=False)
    assert weights(folders[1].path / "last.safetensors") != weights(folders[0].path / "last.safetensors")
    fit(model(), data, recipe=recipe, run=RunFolder.resume(folders[1].path), progress=False)
    assert weights(folders[1].path / "last.safetensors") == weights(folders[0].path / "last.safetensors")


def test_a_run_stopped_while_it_saves_resumes_bit_for_bit(tmp_path, data, val, whole, monkeypatch):
    recipe, last, history, _ = whole
    record = RunFolder.record

    def interrupted(self, model, scores, progress, optimizer):
        record(self, model, scores, progress, optimizer)
        if len(progress.history) == recipe.epochs:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunFolder, "record", interrupted)
    folder = RunFolder(tmp_path / "run", config(recipe), CAMVID)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), data, val, recipe=recipe, run=folder, progress=False)
    result = fit(model(), data, val, recipe=recipe, run=RunFolder.resume(folder.path), progress=False)
    assert weights(folder.path / "last.safetensors") == last
    np.testing.assert_equal(history_of(result), history)


def test_resuming_a_finished_run_only_writes_the_report(tmp_path, data, val, without_report, monkeypatch):
    monkeypatch.setattr(
        "tinysegnet.report.run_report.write_run_page", lambda run, *_, scores, **__: (run.path, scores.mIoU)
    )
    folder = RunFolder(tmp_path / "run", config(), CAMVID)
    first = fit(model(), data, val, recipe=RECIPE, run=folder, progress=False)
    last = weights(folder.path / "last.safetensors")
    resumed, network = RunFolder.resume(folder.path), model()
    again = fit(network, data, val, recipe=RECIPE, run=resumed, progress=False)
    assert weights(folder.path / "last.safetensors") == last
    assert again.scores.mIoU == first.scores.mIoU
    assert ts.write_report(resumed, network, data, val, again) == (folder.path, first.scores.mIoU)


# --- killed ----------------------------------------------------------------------------------------------------------

ENVIRONMENT = {**os.environ, **amount({"TINYSEGNET_BACKEND": "numpy"}, {})}
KILLS = int(os.environ.get("TINYSEGNET_KILLS", amount(1, 4)))  # `make torture` takes 200
KILLED = [*OPTIONS, "--limit", "8", "--epochs", str(amount(8, 20) + KILLS // 4)]  # a checkpoint every 40 ms


@pytest.fixture
def without_report(monkeypatch):
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda run, *_, **__: run.path / "report.html")
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})


def wait_for_training(process, run, step, kills):
    """Wait until a new run writes its first checkpoint, so that it is resumed, or in turns only its first file; or
    until a resumed run removes temporary files.
    """
    first = run / ("last.safetensors", "config.json")[kills % 2]
    while process.poll() is None and ((run / ".stray.tmp").exists() if step else not first.exists()):
        time.sleep(0.005)


@pytest.mark.usefixtures() if "TINYSEGNET_KILLS" in os.environ else pytest.mark.long
def test_a_run_killed_at_random_moments_resumes_bit_for_bit(tmp_path, record_property, without_report):
    """The run is killed and resumed until it ends, and another run follows until all kills are done."""
    whole, run, rng = tmp_path / "whole", tmp_path / "killed", random.Random(0)
    train("--runs", tmp_path, "--name", whole.name, *KILLED)
    kills = resumed = halves = ended = 0
    while kills < KILLS or run.exists():
        step = last_step(run)
        if step:
            resumed += 1
            (run / ".stray.tmp").touch()
        elif run.exists():
            (run / "config.json").unlink()  # killed before the first checkpoint
        arguments = ["--resume", run] if step else ["--runs", tmp_path, "--name", run.name, *KILLED]
        if kills < KILLS and step < last_step(whole):  # a trained run's report would never be finished
            process = subprocess.Popen(
                command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
            )
            wait_for_training(process, run, step, kills)
            try:
                _, errors = process.communicate(timeout=rng.uniform(0, amount(0.2, 0.6)))
                assert process.returncode == 0, errors.decode()
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                halves += bool(list(run.glob(".*.tmp")))
                assert last_step(run) >= step  # the saved checkpoint is complete
                if (run / "best.safetensors").exists():
                    checkpoint.read(run / "best.safetensors")
                continue
        else:
            train(*arguments)
        for name in ("last.safetensors", "best.safetensors"):
            assert weights(run / name) == weights(whole / name)
        assert not list(run.glob(".*.tmp"))
        shutil.rmtree(run)
        ended += 1
    assert resumed > 0
    record_property(
        "kills", f"{kills}, {halves} of them while a file was written; resumed {resumed} times, "
        f"{ended} runs ended with the same bits as a run without kills"
    )  # fmt: skip


# --- disks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize("function", ["open", "fsync", "replace"])
def test_a_failed_write_keeps_the_old_checkpoint(tmp_path, monkeypatch, error, function):
    path = tmp_path / "last.safetensors"
    ts.save(path, ts.build("tiny", width=1 / 16, seed=1))
    before = path.read_bytes()

    def fails(*arguments, **settings):
        raise OSError(error, os.strerror(error))

    target = files if function == "open" else os
    monkeypatch.setattr(target, function, fails, raising=False)
    with pytest.raises(OSError, match=os.strerror(error)):
        ts.save(path, model())
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*.tmp"))


@pytest.fixture
def own_threads():
    """Restore the numbers of threads after a test."""
    before = runtime.threads()
    with threadpool_limits(limits=1):
        yield
        runtime.set_threads(before)


def test_deterministic_training_does_not_depend_on_the_threads(tmp_path, without_report, own_threads):
    """Train with --deterministic in one thread and in two. In the short form, only matrix products use several threads.

    `tests/ops/test_laws.py` compares the kernels in one, two and four threads.
    """
    for threads in ("1", "2"):
        train(*OPTIONS, "--threads", threads, "--deterministic", "--runs", tmp_path, "--name", threads,
              NUMBA_NUM_THREADS="2")  # fmt: skip
    assert weights(tmp_path / "1" / "last.safetensors") == weights(tmp_path / "2" / "last.safetensors")
