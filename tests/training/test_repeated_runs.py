"""Whole runs of the command in other processes end with the same bits, and a signal ends a run at any moment."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from training_commands import WITHOUT_REPORT

from tinysegnet.weights import checkpoint

pytestmark = pytest.mark.long  # the short form makes these claims for single runs, in test_resume.py

OPTIONS = ["--limit", "8", "--epochs", "2", "--size", "20x28", "--width", "0.0625"]
THREADS = {
    "the same threads": [["--threads", "2"]] * 10,
    "other threads": [["--deterministic", "--threads", threads] for threads in "1234124312"],
}


def command(program, folder, name, *options):
    arguments = ["--runs", folder, "--name", name, *OPTIONS, *options]
    return [sys.executable, *program, "train", *map(str, arguments)]


@pytest.mark.parametrize("kind", THREADS)
def test_ten_runs_end_with_the_same_bits(tmp_path, kind, record_property):
    found = set()
    for name, options in enumerate(THREADS[kind]):
        environment = {**os.environ, "NUMBA_NUM_THREADS": "4"}
        run = command(["-c", WITHOUT_REPORT], tmp_path, name, *options)
        subprocess.run(run, check=True, capture_output=True, env=environment)
        trained = checkpoint.read(tmp_path / str(name) / "last.safetensors").model.state()
        found.add(b"".join(array.tobytes() for array in trained.values()))
    record_property(f"ten runs with {kind}", f"{len(found)} result")
    assert len(found) == 1


def test_signals_at_twenty_moments_end_a_run_with_a_checkpoint(tmp_path, record_property):
    """Ctrl-C or SIGTERM arrives up to half a second after the first epoch. The time that a run takes to end is only
    reported, because it depends on what else the machine does.
    """
    rng, slowest = random.Random(0), 0.0
    for moment in range(20):
        path = tmp_path / str(moment)
        process = subprocess.Popen(
            command(["-m", "tinysegnet"], tmp_path, path.name, "--epochs", 100_000),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while process.poll() is None and not (path / "metrics.csv").exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal((signal.SIGINT, signal.SIGTERM)[moment % 2])
        began = time.perf_counter()
        _, errors = process.communicate(timeout=100)
        slowest = max(slowest, time.perf_counter() - began)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        assert checkpoint.read(path / "last.safetensors").progress["step"] > 0
    record_property("signals at 20 moments", f"slowest end after {slowest:.2f} s")
