"""`tinysegnet profile` times each layer of a training step, and an example times it with one more step to its speed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from backends import numpy_unless_long

from tinysegnet import build, runtime
from tinysegnet.bench.profiling import profile
from tinysegnet.cli.main import main


def test_profile_has_a_row_for_every_fused_layer():
    model = build("tiny", width=1 / 8)
    with numpy_unless_long():
        found = profile(model, (20, 28), 2, repeats=1)
    assert [row.name for row in found.rows] == [*(step.name for step in model.fused_layers), "loss", "optimizer"]
    summary = model.summary((20, 28), batch_size=2)
    assert sum(row.kept for row in found.rows) == summary.total("kept") + summary.total("indices")
    assert sum(layer["share"] for layer in json.loads(found.as_json())["layers"]) == pytest.approx(1)
    assert all(row.name in str(found) for row in found.rows)
    assert max(map(len, str(found).splitlines())) <= 120


def test_profile_prints_one_json_object(capsys):
    with numpy_unless_long():
        assert main(["profile", "tiny", "--size", "20x28", "--width", "0.125", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input_shape"] == [1, 20, 28, 3]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(not runtime.JIT, reason="the steps are compiled kernels")
def test_example_times_a_training_step_with_each_improvement():
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, str(root / "examples" / "speed_steps.py"), "--rounds", "1"], check=True,
                          env={**os.environ, "PYTHONPATH": str(root), "NUMBA_NUM_THREADS": str(os.cpu_count())},
                          capture_output=True, text=True)  # fmt: skip
    rows = [re.fullmatch(r"\w.+? +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)", line)
            for line in done.stdout.splitlines()[3:]]  # fmt: skip
    assert len(rows) == 7
    assert all(rows)
