"""Optimizers compared with calculations by hand and, over several steps, with their definition for one number."""

import inspect
import math

import numpy as np
import pytest
from backends import ops_run_as

from tinysegnet import runtime
from tinysegnet.errors import CheckpointError, SettingError
from tinysegnet.training.optim import SGD, Adam


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def variant(request):
    """Run every test with both variants of the update step."""
    if request.param == "numba" and not runtime.JIT:
        pytest.skip("the kernels are not compiled")
    with ops_run_as(request.param):
        yield


class OneParameter:
    """A model with one weight, one bias and given gradients."""

    def __init__(self, weight, gradient):
        self.arrays = {"layer.weight": np.array([weight]), "layer.bias": np.array([weight])}
        self.gradient = np.array([gradient])

    def named_parameters(self):
        return iter(self.arrays.items())

    def named_gradients(self):
        return ((name, self.gradient) for name in self.arrays)


def test_two_steps_of_sgd_match_a_calculation_by_hand():
    model = OneParameter(1.0, 0.5)
    optimizer = SGD(model, learning_rate=0.1, momentum=0.9)
    optimizer.step()
    assert model.arrays["layer.weight"] == pytest.approx(1 - 0.1 * 0.5)
    optimizer.step()
    assert model.arrays["layer.weight"] == pytest.approx(0.95 - 0.1 * (0.9 * 0.5 + 0.5))


def test_weight_decay_acts_on_weights_only_by_default():
    model = OneParameter(2.0, 0.0)
    SGD(model, learning_rate=0.1, weight_decay=0.5).step()
    assert model.arrays["layer.weight"] == pytest.approx(2 - 0.1 * 0.5 * 2)
    assert model.arrays["layer.bias"] == 2


def test_caffes_sgd_applies_the_rate_inside_the_velocity():
    """V = momentum V + rate (gradient + decay w);  w -= V, compared with the other form while the rate falls."""
    factors, rng = [1, 1, 0.5, 0.1, 0.1], np.random.default_rng(0)
    caffe, ours = OneParameter(0.7, 0.0), OneParameter(0.7, 0.0)
    optimizers = [SGD(model, learning_rate=0.2, weight_decay=0.05, rate_in_velocity=model is caffe)
                  for model in (caffe, ours)]  # fmt: skip
    w, V, apart = 0.7, 0.0, []
    for factor in factors:
        caffe.gradient[:] = ours.gradient[:] = gradient = rng.normal()
        V = 0.9 * V + 0.2 * factor * (gradient + 0.05 * w)
        w -= V
        for optimizer in optimizers:
            optimizer.step(factor)
        assert caffe.arrays["layer.weight"] == pytest.approx(w, rel=1e-14)
        apart.append(abs(w - ours.arrays["layer.weight"].item()))
    assert max(apart[:2]) < 1e-15  # both forms agree while the rate is constant
    assert min(apart[2:]) > 1e-3


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_bias_rate_and_decayed_select_parameters_by_name(kind):
    model = OneParameter(2.0, 1.0)
    model.arrays = {f"layer.{name}": np.array([2.0]) for name in ("weight", "bias", "gamma", "beta")}
    kind(model, learning_rate=0.1, bias_rate=2.0).step()
    moved = {name.rpartition(".")[2]: 2 - array.item() for name, array in model.arrays.items()}
    assert moved == pytest.approx({"weight": 0.1, "bias": 0.2, "gamma": 0.1, "beta": 0.1}, rel=1e-6)

    model = OneParameter(2.0, 0.0)
    model.arrays = {f"layer.{name}": np.array([2.0]) for name in ("weight", "bias", "gamma", "beta")}
    kind(model, learning_rate=0.1, weight_decay=0.5, decayed=("weight", "gamma")).step()
    assert {name for name, array in model.arrays.items() if array < 2} == {"layer.weight", "layer.gamma"}


def test_adams_first_step_has_the_size_of_the_learning_rate():
    for gradient in (1e-3, 50.0):
        model = OneParameter(1.0, gradient)
        Adam(model, learning_rate=0.01).step()
        assert model.arrays["layer.weight"] == pytest.approx(0.99, rel=1e-4)


def test_parameters_are_updated_in_place():
    model = OneParameter(1.0, 1.0)
    array = model.arrays["layer.weight"]
    SGD(model, learning_rate=0.1).step()
    assert model.arrays["layer.weight"] is array
    assert array != 1


def test_the_factor_of_a_schedule_scales_the_step():
    full, half = OneParameter(0.0, 1.0), OneParameter(0.0, 1.0)
    SGD(full, learning_rate=0.1).step()
    SGD(half, learning_rate=0.1).step(0.5)
    assert full.arrays["layer.weight"] == 2 * half.arrays["layer.weight"]


def test_optimizers_reject_invalid_settings():
    with pytest.raises(SettingError, match="learning_rate"):
        SGD(OneParameter(1.0, 1.0), learning_rate=0.0)
    with pytest.raises(SettingError, match="bias_rate"):
        Adam(OneParameter(1.0, 1.0), bias_rate=-1e-9)
    with pytest.raises(SettingError, match="weight_decay"):
        SGD(OneParameter(1.0, 1.0), weight_decay=-1e-9)
    Adam(OneParameter(1.0, 1.0), learning_rate=1e-300, bias_rate=0, weight_decay=0, decayed=())
    for wrong in ("weight", ("weights",)):
        with pytest.raises(SettingError, match=r"decayed.*weight, bias, gamma, beta"):
            SGD(OneParameter(1.0, 1.0), decayed=wrong)


