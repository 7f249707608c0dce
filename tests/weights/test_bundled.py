"""The bundled network is small, works without training, and segments streets that are not in its training data."""

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory, open_dataset
from tinysegnet.errors import CheckpointError, SettingError
from tinysegnet.weights import checkpoint

PATH = checkpoint.BUNDLED["toy"]


def test_the_bundled_network_is_small_and_complete():
    assert [*checkpoint.BUNDLED] == ["toy"]
    assert PATH.stat().st_size <= 1.1e6
    loaded = checkpoint.open_checkpoint("toy")
    assert loaded.palette == CAMVID
    assert loaded.size == (96, 128)
    assert loaded.model.dtype == np.float32
    assert loaded.model.config["name"] == "tiny"


def test_the_bundled_network_segments_streets_that_it_never_saw():
    streets = InMemory(open_dataset("toy", "val"), limit=amount(10, 40))
    assert ts.evaluate(ts.load_bundled("toy"), streets, size=(96, 128)).mIoU > 0.75


def test_unknown_names_of_bundled_networks_are_refused():
    with pytest.raises(SettingError, match=r"'camvid'.*toy"):
        ts.load_bundled("camvid")
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.open_checkpoint("camvid")


@pytest.mark.parametrize("old", ["load_ready", "predict_with_doubt"])
def test_names_of_version_0_1_work_with_a_warning(old):
    with pytest.warns(DeprecationWarning, match=f"{old} is now called") as caught:
        function = getattr(ts, old)
    assert len(caught) == 1
    assert function in (ts.load_bundled, ts.predict_with_uncertainty)


def test_a_file_has_priority_over_a_bundled_network_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ts.save("toy", ts.build("tiny", width=1 / 16))
    assert checkpoint.open_checkpoint("toy").model.config["width"] == 1 / 16


def test_export_leaves_out_what_only_training_needs(tmp_path, capsys):
    model = ts.build("tiny", width=1 / 4)
    slots = {f"{name}/mean": np.ones_like(array) for name, array in model.named_parameters()}
    last, small_path = tmp_path / "last.safetensors", tmp_path / "small.safetensors"
    checkpoint.save(last, model, training={"size": [20, 28]}, progress={"step": 1}, optimizer=slots)
    assert main(["export", str(last), "--half", "--out", str(small_path)]) == 0
    assert "small.safetensors" in capsys.readouterr().out
    small = checkpoint.read(small_path)
    assert not small.optimizer
    assert not small.progress
    assert small.size == (20, 28)
    assert small_path.stat().st_size < 0.4 * last.stat().st_size
    for name, array in model.state().items():
        np.testing.assert_allclose(small.model.state()[name], array, rtol=1e-3, atol=1e-7)
    assert main(["export", str(last), "--out", str(small_path)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_values_too_large_for_float16_are_refused(tmp_path):
    model = ts.build("tiny", width=1 / 16)
    model.layers["classifier"].params["bias"][0] = 1e6
    with pytest.raises(SettingError, match="float16"):
        checkpoint.save(tmp_path / "a.safetensors", model, half=True)
