"""Tests of check_model: whole networks pass, a wrong layer is named, and the model is restored."""

from __future__ import annotations

import re

import numpy as np
import pytest
from forms import LONG, amount

import tinysegnet as ts
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check_model

LARGE = re.compile("vgg16|bayesian|basic-")  # large networks, and those whose layers others have, too


@pytest.mark.parametrize("size", amount([(17, 19)], [(20, 28), (21, 27)]))
@pytest.mark.parametrize("name", [name for name in ts.models if LONG or not LARGE.search(name)])
def test_gradients_of_every_model_are_right(name, size):
    model = ts.build(name, width=1 / 16, dtype=np.float64)
    report = check_model(model, size=model.fitting_size(size), directions=1, entries=amount(0, 1))
    assert report.ok, f"\n{report}"
    assert {t.name for t in report.tensors} == {"x", *dict(model.named_parameters())}


def test_gradients_of_the_article_with_one_logit_are_right():
    assert check_model(ts.build("article", 1, width=1 / 16, dtype=np.float64), directions=1, entries=1).ok


def tiny():
    return ts.build("tiny", width=1 / 16, dtype=np.float64)


def test_check_model_restores_the_model():
    model = tiny()
    before = {name: a.copy() for name, a in (*model.named_parameters(), *model.named_buffers())}
    check_model(model, size=(9, 11), directions=1, entries=1)
    assert all(np.array_equal(a, before[name]) for name, a in (*model.named_parameters(), *model.named_buffers()))


@pytest.mark.parametrize("guilty", ["encoder2.conv1", "decoder1.bn1", "classifier"])
def test_check_model_names_a_wrong_layer(guilty):
    model = tiny()
    layer = next(step for step in model.fused_layers if step.name == guilty)
    right, name = layer._backward, "gamma" if "bn" in guilty else "weight"

    def wrong(*args):
        dx = right(*args)
        layer.grads[name] = layer.grads[name] * 1.001
        return dx

    layer._backward = wrong
    report = check_model(model, size=(20, 28), directions=1, entries=1)
    assert [t.name for t in report.tensors if not t.ok] == [f"{guilty}.{name}"]
    assert "numeric = 0.999 x analytic" in report.tensor(f"{guilty}.{name}").hint


def test_wrong_input_gradient_of_a_layer_affects_all_layers_before_it():
    model = tiny()
    layer = model.layers["decoder3.conv1"]
    right = layer._backward
    layer._backward = lambda *args: right(*args) * 1.001
    names = list(dict(model.named_parameters()))
    refused = {t.name for t in check_model(model, directions=1, entries=0).tensors if not t.ok}
    assert refused == {"x", *names[: names.index("decoder3.conv1.weight")]}


def test_check_model_rejects_float32():
    with pytest.raises(ShapeError, match=r"encoder1\S+ is float32.*dtype=np.float64"):
        check_model(ts.build("tiny", width=1 / 16))


def test_check_model_freezes_the_random_generator_of_a_model():
    """The generator is restored before each evaluation, so dropout has the same mask."""
    report = check_model(Dropped(np.random.default_rng(5)), size=(4, 5), loss="random")
    assert report.ok, f"\n{report}"
    hidden = Dropped(np.random.default_rng(5))
    hidden.draw = [hidden.__dict__.pop("generator")]  # check_model cannot find a generator in this attribute
    problems = check_model(hidden, size=(4, 5), loss="random").problems
    assert "two forwards from the same state differ" in " ".join(problems)


class Dropped:
    """A minimal model with dropout: out = x * mask * weight."""

    def __init__(self, generator):
        self.generator, self.weight, self.grad = generator, np.array([0.5, 1.5, 2.0]), np.zeros(3)
        self.draw = []

    def forward(self, x, *, training=False):
        generator = self.draw[0] if self.draw else self.generator
        self.x, self.mask = x, generator.random(x.shape) < 0.5
        return x * self.mask * self.weight

    def backward(self, dout, *, input_gradient=True):
        self.grad = (dout * self.mask * self.x).sum((0, 1, 2))
        return dout * self.mask * self.weight

    def named_parameters(self):
        yield "weight", self.weight

    def named_gradients(self):
        yield "weight", self.grad

    def named_buffers(self):
        return iter(())
