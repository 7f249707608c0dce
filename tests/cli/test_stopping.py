"""Ctrl-C and SIGTERM in every phase: one line says what is kept and how to go on, and no file is half-written."""

import signal

import pytest
from PIL import Image
from small_networks import noise

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID
from tinysegnet.prediction.segment_files import Segmenter
from tinysegnet.training import loop
from tinysegnet.training.training_step import TrainingStep
from tinysegnet.weights import checkpoint

TRAIN = ["train", "--limit", "2", "--size", "16x24", "--width", "0.0625", "--epochs", "2", "--batch-size", "1",
         "--class-weights", "none", "--name", "run"]  # fmt: skip


def interrupting(function, *, at, times=1, number=signal.SIGINT):
    """Return the function with signals that arrive when it is called for the n-th time."""
    calls = []

    def interrupted(*arguments, **settings):
        calls.append(1)
        for _ in range(times if len(calls) == at else 0):
            signal.raise_signal(number)
        return function(*arguments, **settings)

    return interrupted


@pytest.fixture
def stop(monkeypatch):
    """Let signals arrive when a function is called for the n-th time: stop(owner, name, at=2, times=1)."""

    def stop(owner, name, **settings):
        monkeypatch.setattr(owner, name, interrupting(getattr(owner, name), **settings))

    return stop


@pytest.fixture
def train(tmp_path, capsys, monkeypatch):
    """Train without a report, and return the exit code and the lines on stderr that are not of an epoch."""
    monkeypatch.setattr("tinysegnet.report.run_report.write_report", lambda folder, *_: folder.path)
    monkeypatch.setattr("tinysegnet.cli.live_page.SHORTEST", 1e9)

    def train(*arguments):
        code = main([*(arguments or [*TRAIN, "--runs", str(tmp_path)])])
        lines = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith("epoch")]
        return code, lines

    return train


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_stopped_before_its_folder_exists_leaves_nothing(train, stop, tmp_path, times):
    stop(loop, "TrainingStep", at=1, times=times)  # which computes the class weights
    assert train() == (130, ["interrupted"])
    assert not (tmp_path / "run").exists()


def test_one_signal_in_the_first_step_keeps_the_step(train, stop, tmp_path):
    stop(TrainingStep, "run", at=1, number=signal.SIGTERM)  # kernels are compiled in the first step
    resume = f"tinysegnet train --resume {tmp_path / 'run'}"
    code, lines = train()
    assert (code, lines[1:]) == (130, [f"Saved at step 1. To continue: {resume}", "interrupted"])
    assert checkpoint.read(tmp_path / "run" / "last.safetensors").progress["step"] == 1
    assert train("train", "--resume", str(tmp_path / "run"))[0] == 0


def test_two_signals_before_the_first_checkpoint_free_the_folder(train, stop):
    stop(TrainingStep, "run", at=2, times=2)
    code, lines = train()
    assert code == 130
    assert lines[1:] == ["Stopped at once, before the first checkpoint. To start again, run the same command.",
                         "interrupted"]  # fmt: skip
    assert train()[0] == 0


@pytest.mark.parametrize(("owner", "name", "at"), [
    pytest.param(TrainingStep, "run", 4, marks=pytest.mark.long), (loop, "evaluate", 2),
    pytest.param(loop.RunFolder, "record", 2, marks=pytest.mark.long),
], ids=["training", "validating", "saving"])  # fmt: skip
def test_two_signals_later_keep_the_last_checkpoint(train, stop, tmp_path, owner, name, at):
    stop(owner, name, at=at, times=2)
    code, lines = train()
    assert code == 130
    assert lines[1].startswith("Stopped at once. The last checkpoint is kept. To continue from it: tinysegnet train")
    assert checkpoint.read(tmp_path / "run" / "last.safetensors").progress["step"] == 2
    assert train("train", "--resume", str(tmp_path / "run"))[0] == 0


def test_a_signal_while_the_page_is_refreshed_saves_the_run(train, monkeypatch, tmp_path):
    monkeypatch.setattr("tinysegnet.cli.live_page.SHORTEST", 0)

    def refresh(*arguments, **parts):
        signal.raise_signal(signal.SIGINT)
        return tmp_path

    monkeypatch.setattr("tinysegnet.cli.live_page.write_run_page", refresh)
    monkeypatch.setattr("tinysegnet.cli.live_page.LivePage.stopped", lambda page, reason: None)
    code, lines = train()
    assert (code, lines[1].split(".")[0]) == (130, "Saved at step 2")


@pytest.fixture
def pictures(tmp_path):
    network = tmp_path / "network.safetensors"
    checkpoint.save(network, ts.build("tiny", width=1 / 16), palette=CAMVID, training={"size": (16, 24)})
    for name in "abc":
        Image.fromarray(noise(16, 24)).save(tmp_path / f"{name}.png")
    return network, [str(tmp_path / f"{name}.png") for name in "abc"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_predict_keeps_finished_pictures_and_counts_them(pictures, stop, tmp_path, capsys, number):
    network, paths = pictures
    stop(Segmenter, "segment", at=3, number=number)
    out = tmp_path / "out"
    assert main(["predict", str(network), *paths, "--out", str(out)]) == 130
    line = f"{out} contains the results of 2 of 3 pictures. The same command segments all of them."
    assert capsys.readouterr().err.splitlines() == [line, "interrupted"]
    assert {path.name[0] for path in out.iterdir()} == {"a", "b"}
    assert len(list(out.iterdir())) == 6


@pytest.mark.parametrize("at", [1, 5, 9])
def test_scenes_that_were_not_finished_are_removed(stop, tmp_path, capsys, at):
    stop(viz, "picture_bytes", at=at)  # three times per scene
    assert main(["data", "scenes", "--count", "3", "--size", "16x24", "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_quiet_commands_print_their_results(pictures, tmp_path, capsys):
    network, paths = pictures
    assert main(["predict", str(network), *paths, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert (len(shown.out.splitlines()), shown.err) == (3, "")
    assert main([*TRAIN, "--runs", str(tmp_path), "--quiet", "--open", "--help"]) == 0
