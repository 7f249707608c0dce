"""Exercises of lesson 08: a step of SGD, a step of Adam, and the standard deviation of the initial weights."""

import math

import numpy as np

from .exercise import Exercise, generator


def _sgd(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + gradient + decay * parameter
    return parameter - rate * velocity, velocity


def _adam(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient**2
    unbiased, unbiased_square = mean / (1 - beta1**step), square / (1 - beta2**step)
    return parameter - rate * unbiased / (np.sqrt(unbiased_square) + eps), mean, square


def _he_std(shape):
    return math.sqrt(2 / math.prod(shape[:-1]))


# --- cases: the simplest first ---------------------------------------------------------------------------------------


def _sgd_cases():
    rng = generator(0)
    cases = []
    for shape, momentum, decay in (((3,), 0.0, 0.0), ((3,), 0.9, 0.0), ((2, 3), 0.9, 0.01), ((3, 3, 2, 4), 0.5, 0.1)):
        arrays = rng.standard_normal((3, *shape))
        cases.append((*arrays, 0.1, momentum, decay))
    return cases


def _adam_cases():
    rng = generator(1)
    first = (*rng.standard_normal((2, 3)), np.zeros(3), np.zeros(3), 1, 0.01, 0.9, 0.999, 1e-8)
    cases = [first]
    for shape, step, eps in (((2, 3), 2, 1e-8), ((2, 3), 7, 1e-8), ((3, 3, 2, 4), 50, 0.1)):
        parameter, gradient, mean, square = rng.standard_normal((4, *shape))
        cases.append((parameter, gradient, mean, square**2, step, 0.01, 0.9, 0.999, eps))
    return cases


def _he_cases():
    return [((3, 3, 4, 6),), ((1, 1, 64, 11),), ((7, 7, 3, 64),), ((3, 5, 2, 6),)]


# --- mistakes --------------------------------------------------------------------------------------------------------


def _sgd_rate_inside(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + rate * (gradient + decay * parameter)
    return parameter - velocity, velocity


def _sgd_mean(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + (1 - momentum) * (gradient + decay * parameter)
    return parameter - rate * velocity, velocity


def _sgd_old_velocity(parameter, gradient, velocity, rate, momentum, decay):
    return parameter - rate * velocity, momentum * velocity + gradient + decay * parameter


def _sgd_uphill(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + gradient + decay * parameter
    return parameter + rate * velocity, velocity


def _sgd_decay_apart(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + gradient
    return parameter - rate * velocity - rate * decay * parameter, velocity


def _sgd_decay_without_rate(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + gradient
    return parameter - rate * velocity - decay * parameter, velocity


def _sgd_decay_grows(parameter, gradient, velocity, rate, momentum, decay):
    return _sgd(parameter, gradient, velocity, rate, momentum, -decay)


def _adam_variant(corrected=True, late=0, square_of_mean=False, root=True, eps_inside=False, swapped=False):
    """Return Adam with one part changed."""

    def wrong(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
        if swapped:
            beta1, beta2 = beta2, beta1
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * (mean if square_of_mean else gradient) ** 2
        first, second = (1 - beta ** (step + late) if corrected else 1.0 for beta in (beta1, beta2))
        size = square / second
        below = np.sqrt(size + eps) if eps_inside else (np.sqrt(size) if root else size) + eps
        return parameter - rate * mean / first / below, mean, square

    return wrong


def _adam_half_corrected(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
    _, mean, square = _adam(parameter, gradient, mean, square, step, rate, beta1, beta2, eps)
    return parameter - rate * mean / (1 - beta1**step) / (np.sqrt(square) + eps), mean, square


def _adam_old_means(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
    stepped = parameter - rate * mean / (1 - beta1**step) / (np.sqrt(square / (1 - beta2**step)) + eps)
    return stepped, *_adam(parameter, gradient, mean, square, step, rate, beta1, beta2, eps)[1:]


def _adam_returns_corrected(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
    parameter, mean, square = _adam(parameter, gradient, mean, square, step, rate, beta1, beta2, eps)
    return parameter, mean / (1 - beta1**step), square / (1 - beta2**step)


EXERCISES = [
    Exercise(
        name="sgd_step",
        results=("parameter", "velocity"),
        reference=_sgd,
        cases=_sgd_cases,
        mistakes={
            "The decay is missing. Add decay * parameter to the gradient.":
                lambda p, g, v, rate, momentum, decay: _sgd(p, g, v, rate, momentum, 0.0),
            "The decay bypasses the velocity. Add decay * parameter to the gradient.": _sgd_decay_apart,
            "The decay is subtracted from the parameter, without the rate. Add the decay to the gradient instead.":
                _sgd_decay_without_rate,
            "The decay has the wrong sign, so it makes the parameter larger.": _sgd_decay_grows,
            "The rate is inside the velocity, as in Caffe. Use v = momentum * v + gradient.": _sgd_rate_inside,
            "The gradient is multiplied by 1 - momentum, but the velocity is a sum, not a mean.": _sgd_mean,
            "The step uses the old velocity. Update the velocity first.": _sgd_old_velocity,
            "The step goes uphill. Subtract the step from the parameter.": _sgd_uphill,
            "The velocity is not used. The step must be rate * velocity.":
                lambda p, g, v, rate, momentum, decay: (p - rate * (g + decay * p), _sgd(p, g, v, rate, momentum,
                                                                                        decay)[1]),
        },
    ),
    Exercise(
        name="adam_step",
        results=("parameter", "mean", "square"),
        reference=_adam,
        cases=_adam_cases,
        mistakes={
            "Nothing is corrected. Divide mean by 1 - beta1**step and square by 1 - beta2**step.": _adam_variant(False),
            "Only the mean is corrected, but the square also begins at 0.": _adam_half_corrected,
            "The corrected mean and square are returned. Return the running values.": _adam_returns_corrected,
            "The step uses the old mean and square. Update both first.": _adam_old_means,
            "The correction is one step late. The first step is number 1.": _adam_variant(late=1),
            "The mean is squared, but square is the running mean of gradient**2.": _adam_variant(square_of_mean=True),
            "The root is missing. Divide by sqrt(square).": _adam_variant(root=False),
            "eps is under the root. Add eps to the root.": _adam_variant(eps_inside=True),
            "beta1 and beta2 are swapped. beta1 belongs to the mean.": _adam_variant(swapped=True),
        },
    ),
    Exercise(
        name="he_std",
        results=("std",),
        reference=_he_std,
        cases=_he_cases,
        mistakes={
            "This uses the fan-out, K * L * F. The sum runs over the K * L * C inputs.":
                lambda shape: math.sqrt(2 / (shape[0] * shape[1] * shape[3])),
            "The 2 is missing. The factor 2 compensates for the half that ReLU sets to 0.":
                lambda shape: math.sqrt(1 / math.prod(shape[:-1])),
            "This is the variance. The standard deviation is its square root.": lambda shape: 2 / math.prod(shape[:-1]),
            "Only the channels are counted. Each output also sums over K * L taps.":
                lambda shape: math.sqrt(2 / shape[2]),
            "The height K is used twice, but the kernel has the width L.":
                lambda shape: math.sqrt(2 / (shape[0] * shape[0] * shape[2])),
            "The channels are missing. Each tap has C channels.": lambda shape: math.sqrt(2 / (shape[0] * shape[1])),
            "All numbers of the kernel are counted, but an output uses only K * L * C of them.":
                lambda shape: math.sqrt(2 / math.prod(shape)),
            "This is Glorot's 2 / (fan_in + fan_out). He's formula uses only fan_in.":
                lambda shape: math.sqrt(2 / (shape[0] * shape[1] * (shape[2] + shape[3]))),
        },
    ),
]  # fmt: skip
