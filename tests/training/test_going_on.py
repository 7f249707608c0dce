"""A run goes on with more epochs, stops early, and is the same as a longer run where its schedule allows that."""

import json
import os
import random
import shutil
import subprocess
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
import pytest
from training_commands import command

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import DataError, SettingError
from tinysegnet.training import Recipe, fit
from tinysegnet.training.optim import schedule
from tinysegnet.training.run_folder import RunFolder, has_stalled
from tinysegnet.weights import checkpoint

SIZE = (20, 28)
RECIPE = Recipe(epochs=2, size=SIZE, schedule="constant", color_jitter=0.2, validate_every=2)
NAN = float("nan")
ENVIRONMENT = {**os.environ, "TINYSEGNET_BACKEND": "numpy"}


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(4, seed=0, size=SIZE))


@pytest.fixture(scope="module")
def val():
    return InMemory(ToyScenes(2, seed=1, size=SIZE))


def train(path, data, val, recipe):
    run = RunFolder(path, asdict(recipe), CAMVID)
    return fit(ts.build("tiny", width=1 / 16), data, val, recipe=recipe, run=run, progress=False)


def extend(path, data, val, recipe, **plan):
    run = RunFolder.resume(path, **plan)
    return fit(ts.build("tiny", width=1 / 16), data, val, recipe=replace(recipe, **plan), run=run, progress=False)


def config_of(path):
    return json.loads((path / "config.json").read_text())


def state(path):
    """Return everything in the last checkpoint but the times."""
    saved = checkpoint.read(path / "last.safetensors")
    arrays = {name: array.tobytes() for name, array in (saved.model.state() | saved.optimizer).items()}
    history = [{name: str(row[name]) for name in row if name != "seconds"} for row in saved.progress["history"]]
    return arrays, history, saved.progress["generator"], saved.progress["best"]


def test_a_finished_run_goes_on_as_if_it_had_been_longer_from_the_start(tmp_path, data, val):
    train(tmp_path / "long", data, val, replace(RECIPE, epochs=4))
    train(tmp_path / "short", data, val, RECIPE)
    extend(tmp_path / "short", data, val, RECIPE, epochs=4)
    assert state(tmp_path / "short") == state(tmp_path / "long")
    best = [checkpoint.read(tmp_path / name / "best.safetensors").model.state() for name in ("short", "long")]
    np.testing.assert_equal(*best)
    config = config_of(tmp_path / "short")
    assert config["epochs"] == 4
    assert config["plans"] == [{"epochs": 2, "iterations": None, "patience": None, "trained": 2}]


@pytest.mark.parametrize("schedule", ["step", "poly", "one_cycle"])
def test_the_rate_follows_the_schedule_of_the_longer_run(tmp_path, data, schedule):
    recipe = replace(RECIPE, schedule=schedule)
    train(tmp_path / "run", data, None, recipe)
    history = extend(tmp_path / "run", data, None, recipe, epochs=4).history
    rates = [row["learning_rate"] / recipe.learning_rate for row in history]  # of the last of two steps per epoch
    expected = [ts.optim.schedule(schedule, step, 4) for step in (1, 3)]
    expected += [ts.optim.schedule(schedule, step, 8) for step in (5, 7)]
    assert rates == pytest.approx(expected)


def test_the_schedule_of_an_older_run_with_fewer_steps_per_epoch_ends_with_its_last_step(tmp_path, data):
    recipe, last = replace(RECIPE, schedule="one_cycle", class_weights="none"), tmp_path / "run" / "last.safetensors"
    train(tmp_path / "run", data, None, recipe)
    saved = checkpoint.read(last)
    old = saved.progress | {"step": 2}  # one step per epoch instead of two
    checkpoint.save(last, saved.model, training=saved.training, progress=old, optimizer=saved.optimizer)
    rows = extend(tmp_path / "run", data, None, recipe, epochs=4).history
    assert rows[-1]["learning_rate"] == recipe.learning_rate * schedule("one_cycle", 5, 6)


