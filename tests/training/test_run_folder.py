"""The folder of a run: its configuration, its best checkpoint, and the folders that are refused."""

import csv
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet import runtime
from tinysegnet.data import CAMVID
from tinysegnet.errors import CheckpointError, DataError
from tinysegnet.training import Progress, run_folder
from tinysegnet.training.run_folder import RunFolder, read_config
from tinysegnet.weights import checkpoint

CONFIG = {"size": [20, 28], "epochs": 3}


def model():
    return ts.build("tiny", width=1 / 16)


def row(epoch, mIoU):
    return {"epoch": epoch, "train_loss": 1 / 3, "learning_rate": 0.1, "val_G": 0.5, "val_C": np.nan, "val_mIoU": mIoU,
            "seconds": 12.5}  # fmt: skip


@pytest.mark.parametrize(("scores", "best"), [
    ((0.3, 0.5, 0.4), 2), ((0.5, 0.5), 1), ((0.2, 0.1, 0.2), 1), ((np.nan, 0.3, np.nan), 2), ((np.nan, np.nan), 2),
    ((0.0, 0.0), 1), ((np.nan, 0.0, 0.1, np.nan, 0.05), 3),
])  # fmt: skip
def test_the_best_checkpoint_is_that_of_the_first_highest_mIoU(tmp_path, scores, best):
    folder, progress, network = RunFolder(tmp_path / "run", CONFIG, CAMVID), Progress({}), model()
    folder.begin()
    for epoch, mIoU in enumerate(scores, 1):
        progress.history.append(row(epoch, mIoU))
        folder.record(network, None, progress, {})
    assert checkpoint.read(folder.path / "best.safetensors").training["epoch"] == best
    assert checkpoint.read(folder.path / "last.safetensors").training["epoch"] == len(scores)
    assert progress.best == max((score for score in scores if score == score), default=-np.inf)


def test_metrics_have_six_digits_and_empty_cells(tmp_path):
    folder, progress = RunFolder(tmp_path / "run", CONFIG, CAMVID), Progress({}, history=[row(1, np.nan), row(2, 0.25)])
    folder.begin()
    folder.record(model(), None, progress, {})
    assert (folder.path / "metrics.csv").read_text() == (
        "epoch,train_loss,val_G,val_C,val_mIoU,seconds,learning_rate\n"
        "1,0.333333,0.5,,,12.5,0.1\n2,0.333333,0.5,,0.25,12.5,0.1\n"
    )


