"""The challenge of lesson 08: a plan for sixty training steps that gives a low loss on other pictures."""

from collections.abc import Callable
from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.layers import Tape

__all__ = ["adam_step", "loss_of_plan"]

STEPS, BATCH, TRAINED, OTHERS, SIZE = 60, 4, 16, 24, (24, 32)


def adam_step(parameter, gradient, mean, square, step, rate, beta1, beta2, eps):
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient**2
    unbiased, unbiased_square = mean / (1 - beta1**step), square / (1 - beta2**step)
    return parameter - rate * unbiased / (np.sqrt(unbiased_square) + eps), mean, square


@cache
def _pictures():
    samples = [ToyScenes(TRAINED + OTHERS, seed=1, size=SIZE)[number] for number in range(TRAINED + OTHERS)]
    return np.stack([s.image for s in samples]).astype(np.float32), np.stack([s.labels for s in samples])


def loss_of_plan(plan: Callable) -> float:
    """Train a narrow network on sixteen pictures with Adam, and return its loss on 24 other pictures.

    `plan(step, steps, images, labels)` gets the batch of each step and returns the learning rate, the pictures and the
    labels with which the step is made. The matrix products use one thread, because two are slower for small arrays.
    """
    images, labels = _pictures()
    model = ts.build("tiny", width=0.25, seed=0)
    slots: dict[str, tuple] = {}  # the running means of each parameter
    with threadpool_limits(limits=1, user_api="blas"):
        for step in range(STEPS):
            at = np.arange(BATCH * step, BATCH * step + BATCH) % TRAINED
            rate, x, y = plan(step, STEPS, images[at].copy(), labels[at].copy())
            _loss(model, np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y), training=True)
            _adam(model, slots, step + 1, float(rate))
        return _loss(model, images[TRAINED:], labels[TRAINED:], training=False)


def _loss(model, images, labels, training):
    """Return the loss with the batch's statistics; in training, also compute the gradients."""
    tape = Tape(training=True, definitions=True)  # the NumPy definitions give the same numbers with every backend
    logits = model.forward(images, tape=tape)
    cross_entropy = ops.REGISTRY["softmax_cross_entropy"].variants["numpy"]
    loss, kept = cross_entropy.forward(logits, labels, ignore_label=11)
    if training:
        model.backward(cross_entropy.backward(1.0, kept), input_gradient=False, tape=tape)
    return float(loss)


def _adam(model, slots, step, rate):
    gradients = dict(model.named_gradients())
    for name, parameter in model.named_parameters():
        mean, square = slots.get(name, (0.0, 0.0))
        parameter[...], mean, square = adam_step(parameter, gradients[name], mean, square, step, rate, 0.9, 0.999, 1e-8)
        slots[name] = mean, square