def test_a_plan_changes_before_the_first_new_step_and_only_once(tmp_path, data, val, monkeypatch):
    """A kill at any moment leaves the old plan, or the new one, which is then followed without another option."""
    train(tmp_path / "killed", data, val, RECIPE)
    shutil.copytree(tmp_path / "killed", tmp_path / "whole")
    extend(tmp_path / "whole", data, val, RECIPE, epochs=4)
    before, run = config_of(tmp_path / "killed"), RunFolder.resume(tmp_path / "killed", epochs=4)
    assert config_of(tmp_path / "killed") == before  # a kill here leaves the finished run
    run.begin()
    assert config_of(tmp_path / "killed")["epochs"] == 4  # a kill here leaves the new plan and the old checkpoint
    assert checkpoint.read(tmp_path / "killed" / "last.safetensors").progress["epoch"] == 3

    save = RunFolder.save

    def killed(self, *arguments):
        save(self, *arguments)
        raise MemoryError  # ends the process after the first new checkpoint

    monkeypatch.setattr(RunFolder, "save", killed)
    with pytest.raises(MemoryError):
        extend(tmp_path / "killed", data, val, RECIPE, epochs=4)
    monkeypatch.undo()
    assert checkpoint.read(tmp_path / "killed" / "last.safetensors").progress["epoch"] == 4
    assert len(config_of(tmp_path / "killed")["plans"]) == 1  # the same plan again is no new plan
    rest = RunFolder.resume(tmp_path / "killed")
    recipe = Recipe(**{name: value for name, value in rest.config.items() if name in asdict(RECIPE)})
    fit(ts.build("tiny", width=1 / 16), data, val, recipe=recipe, run=rest, progress=False)
    assert state(tmp_path / "killed") == state(tmp_path / "whole")
    lines = (tmp_path / "killed" / "metrics.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3", "4"]


def test_a_run_cannot_end_before_the_epochs_that_it_has_trained(tmp_path, data):
    train(tmp_path / "run", data, None, RECIPE)
    for epochs in (1, 2):
        with pytest.raises(SettingError, match=r"2 epochs.*--epochs 3"):
            RunFolder.resume(tmp_path / "run", epochs=epochs)
    config = config_of(tmp_path / "run") | {"plans": [{}]}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="plans"):
        RunFolder.resume(tmp_path / "run", epochs=3)


@pytest.mark.parametrize(("scores", "patience", "since", "stalled"), [
    ([], 1, 0, False), ([0.5], 1, 0, False), ([0.5, 0.6], 1, 0, False), ([0.5, 0.5], 1, 0, True),
    ([0.5, 0.4], 2, 0, False), ([0.5, 0.4, 0.3], 2, 0, True), ([0.5, NAN, 0.4, NAN], 2, 0, False),
    ([0.5, 0.4, 0.6, 0.5], 2, 0, False), ([0.5, 0.4, 0.3], 2, 2, False), ([0.5, 0.4, 0.3, 0.3], 2, 2, True),
    ([0.5, 0.4, 0.3], None, 0, False), ([NAN, NAN], 1, 0, False),
])  # fmt: skip
def test_patience_ends_with_validations_that_are_no_better(scores, patience, since, stalled):
    history = [{"epoch": epoch, "val_mIoU": score} for epoch, score in enumerate(scores, start=1)]
    assert has_stalled(history, patience, since) is stalled


