"""A network that starts from a trained one keeps everything but the classifier of other classes."""

import json

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, Palette
from tinysegnet.errors import SettingError
from tinysegnet.models import models
from tinysegnet.weights.checkpoint import Checkpoint, read, start_from


def palette(*names):
    return Palette(names, tuple((10 * k, 0, 0) for k in range(len(names))))


def trained(name="tiny", num_classes=11, of=CAMVID):
    model = ts.build(name, num_classes, width=1 / 16, seed=3)
    for array in model.state().values():
        array += 0.5
    return Checkpoint(model, of)


@pytest.mark.parametrize("name", models)
def test_all_weights_but_those_of_the_classes_are_kept(name):
    saved = trained(name)
    model, line = start_from(saved, palette("a", "b", "c"), seed=7)
    assert model.num_classes == 3
    assert "new classifier" in line
    new, old = ts.build(name, 3, width=1 / 16, seed=7).state(), saved.model.state()
    for key, array in model.state().items():
        same_shape = old[key].shape == array.shape
        np.testing.assert_array_equal(array, (old if same_shape else new)[key])
        assert same_shape or array.shape[-1] == 3
    assert old["classifier.weight"].shape != model.state()["classifier.weight"].shape


def test_as_many_other_classes_get_a_new_classifier_too():
    saved = trained(num_classes=2, of=palette("a", "b"))
    model, _ = start_from(saved, palette("b", "a"))
    fresh = ts.build("tiny", 2, width=1 / 16).state()
    np.testing.assert_array_equal(model.state()["classifier.weight"], fresh["classifier.weight"])
    np.testing.assert_array_equal(model.state()["encoder1.conv1.weight"], saved.model.state()["encoder1.conv1.weight"])


def test_the_same_classes_keep_the_classifier():
    saved = trained()
    model, line = start_from(saved, CAMVID)
    np.testing.assert_equal(model.state(), saved.model.state())
    assert "is kept" in line


@pytest.mark.parametrize(("name", "channels", "classes", "expected"), [
    ("tiny", 1, 2, 1), ("tiny", 1, 3, 3), ("article", 1, 2, 1), ("article", 11, 2, 1), ("tiny", 11, 2, 2),
    ("tiny", 2, 255, 255),
])  # fmt: skip
def test_a_single_logit_remains_for_two_classes(name, channels, classes, expected):
    saved = trained(name, channels, palette(*"ab") if channels == 1 else CAMVID)
    model, _ = start_from(saved, Palette(tuple(f"c{k}" for k in range(classes)), ((0, 0, 0),) * classes))
    assert model.config["num_classes"] == expected


def test_folded_and_custom_networks_are_refused():
    saved = trained()
    custom = ts.Network(ts.build("tiny", 2, width=1 / 16).layers)
    for model in (ts.fold_batchnorm(saved.model), custom):
        with pytest.raises(SettingError, match="cannot be fine-tuned"):
            start_from(Checkpoint(model, CAMVID), palette("a", "b"))


def test_the_command_fine_tunes_with_a_frozen_encoder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda run, *_, **__: run.path / "report.html")
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})
    start = trained()
    ts.save(tmp_path / "start.safetensors", start.model)
    options = (
        f"--from {tmp_path / 'start.safetensors'} --one-class sky --freeze-encoder --epochs 1 --limit 2 --size 20x28"
    )
    assert main(["train", *options.split(), "--runs", str(tmp_path), "--name", "a"]) == 0
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert (config["from"], config["model"], config["width"]) == (str(tmp_path / "start.safetensors"), "tiny", 1 / 16)
    assert config["learning_rate"] == pytest.approx(0.005 / 5)  # a fifth of the default for toy scenes
    network = read(tmp_path / "a" / "last.safetensors").model
    assert network.config["num_classes"] == 2
    key = "encoder2.conv1.weight"
    np.testing.assert_array_equal(network.state()[key], start.model.state()[key])
    (tmp_path / "start.safetensors").unlink()  # a resumed run has its own weights
    assert main(["train", "--resume", str(tmp_path / "a")]) == 0
    assert "new classifier" in capsys.readouterr().out
