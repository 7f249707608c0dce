"""Optimizers, which work on named arrays and do not depend on layers.

An optimizer's `step` updates the parameters in place with the gradients of the last backward pass. By default, weight
decay acts on weights only (names that end in ".weight"), because pulling biases, gamma and beta to zero does not help.
"""

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

import numpy as np

from ..errors import CheckpointError, SettingError, StateError
from ..runtime import BACKEND, kernel, prange
from ..runtime.settings import convert

__all__ = ["SGD", "Adam", "Optimizer", "schedule", "schedules"]

Named = Iterator[tuple[str, np.ndarray]]
KINDS = ("weight", "bias", "gamma", "beta")  # the last part of a parameter's name


class Trainable(Protocol):
    """What an optimizer needs from a model: parameters and gradients as pairs ("encoder1.conv1.weight", array)."""

    def named_parameters(self) -> Named: ...
    def named_gradients(self) -> Named: ...


class Optimizer:
    """The base class of optimizers, which updates every parameter and stores arrays (`slots`) for each of them.

    Args:
        model: the network whose parameters are updated.
        learning_rate: positive; a schedule may scale it in each step.
        weight_decay: not negative; this multiple of a parameter is added to its gradient.
        bias_rate: not negative; a factor for the learning rate of parameters named "bias".
        decayed: the kinds of parameters that weight decay acts on: "weight", "bias", "gamma", "beta".

    Raises SettingError if a value is out of range.
    """

    def __init__(self, model: Trainable, *, learning_rate: float, weight_decay: float = 0.0, bias_rate: float = 1.0,
                 decayed: Collection[str] = ("weight",)) -> None:  # fmt: skip
        learning_rate = convert("learning_rate", learning_rate, float)
        weight_decay = convert("weight_decay", weight_decay, float)
        bias_rate = convert("bias_rate", bias_rate, float)
        if learning_rate <= 0 or weight_decay < 0 or bias_rate < 0:
            raise SettingError(f"learning_rate ({learning_rate}) must be positive; weight_decay ({weight_decay}) and "
                               f"bias_rate ({bias_rate}) must not be negative.")  # fmt: skip
        if set(decayed) - set(KINDS):
            raise SettingError(f"decayed: {decayed!r} is not valid. Choose from {', '.join(KINDS)}.")
        self.model, self.learning_rate, self.weight_decay = model, learning_rate, weight_decay
        self.bias_rate, self.decayed = bias_rate, frozenset(decayed)
        self.steps = 0
        self.slots: dict[str, dict[str, np.ndarray]] = {}

    def step(self, factor: float = 1.0) -> None:
        """Update every parameter that has a gradient (frozen layers have none) with learning_rate * factor."""
        parameters, gradients = dict(self.model.named_parameters()), dict(self.model.named_gradients())
        if not gradients:
            raise StateError("optimizer: there are no gradients. Call the model's backward first.")
        self.steps += 1
        for name, gradient in gradients.items():
            kind = name.rpartition(".")[2]
            rate = self.learning_rate * factor * (self.bias_rate if kind == "bias" else 1.0)
            decay = self.weight_decay if kind in self.decayed else 0.0
            self._update(parameters[name], gradient, self.slots.setdefault(name, {}), rate, decay)

    def state(self) -> dict[str, np.ndarray]:
        """Return the slots as {"parameter/slot": array}, the complete state apart from the parameters and `steps`."""
        return {f"{name}/{slot}": array for name, slots in self.slots.items() for slot, array in slots.items()}

    def load_state(self, arrays: dict[str, np.ndarray], steps: int) -> None:
        """Continue from a `state` after this number of steps. Raises CheckpointError if it belongs to another model."""
        shapes = {name: parameter.shape for name, parameter in self.model.named_parameters()}
        self.slots, self.steps = {}, steps
        for key, array in arrays.items():
            name, _, slot = key.rpartition("/")
            if shapes.get(name) != array.shape:
                raise CheckpointError(f"the optimizer state {key} {array.shape} belongs to another network.")
            self.slots.setdefault(name, {})[slot] = array.copy()

    def _update(self, parameter, gradient, slots, rate, decay):
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent with momentum:  v = momentum * v + gradient;  parameter -= learning_rate * v.

    Args:
        model, learning_rate, settings: see `Optimizer`.
        momentum: the factor by which the velocity v is multiplied in each step.
        rate_in_velocity: use Caffe's form,  v = momentum * v + learning_rate * gradient;  parameter -= v.  At a
            constant rate, both forms take the same steps. When the rate drops, Caffe's form slows down gradually, and
            the other one immediately.
    """

    def __init__(self, model: Trainable, *, learning_rate: float = 0.1, momentum: float = 0.9,
                 rate_in_velocity: bool = False, **settings: Any) -> None:  # fmt: skip
        super().__init__(model, learning_rate=learning_rate, **settings)
        self.momentum, self.rate_in_velocity = momentum, rate_in_velocity

    def _update(self, parameter, gradient, slots, rate, decay):
        velocity = slots.setdefault("velocity", np.zeros_like(parameter))
        inside, outside = (rate, 1.0) if self.rate_in_velocity else (1.0, rate)
        numbers = np.asarray([self.momentum, decay, inside, outside], parameter.dtype)
        _sgd(*(array.reshape(-1) for array in (parameter, gradient, velocity)), *numbers)


class Adam(Optimizer):
    """Adam, which divides the running mean of the gradient by the root of its running mean square.

    Source: Kingma & Ba 2015, algorithm 1; weight decay is added to the gradient.

    Args:
        model, learning_rate, settings: see `Optimizer`.
        betas: the decay rates of the running mean and of the running mean square.
        eps: added to the root.
    """

    def __init__(self, model: Trainable, *, learning_rate: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, **settings: Any) -> None:  # fmt: skip
        super().__init__(model, learning_rate=learning_rate, **settings)
        self.betas, self.eps = betas, eps

    def _update(self, parameter, gradient, slots, rate, decay):
        mean = slots.setdefault("mean", np.zeros_like(parameter))
        square = slots.setdefault("square", np.zeros_like(parameter))
        beta1, beta2 = self.betas
        # bias correction: both averages start at 0, so the first values are too small by a known factor
        rate, root = rate / (1 - beta1**self.steps), math.sqrt(1 - beta2**self.steps)
        numbers = np.asarray([1 - beta1, 1 - beta2, decay, rate, root, self.eps], parameter.dtype)
        _adam(*(array.reshape(-1) for array in (parameter, gradient, mean, square)), *numbers)


# --- the update of one parameter, in place; the Numba versions need only one pass over memory -----------------------


def _sgd_numpy(parameter, gradient, velocity, momentum, decay, inside, outside):
    velocity *= momentum
    velocity += inside * (gradient + decay * parameter)
    parameter -= outside * velocity


def _adam_numpy(parameter, gradient, mean, square, share1, share2, decay, rate, root, eps):
    gradient = gradient + decay * parameter
    mean += share1 * (gradient - mean)
    square += share2 * (gradient * gradient - square)
    parameter -= rate * mean / (np.sqrt(square) / root + eps)


@kernel
def _sgd_numba(parameter, gradient, velocity, momentum, decay, inside, outside):
    for k in prange(parameter.size):
        velocity[k] = momentum * velocity[k] + inside * (gradient[k] + decay * parameter[k])
        parameter[k] -= outside * velocity[k]


@kernel
def _adam_numba(parameter, gradient, mean, square, share1, share2, decay, rate, root, eps):
    for k in prange(parameter.size):
        g = gradient[k] + decay * parameter[k]
        mean[k] += share1 * (g - mean[k])
        square[k] += share2 * (g * g - square[k])
        parameter[k] -= rate * mean[k] / (np.sqrt(square[k]) / root + eps)


_sgd = _sgd_numba if BACKEND == "numba" else _sgd_numpy
_adam = _adam_numba if BACKEND == "numba" else _adam_numpy


# --- schedules: functions that map training progress, from 0 to 1, to a factor for the learning rate -----------------


def constant(progress: float) -> float:
    """Keep the full rate."""
    return 1.0


def step(progress: float) -> float:
    """Reduce the rate to a tenth after half of the training, and to a hundredth after three quarters."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def poly(progress: float) -> float:
    """Return (1 - progress)^0.9, the "poly" policy of DeepLab (Chen et al. 2018)."""
    return (1 - progress) ** 0.9


def one_cycle(progress: float) -> float:
    """Rise from 1/25 to 1 over the first 30 %, then fall to 1e-4, both along half a cosine (Smith & Topin 2018)."""
    warmup, start, end = 0.3, 1 / 25, 1e-4
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


#: the schedules by name
schedules: dict[str, Callable[[float], float]] = {f.__name__: f for f in (constant, step, poly, one_cycle)}


def schedule(name: str, step_number: int, total_steps: int) -> float:
    """Return the named schedule's factor for the learning rate in step 0, 1, ..., or total_steps - 1."""
    if name not in schedules:
        raise SettingError(f"no schedule named {name!r}. Choose one of {', '.join(schedules)}.")
    return schedules[name](step_number / max(total_steps, 1))
