"""Every function that takes the path of a file takes it as text, as a Path and as any other object with a path."""

from pathlib import Path

import numpy as np
import pytest
from weight_samples import torchvision, zip_file

import tinysegnet as ts
from tinysegnet.errors import CheckpointError
from tinysegnet.weights import checkpoint
from tinysegnet.weights.weight_files import read_arrays


class Place:
    """An object with a path, such as an entry of os.scandir."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


FORMS = pytest.mark.parametrize("form", [str, Path, lambda path: Place(str(path))], ids=["text", "Path", "PathLike"])


@FORMS
def test_checkpoints_are_saved_and_read(tmp_path, form):
    model, path = ts.build("tiny", width=1 / 16, num_classes=3), form(tmp_path / "a.safetensors")
    ts.save(path, model)
    found = ts.load(path), checkpoint.read(path).model, checkpoint.open_checkpoint(path).model
    for other in (*found, ts.load(path, model=ts.build("tiny", width=1 / 16, num_classes=3))):
        for name, array in model.state().items():
            np.testing.assert_array_equal(other.state()[name], array)


@FORMS
def test_bundled_networks_are_found_by_name_and_close_names_are_suggested(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    assert checkpoint.open_checkpoint(form("toy")).size == (96, 128)
    with pytest.raises(CheckpointError, match=r"^toi: no such file.*toy"):
        checkpoint.open_checkpoint(form("toi"))


@FORMS
def test_errors_name_the_file(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    functions = (ts.load, checkpoint.read, checkpoint.open_checkpoint, read_arrays, ts.encoder_preprocessing,
                 lambda path: ts.load_encoder(ts.build("vgg16", width=1 / 16), path))  # fmt: skip
    Path("wrong").write_text("hello")
    for function in functions:
        for name in ("nothing", "wrong"):
            with pytest.raises(CheckpointError, match=rf"^{name}: "):
                function(form(name))


@FORMS
def test_encoders_are_read(tmp_path, form):
    arrays = torchvision(1 / 16)
    (tmp_path / "a.pth").write_bytes(zip_file(arrays))
    path, model = form(tmp_path / "a.pth"), ts.build("vgg16", width=1 / 16, preprocessing="imagenet")
    assert set(read_arrays(path)) == set(arrays)
    assert ts.encoder_preprocessing(path) == "imagenet"
    assert ts.load_encoder(model, path).preprocessing == "imagenet"
