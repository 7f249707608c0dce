"""Folded networks say what they said before, without batch norm, and go to files and back."""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.errors import CheckpointError, SettingError
from tinysegnet.layers import BatchNorm2d, Conv2d, ReLU
from tinysegnet.models import Network
from tinysegnet.weights import checkpoint

NAMES = ["tiny", "basic", "vgg16"]
SIZES = [(1, 1), (21, 27), (45, 61)]


def trained(name, dtype=np.float32, width=1 / 8):
    """With parameters and statistics that are none of 0 and 1."""
    model, rng = ts.build(name, 5, width=width, dtype=dtype), np.random.default_rng(0)
    for array in (array for _, array in (*model.named_parameters(), *model.named_buffers())):
        array += 0.1 * rng.random(array.shape).astype(dtype)
    return model


def pictures(size, dtype):
    return np.random.default_rng(1).uniform(0, 255, (2, *size, 3)).astype(dtype)


def layer_by_layer(model, x):
    for layer in model.layers.values():
        x = layer.forward(x)
    return x


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_logits_at_odd_sizes(name, dtype, bound):
    model = trained(name, dtype)
    folded = ts.fold_batchnorm(model)
    for size in SIZES:
        x = pictures(size, dtype)
        expected = layer_by_layer(model, x)
        for logits in (folded.forward(x), layer_by_layer(folded, x)):
            assert logits.dtype == dtype
            assert relative(logits, expected) <= bound


@pytest.mark.parametrize("name", NAMES)
def test_no_batch_norm_is_left_and_the_other_network_is_as_it_was(name):
    model = trained(name)
    before = {key: array.copy() for key, array in model.state().items()}
    folded = ts.fold_batchnorm(model)
    assert [key for key, layer in model.layers.items() if not isinstance(layer, BatchNorm2d)] == list(folded.layers)
    assert not dict(folded.named_buffers())
    assert all("bias" in layer.params for layer in folded.layers.values() if isinstance(layer, Conv2d))
    relus = [key for key, layer in folded.layers.items() if isinstance(layer, ReLU)]
    assert any(key.startswith("decoder") for key in relus) == (name != "basic")
    for array in folded.state().values():
        array[...] = 0
    assert not set(folded.layers.values()) & set(model.layers.values())
    for key, array in model.state().items():
        np.testing.assert_array_equal(array, before[key])
    assert "folded" not in model.config


def test_folding_twice_is_folding_once():
    once = ts.fold_batchnorm(trained("tiny"))
    twice = ts.fold_batchnorm(once)
    for key, array in once.state().items():
        np.testing.assert_array_equal(array, twice.state()[key])


def test_a_batch_norm_without_a_convolution_before_it_stays():
    model = trained("tiny", width=1 / 16)
    model = Network({"first": BatchNorm2d(3), **model.layers, "last": ReLU()}, model.config)
    kinds = [type(layer) for layer in ts.fold_batchnorm(model).layers.values()]
    assert kinds[0] is BatchNorm2d
    assert BatchNorm2d not in kinds[1:]


@pytest.mark.parametrize("name", NAMES)
def test_to_a_file_and_back(tmp_path, name):
    folded = ts.fold_batchnorm(trained(name, width=1 / 16))
    ts.save(tmp_path / "a.safetensors", folded)
    back = ts.load(tmp_path / "a.safetensors")
    assert list(back.layers) == list(folded.layers)
    assert back.config == folded.config
    x = pictures((20, 28), np.float32)
    np.testing.assert_array_equal(back.forward(x), folded.forward(x))


def test_the_narrowest_of_all_goes_to_a_file_too(tmp_path):
    ts.save(tmp_path / "a.safetensors", ts.build("tiny", 1, width=0.001, folded=True))
    assert ts.load(tmp_path / "a.safetensors").config["folded"]


def test_it_can_be_built_trained_and_scored():
    model = ts.build("tiny", 5, width=1 / 16, folded=True)
    assert model.num_parameters < ts.build("tiny", 5, width=1 / 16).num_parameters
    logits = model.forward(pictures((20, 28), np.float32), training=True)
    model.backward(np.ones_like(logits), input_gradient=False)
    ts.optim.SGD(model).step()
    assert ts.predict(model, np.zeros((20, 28, 3), np.uint8)).shape == (20, 28)
    assert "decoder1.conv1" in str(model.summary((20, 28)))
    with pytest.raises(SettingError, match=r"folded: 1 \(expected True or False\)"):
        ts.build("tiny", folded=1)


def test_a_file_that_lies_about_it_is_refused(tmp_path):
    for config, model in ((True, ts.build("tiny", width=1 / 16)), (False, ts.build("tiny", width=1 / 16, folded=True))):
        model.config["folded"] = config
        ts.save(tmp_path / "a.safetensors", model)
        with pytest.raises(CheckpointError, match=r"a\.safetensors"):
            ts.load(tmp_path / "a.safetensors")


def test_export(tmp_path):
    ts.save(tmp_path / "a.safetensors", trained("tiny", width=1 / 16))
    command = ["export", str(tmp_path / "a.safetensors"), "--fold", "--half", "--out", str(tmp_path / "b.safetensors")]
    assert main(command) == 0
    small = checkpoint.read(tmp_path / "b.safetensors").model
    assert small.config["folded"]
    x = pictures((20, 28), np.float32)
    assert relative(small.forward(x), ts.load(tmp_path / "a.safetensors").forward(x)) < 0.02