@pytest.mark.parametrize("statistics", ["running", "exact"])
def test_a_run_that_stopped_early_is_finished_and_can_go_on(tmp_path, data, val, statistics):
    """At a rate of almost 0, only the first validation is a new best one."""
    recipe = replace(RECIPE, epochs=9, learning_rate=1e-12, patience=2, validate_every=1, statistics=statistics)
    if statistics == "running":  # whose changes must not change the scores
        recipe = replace(recipe, schedule="constant", color_jitter=0.0, flip=0.0)
    result = train(tmp_path / "run", data, val, recipe)
    ended = len(result.history)
    assert ended < 9
    assert f"after epoch {ended} of 9" in result.stalled
    again = extend(tmp_path / "run", data, val, recipe)
    assert (again.history, again.stalled) == (result.history, result.stalled)
    assert again.scores.mIoU == result.scores.mIoU
    on = extend(tmp_path / "run", data, val, recipe, epochs=10)
    assert len(on.history) in (ended + 2, 10)  # it waits for two more validations
    assert config_of(tmp_path / "run")["plans"][0]["trained"] == ended


def test_patience_needs_validation_pictures(data):
    with pytest.raises(SettingError, match="patience"):
        fit(ts.build("tiny", width=1 / 16), data, recipe=replace(RECIPE, patience=1), progress=False)


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def without_report(monkeypatch):
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda run, *_, **__: run.path / "report.html")
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})


def test_the_command_continues_a_finished_run(tmp_path, capsys, without_report):
    options = "--epochs 1 --limit 2 --size 20x28 --width 0.0625 --name a --runs"
    assert main(["train", *options.split(), str(tmp_path)]) == 0
    assert main(["train", "--resume", str(tmp_path / "a"), "--epochs", "2", "--patience", "3"]) == 0
    config = config_of(tmp_path / "a")
    assert (config["epochs"], config["patience"], config["limit"]) == (2, 3, 2)
    assert config["pictures"]["train"]["count"] == 2
    assert checkpoint.read(tmp_path / "a" / "last.safetensors").progress["epoch"] == 3
    assert "note: scores are uncertain" in capsys.readouterr().out

    config["pictures"]["val"]["sha256"] = "0"
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    assert main(["train", "--resume", str(tmp_path / "a")]) == 2
    assert "split val have changed" in capsys.readouterr().err


def test_minutes_choose_the_epochs_and_record_them(tmp_path, capsys, without_report):
    options = "--minutes 0.001 --limit 2 --size 20x28 --width 0.0625 --name a --runs"
    assert main(["train", *options.split(), str(tmp_path)]) == 0
    config = config_of(tmp_path / "a")
    assert f"--minutes 0.001: --epochs {config['epochs']}" in capsys.readouterr().out
    assert 1 <= config["epochs"] <= 50
    assert config["iterations"] is None


@pytest.mark.long
def test_a_run_killed_while_it_goes_on_ends_with_the_same_bits(tmp_path):
    """The longer run is killed at random moments, also before its first new checkpoint, and resumed."""
    options = ["--epochs", 2, "--schedule", "constant", "--limit", 4, "--size", "20x28", "--width", 0.0625, "--runs"]
    for name in ("whole", "killed"):
        subprocess.run(command(*options, tmp_path, "--name", name), check=True, capture_output=True, env=ENVIRONMENT)
    whole, killed, rng = tmp_path / "whole", tmp_path / "killed", random.Random(0)
    subprocess.run(command("--resume", whole, "--epochs", 8), check=True, capture_output=True, env=ENVIRONMENT)
    for _ in range(8):
        planned = config_of(killed)["epochs"] == 8
        process = subprocess.Popen(command("--resume", killed, *(() if planned else ("--epochs", 8))),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0.5, 3))
        process.kill()
        process.wait()
        assert config_of(killed)["epochs"] in (2, 8)
        checkpoint.read(killed / "best.safetensors")
        rows = (killed / "metrics.csv").read_text().splitlines()
        trained = checkpoint.read(killed / "last.safetensors").progress["epoch"] - 1
        assert len(rows) - 1 in (trained, trained + 1)  # metrics are written before the checkpoint of their epoch
    rest = () if config_of(killed)["epochs"] == 8 else ("--epochs", 8)
    subprocess.run(command("--resume", killed, *rest), check=True, capture_output=True, env=ENVIRONMENT)
    assert state(killed) == state(whole)
