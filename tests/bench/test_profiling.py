"""`tinysegnet profile` times each layer of a training step."""

import json

import pytest
from backends import numpy_unless_long

from tinysegnet import build
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
