"""Schedules at their first, middle and last steps, at their turning points, and across the epochs of a training run."""

import math

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.data import InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError
from tinysegnet.training import Recipe
from tinysegnet.training.optim import SGD, Optimizer, schedule, schedules

SIZE = (20, 28)

# per schedule: {step of 200: factor}
FACTORS = {
    "constant": {0: 1, 100: 1, 199: 1},
    "step": {0: 1, 99: 1, 100: 0.1, 149: 0.1, 150: 0.01, 199: 0.01},
    "poly": {0: 1, 50: 0.75**0.9, 100: 0.5**0.9, 199: 0.005**0.9},
    # up along half a cosine to step 60, then down along half a cosine
    "one_cycle": {0: 1 / 25, 15: 1 / 25 + 24 / 25 * (1 - math.sqrt(0.5)) / 2, 30: (1 / 25 + 1) / 2, 60: 1,
                  95: 1e-4 + (1 - 1e-4) * (1 + math.sqrt(0.5)) / 2, 130: (1 + 1e-4) / 2,
                  199: 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * 139 / 140)) / 2},
}  # fmt: skip


@pytest.mark.parametrize("name", schedules)
def test_schedules_have_the_factors_of_their_formulas(name):
    found = {step: schedule(name, step, 200) for step in FACTORS[name]}
    assert found == pytest.approx(FACTORS[name], rel=1e-12)
    assert schedule(name, 0, 1) == pytest.approx(FACTORS[name][0])  # a training of one step
    assert schedule(name, 0, 0) == schedule(name, 0, 1)


@pytest.mark.parametrize("name", schedules)
def test_schedules_stay_between_0_and_1_and_fall_after_their_highest_rate(name):
    factors = np.array([schedule(name, step, 37) for step in range(37)])
    assert factors.min() > 0
    assert factors.max() <= 1
    assert (np.diff(factors[factors.argmax() :]) <= 0).all()
    assert (np.diff(factors[: factors.argmax() + 1]) > 0).all()


def test_unknown_schedules_are_rejected_with_the_known_names():
    with pytest.raises(SettingError, match=r"'cosine'.*constant, step, poly, one_cycle"):
        schedule("cosine", 0, 1)


@pytest.mark.parametrize("name", schedules)
def test_a_schedule_extends_over_all_epochs(monkeypatch, name):
    """Three epochs of two steps are one schedule of six steps. The history has the rate of each epoch's last step."""
    used, data = [], InMemory(ToyScenes(3, seed=0, size=SIZE))
    step = Optimizer.step
    monkeypatch.setattr(Optimizer, "step", lambda self, factor=1.0: used.append(factor) or step(self, factor))
    recipe = Recipe(epochs=3, batch_size=2, size=SIZE, schedule=name, learning_rate=0.002)
    history = ts.fit(ts.build("tiny", width=1 / 16), data, recipe=recipe, progress=False).history
    assert used == [schedule(name, k, 6) for k in range(6)]
    assert [row["learning_rate"] for row in history] == pytest.approx([0.002 * used[k] for k in (1, 3, 5)])


def test_the_factor_multiplies_the_learning_rate():
    class Model:
        weight = np.zeros(1)

        def named_parameters(self):
            yield "a.weight", self.weight

        def named_gradients(self):
            yield "a.weight", np.ones(1)

    optimizer = SGD(Model(), learning_rate=0.5, momentum=0)
    optimizer.step(0.25)
    assert Model.weight == -0.125
    optimizer.step()
    assert Model.weight == -0.625
