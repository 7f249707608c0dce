"""Exercises of lesson 08: descent, a step of SGD and of Adam, a schedule, the first weights, and the training loop."""

import copy
import math

import numpy as np

from tinysegnet import ops

from .exercise import Challenge, Exercise, Prediction, generator
from .plan import adam_step as _adam
from .plan import loss_of_plan


def _descent(start, curvatures, rate, steps):
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - rate * curvatures * path[-1])
    return np.array(path)


def _sgd(parameter, gradient, velocity, rate, momentum, decay):
    velocity = momentum * velocity + gradient + decay * parameter
    return parameter - rate * velocity, velocity


def _one_cycle(step, steps):
    return _cycle()(step, steps)


def _cycle(warmup=0.3, start=1 / 25, end=1e-4, shape=lambda x: (1 - math.cos(math.pi * x)) / 2, begin=None,
           last=lambda steps: steps):  # fmt: skip
    """Return a schedule that rises and falls, with one part changed."""

    def one_cycle(step, steps):
        progress, origin = step / max(last(steps), 1), warmup if begin is None else begin
        if progress < warmup:
            return start + (1 - start) * shape(progress / warmup)
        return end + (1 - end) * (1 - shape((progress - origin) / (1 - warmup)))

    return one_cycle


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


def _descent_cases():
    rng = generator(2)
    one = np.array([2.0, -1.0]), np.array([1.0, 4.0]), 0.1, 1
    return [one, (rng.standard_normal(3), rng.uniform(1, 5, 3), 0.2, 4), (np.array([-4.0, 1.0]), np.array([1.0, 25.0]),
                                                                      0.07, 6)]  # fmt: skip


def _cycle_cases():
    return [(0, 100), (15, 100), (30, 100), (29, 100), (65, 100), (99, 100), (3, 10), (7, 30), (0, 1)]


# --- the training loop -----------------------------------------------------------------------------------------------


class PixelwiseNetwork:
    """A 1x1 convolution, which can be trained like a network."""

    def __init__(self, weight):
        self.weight, self.gradient, self.x = weight, None, None

    def __eq__(self, other):
        return np.array_equal(self.weight, other.weight)

    def forward(self, x, training=False):
        self.x = x if training else None
        return x @ self.weight

    def backward(self, dlogits, input_gradient=True):
        if self.x is None:
            raise ValueError("backward has no forward pass to follow. Call model.forward(images, training=True) first")
        self.gradient = np.einsum("nhwc,nhwf->cf", self.x, dlogits)
        dx, self.x = dlogits @ self.weight.T if input_gradient else None, None
        return dx


class Descent:
    """Plain gradient descent for a `PixelwiseNetwork`."""

    def __init__(self, model, rate):
        self.model, self.rate = model, rate

    def __eq__(self, other):
        return self.rate == other.rate and self.model == other.model

    def step(self):
        if self.model.gradient is None:
            raise ValueError("there are no gradients. Call the model's backward before the optimizer's step")
        self.model.weight -= self.rate * self.model.gradient


def _train(model, optimizer, images, labels, steps):
    return _loop()(model, optimizer, images, labels, steps)


def _loop(update=lambda optimizer, number: optimizer.step(), scale=lambda loss: 1.0, value=lambda losses: losses,
          after=False, ignored=11):  # fmt: skip
    """Return a training loop with one part changed. The loop trains a copy of the model."""

    def train(model, optimizer, images, labels, steps):
        model, optimizer, losses = *copy.deepcopy((model, optimizer)), []
        for number in range(steps):
            known = np.where(labels == 11, ignored, labels)
            loss, cache = _cross_entropy(model.forward(images, training=True), known)
            model.backward(ops.softmax_cross_entropy_backward(scale(loss), cache), input_gradient=False)
            update(optimizer, number)
            losses.append(float(_cross_entropy(model.forward(images), known)[0] if after else loss))
        return np.array(value(losses))

    return train


def _cross_entropy(logits, labels):
    return ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)


def _train_cases():
    rng = generator(3)
    cases = []
    for size, rate, steps in (((1, 2, 3), 0.5, 1), ((2, 3, 4), 0.5, 4), ((2, 4, 3), 0.1, 6)):
        model = PixelwiseNetwork(rng.standard_normal((3, 11)))
        labels = rng.integers(0, 11, size)
        labels[0, 0, 0] = 11
        cases.append((model, Descent(model, rate), rng.standard_normal((*size, 3)), labels, steps))
    return cases


# --- the challenge ---------------------------------------------------------------------------------------------------


