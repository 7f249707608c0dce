"""A step that fails changes no parameter, and looking for the first bad layer changes nothing at all."""

import copy
import dataclasses

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.data import InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import NonFiniteError
from tinysegnet.layers import Layer
from tinysegnet.training import Recipe
from tinysegnet.training.training_step import TrainingStep

SIZE = (16, 16)
DATA = InMemory(ToyScenes(2, seed=0, size=SIZE))
IMAGES = np.stack([DATA[i].image for i in (0, 1)]).astype(np.float32)
LABELS = np.stack([DATA[i].labels for i in (0, 1)])


class Endless(Layer):
    """The identity with a gradient that is not finite."""

    def _forward(self, x, tape):
        return x, None

    def _backward(self, dout, cache, tape, input_gradient):
        return dout * np.float32(np.inf)


def overflowing():
    model = ts.build("tiny", width=1 / 16)
    model.layers["decoder2.conv1"].params["weight"][...] = 3e38
    return model


def nan_parameter():
    model = ts.build("tiny", width=1 / 16)
    model.layers["classifier"].params["bias"][2] = np.nan
    return model


def endless_gradient():
    model = ts.build("tiny", width=1 / 16)
    return ts.Network({**model.layers, "endless": Endless()})


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "caffe_sgd"])
@pytest.mark.parametrize(("make", "said"), [
    (overflowing, "the output of decoder2"), (nan_parameter, r"first in classifier\.bias"),
    (endless_gradient, "a gradient is not finite"),
])  # fmt: skip
def test_a_failed_step_leaves_the_network_as_after_its_forward_pass(make, said, optimizer):
    model, other = make(), make()
    recipe = Recipe(size=SIZE, optimizer=optimizer, weight_decay=0.1, learning_rate=0.1)
    step = TrainingStep(model, DATA, recipe, 8, None)
    with np.errstate(all="ignore"):
        with pytest.raises(NonFiniteError, match=said):
            step.run(IMAGES, LABELS, 3)
        other.reseed(recipe.seed, 3)
        other.forward(IMAGES, training=True)
    for name, array in other.state().items():
        np.testing.assert_array_equal(model.state()[name], array, err_msg=name)
    assert step.optimizer.steps == 0
    assert step.optimizer.state() == {}


def test_a_step_after_a_failed_one_is_as_if_that_one_had_only_seen_its_pictures():
    """A loss that is not finite because of the pictures leaves no trace but the running statistics."""
    recipe = Recipe(size=SIZE)
    models = [ts.build("tiny", width=1 / 16) for _ in range(2)]
    steps = [TrainingStep(model, DATA, recipe, 8, None) for model in models]
    ruined = IMAGES.copy()
    ruined[0, 0, 0] = np.inf
    before = copy.deepcopy(dict(models[0].named_buffers()))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="first in the output of input"):
        steps[0].run(ruined, LABELS, 0)
    for name, array in models[0].named_buffers():
        array[...] = before[name]
    losses = [step.run(IMAGES, LABELS, 1)[0] for step in steps]
    assert losses[0] == losses[1]
    for name, array in models[1].state().items():
        np.testing.assert_array_equal(models[0].state()[name], array, err_msg=name)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("make", "said"), [(overflowing, "the loss is"), (endless_gradient, "a gradient is")])
def test_every_error_names_the_checkpoint_if_there_is_one_and_the_learning_rate(tmp_path, make, said, kept):
    last, recipe = tmp_path / "last.safetensors", dataclasses.replace(Recipe(size=SIZE), learning_rate=0.25)
    step = TrainingStep(make(), DATA, recipe, 8, last)
    if kept:
        last.touch()
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=said) as caught:
        step.run(IMAGES, LABELS, 2)
    assert (f"The last good checkpoint is {last}." in str(caught.value)) == kept
    assert "in epoch 3" in str(caught.value)
    assert "--learning-rate 0.025" in str(caught.value)
