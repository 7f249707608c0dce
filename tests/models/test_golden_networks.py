"""Whole networks agree with stored results of PyTorch: logits, loss, gradients, and 20 steps of SGD."""

import golden_networks as golden
import numpy as np
import pytest

import tinysegnet as ts


def open_case(name):
    """Return our network with the stored parameters, and all stored arrays."""
    with np.load(golden.FOLDER / f"{name}.npz", allow_pickle=False) as file:
        frozen = dict(file)
    model = ts.build(name, golden.CLASSES, width=golden.WIDTHS[name], dtype=np.float64, preprocessing="scaled")
    for key, array in model.state().items():
        their_name, view = golden.to_torch(key, array)
        view[...] = frozen[f"state.{their_name}"]  # `view` shares its memory with the parameter
    return model, frozen


def step(model, frozen):
    """Run forward and backward once, and return logits and loss."""
    logits = model.forward(frozen["images"].astype(np.float64), training=True)
    loss, cache = ts.ops.softmax_cross_entropy_forward(
        logits, frozen["labels"], class_weights=frozen["class_weights"], ignore_label=golden.VOID
    )
    model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    return logits, loss


@pytest.mark.parametrize("name", golden.WIDTHS)
def test_logits_loss_and_gradients_equal_those_of_pytorch(name):
    model, frozen = open_case(name)
    logits, loss = step(model, frozen)
    assert golden.relative(logits, frozen["logits"]) <= 1e-10
    assert abs(loss - frozen["loss"]) <= 1e-10 * frozen["loss"]
    gradients = dict(golden.to_torch(*item) for item in model.named_gradients())
    assert {f"gradient.{key}" for key in gradients} == {key for key in frozen if key.startswith("gradient.")}
    for key, gradient in gradients.items():
        if not golden.irrelevant(key):
            assert golden.relative(gradient, frozen[f"gradient.{key}"]) <= 1e-9, key


@pytest.mark.parametrize("name", golden.WIDTHS)
def test_parameters_after_20_steps_of_sgd_equal_those_of_pytorch(name):
    model, frozen = open_case(name)
    optimizer = ts.optim.SGD(model, **golden.SGD)
    for _ in range(golden.STEPS):
        step(model, frozen)
        optimizer.step()
    for key, array in model.state().items():
        their_name, view = golden.to_torch(key, array)
        expected = frozen[f"after.{their_name}"]
        assert golden.relative(frozen[f"state.{their_name}"], expected) > 1e-6 or golden.irrelevant(their_name)
        assert golden.relative(view, expected) <= 1e-8, key


def test_training_without_momentum_does_not_equal_that_of_pytorch():
    model, frozen = open_case("tiny")
    optimizer = ts.optim.SGD(model, **{**golden.SGD, "momentum": 0.0})
    for _ in range(golden.STEPS):
        step(model, frozen)
        optimizer.step()
    name, view = golden.to_torch("classifier.weight", model.layers["classifier"].params["weight"])
    assert golden.relative(view, frozen[f"after.{name}"]) > 1e-3