def _plan(step, steps, images, labels):
    rng = np.random.default_rng(step)
    for n in range(len(images)):
        if rng.random() < 0.5:
            images[n], labels[n] = images[n, :, ::-1].copy(), labels[n, :, ::-1].copy()
        right = rng.integers(-6, 7)
        images[n], labels[n] = np.roll(images[n], right, 1), np.roll(labels[n], right, 1)
    return 0.03 * _one_cycle(step, steps), images, labels


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
        name="descent_path",
        results=("path",),
        reference=_descent,
        cases=_descent_cases,
        tier="warm-up",
        mistakes={
            "The step goes uphill. Subtract rate times the gradient.":
                lambda start, curvatures, rate, steps: _descent(start, curvatures, -rate, steps),
            "The start is missing. The path has steps + 1 rows, and the first row is the start.":
                lambda start, curvatures, rate, steps: _descent(start, curvatures, rate, steps)[1:],
            "The gradient is always that of the start. Compute it at the current parameters in each step.":
                lambda start, curvatures, rate, steps: start * (1 - rate * np.arange(steps + 1)[:, None] * curvatures),
            "The curvatures are missing. The gradient is curvatures * parameters.":
                lambda start, curvatures, rate, steps: _descent(start, np.ones_like(curvatures), rate, steps),
            "The gradient is the curvature alone. It is curvatures * parameters.":
                lambda start, curvatures, rate, steps: start - rate * np.arange(steps + 1)[:, None] * curvatures,
            "The rate is missing.": lambda start, curvatures, rate, steps: _descent(start, curvatures, 1.0, steps),
            "This is the last place. Return all places, one per row.":
                lambda start, curvatures, rate, steps: _descent(start, curvatures, rate, steps)[-1],
            "There is one step too many.":
                lambda start, curvatures, rate, steps: _descent(start, curvatures, rate, steps + 1),
        },
    ),
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
    Exercise(
        name="one_cycle",
        results=("factor",),
        reference=_one_cycle,
        cases=_cycle_cases,
        mistakes={
            "The schedule begins at 0. It begins at 1/25.": _cycle(start=0.0),
            "The schedule begins at 1. It rises from 1/25 to 1 in the first 30 %.": _cycle(start=1.0),
            "The schedule ends at 0. It ends at 0.0001.": _cycle(end=0.0),
            "The curve is a straight line. It must be half a cosine.": _cycle(shape=lambda x: x),
            "This is a whole period of the cosine. Half a period runs from angle 0 to pi.":
                _cycle(shape=lambda x: (1 - math.cos(2 * math.pi * x)) / 2),
            "The second half does not begin at 1. Subtract the 30 % of the rise from the progress first.":
                _cycle(begin=0.0),
            "The rise takes half of the steps. It must take 30 %.": _cycle(warmup=0.5),
            "The progress is step / (steps - 1). It must be step / steps.": _cycle(last=lambda steps: steps - 1),
            "The angle is in degrees. Use radians: half a period is pi.":
                _cycle(shape=lambda x: (1 - math.cos(180 * x)) / 2),
        },
    ),
    Exercise(
        name="train_steps",
        results=("losses",),
        reference=_train,
        cases=_train_cases,
        mistakes={
            "The optimizer makes no step.": _loop(lambda optimizer, number: None),
            "The optimizer steps only once. Each round of the loop needs a step.":
                _loop(lambda optimizer, number: None if number else optimizer.step()),
            "The optimizer steps twice per round.":
                _loop(lambda optimizer, number: (optimizer.step(), optimizer.step())),
            "The losses are computed after the step. Use the loss that backward starts from.": _loop(after=True),
            "The backward pass begins with the loss. The derivative of the loss with respect to itself is 1.":
                _loop(scale=lambda loss: loss),
            "This is the last loss alone. Return a list of the losses of all steps.":
                _loop(value=lambda losses: losses[-1]),
            "Label 11 counts as a class. Pass ignore_label=11.": _loop(ignored=10),
        },
    ),
    Challenge(
        name="training_plan",
        results=("rate", "images", "labels"),
        reference=_plan,
        cases=lambda: [],
        measure=loss_of_plan,
        unit="is the loss on 24 other pictures",
        goal=1.7,
        lower_is_better=True,
    ),
]  # fmt: skip

PREDICTIONS = {
    "momentum_on_a_steady_slope": Prediction(
        10, "The steps are 1 + 0.9 + 0.9**2 + ... = 1 / (1 - 0.9) times as long.", tolerance=0.01),
    "first_step_of_adam": Prediction(
        0.1, "At the first step, the corrected mean is g and the root of the corrected square is |g|."),
    "wrong_backward_in_training": Prediction(
        "b", "The wrong gradient still mostly points downhill."),
}  # fmt: skip
