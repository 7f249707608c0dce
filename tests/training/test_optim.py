"""Optimizers compared with calculations by hand, and schedules at their turning points."""

import numpy as np
import pytest
from backends import ops_run_as

from tinysegnet import runtime
from tinysegnet.errors import SettingError
from tinysegnet.training.optim import SGD, Adam, schedule, schedules


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


def test_one_cycle_rises_to_1_and_falls_below_a_thousandth():
    factors = [schedule("one_cycle", k, 1000) for k in range(1000)]
    assert factors[0] == pytest.approx(1 / 25)
    assert max(factors) == pytest.approx(1, abs=1e-4)
    assert np.argmax(factors) == 300
    assert factors[-1] < 1e-3


def test_step_poly_and_constant_match_their_formulas():
    assert [schedule("step", k, 100) for k in (0, 49, 50, 75)] == [1, 1, 0.1, 0.01]
    assert schedule("poly", 50, 100) == pytest.approx(0.5**0.9)
    assert all(schedule("constant", k, 10) == 1 for k in range(10))


@pytest.mark.parametrize("name", list(schedules))
def test_schedules_stay_between_0_and_1(name):
    factors = [schedule(name, k, 37) for k in range(37)]
    assert min(factors) >= 0
    assert max(factors) <= 1


def test_optimizers_and_schedules_reject_invalid_settings():
    with pytest.raises(SettingError, match="one_cycle"):
        schedule("cosine", 0, 1)
    with pytest.raises(SettingError, match="learning_rate"):
        SGD(OneParameter(1.0, 1.0), learning_rate=0.0)
    with pytest.raises(SettingError, match="bias_rate"):
        Adam(OneParameter(1.0, 1.0), bias_rate=-1)
    for wrong in ("weight", ("weights",)):
        with pytest.raises(SettingError, match=r"decayed.*weight, bias, gamma, beta"):
            SGD(OneParameter(1.0, 1.0), decayed=wrong)
