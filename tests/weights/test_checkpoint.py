"""Checkpoints restore everything that was saved, and other files raise a one-line error."""

import numpy as np
import pytest
import safetensors.numpy

import tinysegnet as ts
from tinysegnet.data import Palette
from tinysegnet.errors import CheckpointError
from tinysegnet.weights import checkpoint

PALETTE = Palette(("wall", "door"), ((1, 2, 3), (4, 5, 6)), ignore_label=255, ignore_color=(9, 9, 9))


@pytest.fixture
def model():
    model = ts.build("tiny", num_classes=2, width=1 / 16, seed=5)
    model.forward(np.random.default_rng(0).uniform(0, 255, (2, 20, 28, 3)).astype(np.float32), training=True)
    return model


def test_a_checkpoint_restores_everything_that_was_saved(tmp_path, model):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, model, palette=PALETTE, training={"size": [20, 28], "epoch": 3})
    back = checkpoint.read(path)
    assert back.palette == PALETTE
    assert back.training == {"size": [20, 28], "epoch": 3}
    assert back.size == (20, 28)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, back.model.state()[name])
    x = np.random.default_rng(1).uniform(0, 255, (1, 21, 27, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.forward(x), ts.load(path).forward(x))


def test_a_checkpoint_preserves_float64(tmp_path):
    model = ts.build("basic", width=1 / 16, dtype=np.float64)
    ts.save(tmp_path / "a.safetensors", model)
    assert ts.load(tmp_path / "a.safetensors").dtype == np.float64


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        ts.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"hello, this is not a checkpoint", b"\xff" * 100])
def test_other_files_are_refused_with_their_name(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        ts.load(path)


def test_safetensors_files_of_other_programs_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        ts.load(path)


def test_a_truncated_checkpoint_is_refused(tmp_path, model):
    path = tmp_path / "x.safetensors"
    ts.save(path, model)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        ts.load(path)