# --- the definitions for one number, over several steps ---------------------------------------------------------------

FACTORS = (1.0, 0.7, 0.7, 0.25, 1.5, 0.01, 1.0)  # of a schedule
KINDS = ("weight", "bias", "gamma", "beta")


class Numbers:
    """A model with parameters of every kind and of several shapes, and new random gradients in each step."""

    def __init__(self, dtype, seed=0):
        self.rng = np.random.default_rng(seed)
        shapes = {"weight": (3, 3, 2, 5), "bias": (5,), "gamma": (1,), "beta": (37,)}
        self.arrays = {f"layer.{kind}": self.rng.normal(size=shape).astype(dtype) for kind, shape in shapes.items()}
        self.draw()

    def draw(self):
        self.gradients = {name: (self.rng.normal(size=a.shape) * 10 ** self.rng.uniform(-6, 1, a.shape)).astype(a.dtype)
                          for name, a in self.arrays.items()}  # fmt: skip

    def named_parameters(self):
        return iter(self.arrays.items())

    def named_gradients(self):
        return iter(self.gradients.items())


def sgd(w, gradients, rates, *, decay, momentum, rate_in_velocity):
    velocity = 0.0
    for g, rate in zip(gradients, rates, strict=True):
        g = g + decay * w
        velocity = momentum * velocity + (rate * g if rate_in_velocity else g)
        w = w - (velocity if rate_in_velocity else rate * velocity)
    return w


def adam(w, gradients, rates, *, decay, betas, eps):
    """Algorithm 1 of Kingma and Ba, line by line."""
    m = v = 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = g + decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        w = w - rate * (m / (1 - betas[0] ** t)) / (math.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


CASES = {
    "sgd": (SGD, sgd, {"momentum": 0.8, "rate_in_velocity": False}),
    "caffe_sgd": (SGD, sgd, {"momentum": 0.55, "rate_in_velocity": True}),
    "sgd without momentum": (SGD, sgd, {"momentum": 0.0, "rate_in_velocity": False}),
    "adam": (Adam, adam, {"betas": (0.7, 0.95), "eps": 1e-8}),
    "adam with a large eps": (Adam, adam, {"betas": (0.85, 0.6), "eps": 0.03}),
}


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES)
def test_several_steps_equal_the_definition_for_each_number(case, dtype, bound):
    kind, definition, settings = CASES[case]
    model, decayed = Numbers(dtype), ("weight", "beta")
    optimizer = kind(model, learning_rate=0.03, weight_decay=0.2, bias_rate=1.75, decayed=decayed, **settings)
    start, gradients = {name: a.copy() for name, a in model.arrays.items()}, []
    for factor in FACTORS:
        model.draw()
        gradients.append(model.gradients)
        optimizer.step(factor)
    assert optimizer.steps == len(FACTORS)
    for name, array in model.arrays.items():
        part = name.rpartition(".")[2]
        rates = [0.03 * factor * (1.75 if part == "bias" else 1) for factor in FACTORS]
        decay = 0.2 if part in decayed else 0.0
        for at in np.ndindex(array.shape):
            own = [float(g[name][at]) for g in gradients]
            right = definition(float(start[name][at]), own, rates, decay=decay, **settings)
            assert array[at] == pytest.approx(right, rel=bound, abs=bound), (name, at)


@pytest.mark.parametrize("case", CASES)
def test_an_optimizer_continues_from_its_state(case):
    kind, _, settings = CASES[case]
    whole, halves = Numbers(np.float64), Numbers(np.float64)
    optimizer = kind(whole, **settings)
    for _ in range(5):
        whole.draw()
        optimizer.step()
    first = kind(halves, **settings)
    for _ in range(2):
        halves.draw()
        first.step()
    second, state = kind(halves, **settings), first.state()
    second.load_state(state, first.steps)
    for array in state.values():
        array[...] = np.nan  # the new optimizer has copies
    for _ in range(3):
        halves.draw()
        second.step()
    assert second.steps == 5
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(halves.arrays[name], array)


def test_the_state_is_named_by_parameter_and_slot_and_must_fit():
    for kind, slots in ((SGD, {"velocity"}), (Adam, {"mean", "square"})):
        model = Numbers(np.float32)
        optimizer = kind(model)
        assert optimizer.state() == {}
        optimizer.step()
        state = optimizer.state()
        assert set(state) == {f"layer.{part}/{slot}" for part in KINDS for slot in slots}
        assert all(array.shape == model.arrays[name.split("/")[0]].shape for name, array in state.items())
    for wrong in ({"layer.gamma/mean": np.zeros(2)}, {"other.gamma/mean": np.zeros(1)}):
        with pytest.raises(CheckpointError, match=f"{next(iter(wrong))} .*another network"):
            optimizer.load_state(wrong, 1)


def test_defaults_are_the_documented_ones():
    """Adam's are those of Kingma and Ba, algorithm 1; only weights decay, and only if asked to."""
    defaults = {kind: {name: p.default for name, p in inspect.signature(kind).parameters.items()
                       if p.default is not p.empty} for kind in (SGD, Adam)}  # fmt: skip
    assert defaults[SGD] == {"learning_rate": 0.1, "momentum": 0.9, "rate_in_velocity": False}
    assert defaults[Adam] == {"learning_rate": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
    for kind in (SGD, Adam):
        optimizer = kind(Numbers(np.float32))
        assert (optimizer.weight_decay, optimizer.bias_rate, set(optimizer.decayed)) == (0.0, 1.0, {"weight"})
