"""A frozen encoder keeps its weights, and the rest of the network trains as before."""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.errors import SettingError, StateError
from tinysegnet.layers import thread_tape

WIDTH = 1 / 16


def step(model, seed=0, input_gradient=False):
    rng = np.random.default_rng(seed)
    x, labels = rng.uniform(0, 255, (2, 20, 28, 3)).astype(model.dtype), rng.integers(0, 5, (2, 20, 28))
    _, cache = ts.ops.softmax_cross_entropy_forward(model.forward(x, training=True), labels)
    return model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=input_gradient)


def test_freezing_keeps_the_encoder_and_trains_the_decoder_as_before():
    free, frozen = (ts.build("tiny", 5, width=WIDTH) for _ in range(2))
    before = {name: array.copy() for name, array in frozen.named_parameters()}
    step(frozen)  # this leaves gradients that must not be used later
    frozen.freeze("encoder")
    step(free)
    step(frozen)
    gradients = dict(frozen.named_gradients())
    assert set(gradients) == {name for name in before if not name.startswith("encoder")}
    for name, array in gradients.items():
        np.testing.assert_array_equal(array, dict(free.named_gradients())[name])
    ts.optim.SGD(frozen, learning_rate=0.1).step()
    for name, array in frozen.named_parameters():
        assert np.array_equal(array, before[name]) == name.startswith("encoder")
    assert frozen.layers["encoder1.bn1"].buffers["running_mean"].any()  # batch statistics are still used
    frozen.freeze(None)
    step(frozen)
    assert set(dict(frozen.named_gradients())) == set(before)


def test_backward_stops_before_frozen_layers_and_they_keep_no_cache(monkeypatch):
    model, called = ts.build("tiny", 5, width=WIDTH), []
    model.freeze("encoder")
    for layer in model.layers.values():
        backward = layer._backward
        monkeypatch.setattr(layer, "_backward", lambda *a, name=layer.name, b=backward: called.append(name) or b(*a))
    step(model)
    assert called
    assert called[-1] == "decoder4.conv1"
    assert not any(step in thread_tape().caches for step in model.fused_layers)


def test_freeze_rejects_unknown_prefixes_and_the_whole_network():
    model = ts.build("tiny", 5, width=WIDTH)
    with pytest.raises(SettingError, match="'bottom'"):
        model.freeze("bottom")
    with pytest.raises(SettingError, match="whole network"):
        model.freeze("")
    model.freeze("encoder")
    with pytest.raises(StateError, match="input_gradient=False"):
        step(model, input_gradient=True)
    model = ts.build("tiny", 5, width=WIDTH)
    model.freeze("decoder")  # the backward pass crosses the frozen layers
    step(model)
    assert not any(name.startswith("decoder") for name, _ in model.named_gradients())
    assert not any(layer.grads for name, layer in model.layers.items() if name.startswith("decoder"))
    assert any(name.startswith("encoder1") for name, _ in model.named_gradients())


def test_an_optimizer_needs_gradients():
    with pytest.raises(StateError, match="gradients"):
        ts.optim.SGD(ts.build("tiny", width=WIDTH)).step()
