"""A run folder is written by one training at a time, and signals stop a training without loss."""

import errno
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext

import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import DataError
from tinysegnet.training import Recipe, fit, run_folder, signals
from tinysegnet.training.run_folder import RunFolder

RECIPE = Recipe(epochs=2, batch_size=2, size=(20, 28))
CONFIG = {"size": [20, 28]}
ENVIRONMENT = {**os.environ, **amount({"TINYSEGNET_BACKEND": "numpy"}, {})}


def model():
    return ts.build("tiny", width=1 / 16)


def test_a_second_training_in_one_folder_is_rejected(tmp_path):
    """While the first run continues, the second one is rejected, both as a new and as a resumed run."""
    first, second = (RunFolder(tmp_path / "run", CONFIG, CAMVID) for _ in range(2))
    data, refused = InMemory(ToyScenes(4, size=(20, 28))), []

    def meanwhile(history):
        for other in (second, RunFolder.resume(first.path)):
            with pytest.raises(DataError, match="another training"):
                fit(model(), data, recipe=RECIPE, run=other, progress=False)
            refused.append(other)

    fit(model(), data, recipe=RECIPE, run=first, progress=False, on_epoch=meanwhile)
    assert len(refused) == 4
    with pytest.raises(DataError, match=r"run.*--resume"):
        fit(model(), data, recipe=RECIPE, run=second, progress=False)


HOLDER = """
import sys, time
from tinysegnet.data import CAMVID
from tinysegnet.training import RunFolder
with RunFolder(sys.argv[1], {"size": [20, 28]}, CAMVID).held():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_training_leaves_no_lock(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True,
                              env=ENVIRONMENT)  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    folder = RunFolder(tmp_path, CONFIG, CAMVID)
    with pytest.raises(DataError, match="another training"), folder.held():
        pass
    holder.kill()
    holder.communicate()
    with folder.held():
        pass


def test_a_second_ctrl_c_stops_at_once():
    before = signal.getsignal(signal.SIGINT)
    with signals.stop_requests() as requests:
        signal.raise_signal(signal.SIGINT)
        assert requests.stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_interrupts_a_command(capsys, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("tinysegnet.gradcheck.run", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    assert main(["gradcheck"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_are_not_handled_in_other_threads():
    caught = []

    def listen():
        with signals.stop_requests() as requests:
            caught.append(requests.stop)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert caught == [False]


def test_the_lock_is_released_after_the_block(tmp_path, monkeypatch):
    locks, kind = [], run_folder.FileLock
    monkeypatch.setattr(run_folder, "FileLock", lambda path: locks.append(kind(path)) or locks[-1])
    with RunFolder(tmp_path, CONFIG, CAMVID).held():
        assert locks[0].is_locked
    assert not locks[0].is_locked


@pytest.mark.parametrize(("code", "accepted"), [
    (errno.ENOSYS, True), (errno.ENOTSUP, True), (errno.ENOLCK, True), (errno.EACCES, False), (errno.EIO, False),
])  # fmt: skip
def test_only_file_systems_without_locks_may_refuse_a_lock(tmp_path, monkeypatch, code, accepted):
    def refuse(*arguments, **settings):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run_folder.FileLock, "acquire", refuse)
    folder, ran = RunFolder(tmp_path, CONFIG, CAMVID), []
    with nullcontext() if accepted else pytest.raises(OSError, match=os.strerror(code)), folder.held():
        ran.append(True)
    assert bool(ran) == accepted


def test_interrupting_the_report_prints_how_to_get_it(tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", interrupted)
    folder = RunFolder(tmp_path / "a run", CONFIG, CAMVID)
    network, data = model(), InMemory(ToyScenes(2, size=(20, 28)))
    result = fit(network, data, run=folder, recipe=RECIPE, progress=False)
    with pytest.raises(KeyboardInterrupt):
        ts.write_report(folder, network, data, None, result)
    assert f"tinysegnet train --resume '{folder.path}'\n" in capsys.readouterr().err