def test_metrics_of_a_resumed_old_run_have_empty_cells_where_older_epochs_lack_values(tmp_path):
    new = {**row(2, 0.25), 'IoU a, "b"': 0.5, "IoU c\nd": np.nan}
    old = {name: value for name, value in row(1, 0.5).items() if name != "learning_rate"}
    folder = RunFolder(tmp_path / "run", CONFIG, CAMVID)
    folder.begin()
    folder.record(model(), None, Progress({}, history=[old, new]), {})
    with (folder.path / "metrics.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first)[-3:] == ["learning_rate", 'IoU a, "b"', "IoU c\nd"]
    assert (first["learning_rate"], first['IoU a, "b"'], first["val_mIoU"]) == ("", "", "0.5")
    assert (second["learning_rate"], second['IoU a, "b"'], second["IoU c\nd"]) == ("0.1", "0.5", "")


def test_a_run_without_a_checkpoint_cannot_continue_and_nobody_advises_it(tmp_path):
    folder = RunFolder(tmp_path / "run", CONFIG, CAMVID)
    folder.begin()
    with pytest.raises(CheckpointError, match="before its first checkpoint"):
        RunFolder.resume(folder.path)
    for advised in (False, True):
        with pytest.raises(DataError, match="already contains a run") as error:
            RunFolder(folder.path, CONFIG, CAMVID)
        assert ("--resume" in str(error.value)) == advised
        folder.save(model(), None, Progress({"state": 1}), {})


def test_a_run_is_never_overwritten(tmp_path):
    RunFolder(tmp_path / "run", {"size": (20, 28)}, CAMVID).begin()
    with pytest.raises(DataError, match="already contains a run") as told:
        RunFolder(tmp_path / "run", {"size": (20, 28)}, CAMVID)
    assert "--resume" not in str(told.value)  # there is no checkpoint yet
    (tmp_path / "run" / "last.safetensors").touch()
    with pytest.raises(DataError, match=r"already contains a run.*--resume"):
        RunFolder(tmp_path / "run", {"size": (20, 28)}, CAMVID)


def test_a_checkpoint_before_the_first_epoch_is_of_epoch_0(tmp_path):
    folder = RunFolder(tmp_path / "run", CONFIG, CAMVID)
    folder.begin()
    folder.save(model(), None, Progress({"state": 1}), {})
    saved = checkpoint.read(folder.path / "last.safetensors")
    assert saved.training == {"size": [20, 28], "epoch": 0, "scores": None}


def test_beginning_removes_temporary_files_and_writes_the_configuration_once(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, CAMVID)
    for name in (".a.tmp", ".b.tmp", "c.tmp", ".lock"):
        (tmp_path / name).touch()
    folder.begin()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "c.tmp", "config.json"]
    text = (tmp_path / "config.json").read_text()
    assert text.startswith('{\n  "size": [\n    20,')
    assert {name: json.loads(text)[name] for name in CONFIG} == CONFIG
    folder.save(model(), None, Progress({"state": 1}), {})
    (tmp_path / ".d.tmp").touch()
    (tmp_path / "config.json").write_text('{"size": [1, 2]}')
    RunFolder.resume(tmp_path).begin()
    assert not (tmp_path / ".d.tmp").exists()
    assert read_config(tmp_path) == {"size": [1, 2]}


def test_the_configuration_describes_the_machine_and_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/x", "train", "--name", "a b"])
    found = run_folder.environment()
    packages = {name: version(name) for name in ("numpy", "numba") if runtime.HAS_NUMBA or name == "numpy"}
    assert packages.items() <= found.items()
    assert found["python"] == platform.python_version()
    assert (found["backend"], found["threads"]) == (runtime.BACKEND, runtime.threads())
    assert found["system"] == f"{platform.system()} {platform.machine()}"
    assert found["command"] == "tinysegnet train --name 'a b'"
    assert run_folder._version("no-such-package") == "not installed"
    assert list(found) == ["tinysegnet", "python", "numpy", "numba", "backend", "threads", "processor", "system",
                           "command"]  # fmt: skip


@pytest.mark.parametrize(("text", "name"), [
    ("processor\t: 0\nmodel name\t: Fast: 3 GHz \nmodel name\t: other\n", "Fast: 3 GHz"), ("processor: 0\n", "chip"),
    (None, "chip"),
])  # fmt: skip
def test_the_processor_is_named_as_by_the_system(monkeypatch, text, name):
    def read(path):
        if text is None:
            raise OSError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(platform, "processor", lambda: "chip")
    assert run_folder._processor() == name
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert run_folder._processor() == (platform.machine() if name == "chip" else name)


@pytest.mark.parametrize("text", ["{}", "3", '"size"', "[]", "[1, 2", '["size"]'])
def test_configurations_without_a_size_are_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config\.json: cannot be read.*runs/NAME"):
        read_config(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_configuration_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_config(tmp_path)


def test_resume_rejects_folders_without_a_run(tmp_path):
    with pytest.raises(DataError, match=r"config\.json: no such file"):
        RunFolder.resume(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(DataError, match="cannot be read"):
        RunFolder.resume(tmp_path)
    (tmp_path / "config.json").write_text('{"size": [20, 28]}')
    with pytest.raises(CheckpointError, match=r"last\.safetensors: no such file"):
        RunFolder.resume(tmp_path)
    ts.save(tmp_path / "last.safetensors", model())
    with pytest.raises(DataError, match="lacks the training state"):
        RunFolder.resume(tmp_path)
