"""Ctrl-C saves a training run, and the command to continue is shown."""

import math
import signal
import subprocess
import time

import pytest
from training_commands import OPTIONS, command, last_step

from tinysegnet.cli.main import main
from tinysegnet.training.training_step import TrainingStep


def test_ctrl_c_saves_the_run_and_ends_with_130(tmp_path, monkeypatch, capsys):
    run_step = TrainingStep.run

    def stopping(self, images, labels, step):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return run_step(self, images, labels, step)

    monkeypatch.setattr(TrainingStep, "run", stopping)
    monkeypatch.setattr("tinysegnet.cli.live_page.SHORTEST", math.inf)  # no page during the training
    assert main(["train", "--runs", str(tmp_path), "--name", "run", *OPTIONS, "--epochs", "100000"]) == 130
    errors = capsys.readouterr().err
    assert "finishing this batch" in errors
    assert f"Saved at step 6. To continue: tinysegnet train --resume {tmp_path / 'run'}\n" in errors
    assert "Traceback" not in errors
    assert last_step(tmp_path / "run") == 6


@pytest.mark.long
def test_ctrl_c_ends_the_process_with_130(tmp_path):
    arguments = ["--runs", tmp_path, "--name", "run", *OPTIONS, "--epochs", "100000"]
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    path = tmp_path / "run" / "metrics.csv"
    while process.poll() is None and not path.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert f"tinysegnet train --resume {tmp_path / 'run'}" in errors
    assert "Traceback" not in errors
    assert last_step(tmp_path / "run") > 0
