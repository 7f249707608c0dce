"""Folded networks compute the same logits without batch norm, and checkpoints can store them."""

import numpy as np
import pytest
from forms import amount
from small_networks import images, shaken

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.errors import CheckpointError, SettingError, ShapeError
from tinysegnet.layers import BatchNorm2d, Conv2d, Normalize, ReLU, Upsample
from tinysegnet.models import Network
from tinysegnet.weights import checkpoint

NAMES = ["tiny", "basic", "vgg16"]
SIZES = amount([(1, 1), (21, 27)], [(1, 1), (21, 27), (45, 61)])


def trained(name, dtype=np.float32, width=1 / 16):
    return shaken(ts.build(name, 5, width=width, dtype=dtype))


def layer_by_layer(model, x):
    for layer in model.layers.values():
        x = layer.forward(x)
    return x


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("name", NAMES)
def test_folding_preserves_the_logits_at_odd_sizes(name, dtype, bound):
    model = trained(name, dtype, width=amount(1 / 16, 1 / 8))
    folded = ts.fold_batchnorm(model)
    for size in SIZES:
        x = images(2, *size, dtype=dtype)
        expected = layer_by_layer(model, x)
        for logits in (folded.forward(x), layer_by_layer(folded, x)):
            assert logits.dtype == dtype
            assert relative(logits, expected) <= bound


@pytest.mark.parametrize("name", NAMES)
def test_folding_removes_batch_norms_and_leaves_the_original_unchanged(name):
    model = trained(name)
    before = {key: array.copy() for key, array in model.state().items()}
    folded = ts.fold_batchnorm(model)
    assert folded.generator.random() == model.generator.random()
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


@pytest.mark.parametrize("name", ["tiny", "bayesian-basic"])
def test_a_folded_network_continues_with_the_masks_of_the_original(name):
    model = trained(name)
    model.generator.random(3)  # as after some training with dropout
    folded = ts.fold_batchnorm(model)
    drawn = folded.generator.random(4)
    np.testing.assert_array_equal(drawn, model.generator.random(4))  # drawing from one leaves the other unchanged
    model.reseed(1, 2)
    folded = ts.fold_batchnorm(model)
    if name == "bayesian-basic":
        x = images(1, 16, 20)
        for a, b in zip(folded.samples(x, 2), model.samples(x, 2), strict=True):
            assert relative(a, b) <= 1e-4


def test_a_folded_network_needs_pictures_of_the_same_sizes():
    kept = ts.fold_batchnorm(ts.build("article", 3, width=1 / 64))
    own = Network(trained("tiny").layers, {"name": "own", "num_classes": 5, "seed": 7}, size_multiple=3)
    folded = ts.fold_batchnorm(own)
    assert (kept.size_multiple, folded.size_multiple) == (4, 3)
    assert ts.build("article", 3, width=1 / 64, folded=True).size_multiple == 4
    assert folded.fitting_size((7, 11)) == (6, 12)
    assert folded.forward(images(1, 6, 12)).shape == (1, 6, 12, 5)
    for model, size in ((kept, (8, 6)), (folded, (7, 12))):
        with pytest.raises(ShapeError, match=f"multiples of {model.size_multiple}"):
            model.forward(images(1, *size))
    assert folded.config == {"name": "own", "num_classes": 5, "seed": 7, "folded": True}


def test_folding_twice_changes_nothing_more():
    once = ts.fold_batchnorm(trained("tiny"))
    twice = ts.fold_batchnorm(once)
    for key, array in once.state().items():
        np.testing.assert_array_equal(array, twice.state()[key])


def test_a_batch_norm_without_a_convolution_before_it_remains():
    model = trained("tiny")
    model = Network({"first": BatchNorm2d(3), **model.layers, "last": ReLU()}, model.config)
    kinds = [type(layer) for layer in ts.fold_batchnorm(model).layers.values()]
    assert kinds[0] is BatchNorm2d
    assert BatchNorm2d not in kinds[1:]


def test_an_upsampling_restores_the_size_before_a_folded_convolution():
    rng = np.random.default_rng(0)
    down = Conv2d(3, 4, 3, stride=2, rng=rng)
    layers = {"input": Normalize(127.5, 64), "down": down, "norm": BatchNorm2d(4), "up": Upsample("nearest", pool=down)}
    model = shaken(Network({**layers, "classifier": Conv2d(4, 3, 1, rng=rng)}))
    x = images(1, 9, 7)
    assert relative(ts.fold_batchnorm(model).forward(x), model.forward(x)) <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_restores_a_folded_network(tmp_path, name):
    folded = ts.fold_batchnorm(trained(name))
    ts.save(tmp_path / "a.safetensors", folded)
    back = ts.load(tmp_path / "a.safetensors")
    assert list(back.layers) == list(folded.layers)
    assert back.config == folded.config
    x = images(2, 20, 28)
    np.testing.assert_array_equal(back.forward(x), folded.forward(x))


def test_a_checkpoint_can_store_the_narrowest_folded_network(tmp_path):
    ts.save(tmp_path / "a.safetensors", ts.build("tiny", 1, width=0.001, folded=True))
    assert ts.load(tmp_path / "a.safetensors").config["folded"]


def test_a_folded_network_can_be_built_and_trained():
    model = ts.build("tiny", 5, width=1 / 16, folded=True)
    assert model.num_parameters < ts.build("tiny", 5, width=1 / 16).num_parameters
    logits = model.forward(images(2, 20, 28), training=True)
    model.backward(np.ones_like(logits), input_gradient=False)
    ts.optim.SGD(model).step()
    assert ts.predict(model, np.zeros((20, 28, 3), np.uint8)).shape == (20, 28)
    assert "decoder1.conv1" in str(model.summary((20, 28)))
    with pytest.raises(SettingError, match="folded: 1"):
        ts.build("tiny", folded=1)


def test_a_checkpoint_with_a_false_claim_about_folding_is_rejected(tmp_path):
    for config, model in ((True, ts.build("tiny", width=1 / 16)), (False, ts.build("tiny", width=1 / 16, folded=True))):
        model.config["folded"] = config
        ts.save(tmp_path / "a.safetensors", model)
        with pytest.raises(CheckpointError, match=r"a\.safetensors"):
            ts.load(tmp_path / "a.safetensors")


def test_export_folds_and_halves_a_network(tmp_path):
    ts.save(tmp_path / "a.safetensors", trained("tiny"))
    command = ["export", str(tmp_path / "a.safetensors"), "--fold", "--half", "--out", str(tmp_path / "b.safetensors")]
    assert main(command) == 0
    small = checkpoint.read(tmp_path / "b.safetensors").model
    assert small.config["folded"]
    x = images(2, 20, 28)
    assert relative(small.forward(x), ts.load(tmp_path / "a.safetensors").forward(x)) < 0.02
