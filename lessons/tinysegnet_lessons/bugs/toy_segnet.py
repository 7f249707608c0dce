"""One stage of SegNet with exchangeable ops on two small pictures, to show what a planted bug does to training.

    encoder   conv - norm - relu - conv - norm - relu - pool
    decoder   unpool (with the pool's indices) - transposed conv - norm - conv 1x1 - softmax, cross-entropy

The decoder has no ReLU, as in SegNet-Basic. All ops are the NumPy pairs, except the one with the bug.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinysegnet.gradcheck.suite import find_variants

from .planted import Bug

__all__ = ["ToySegNet"]

OPS = ("conv2d", "batchnorm2d", "relu", "max_pool2d", "max_unpool2d", "conv_transpose2d", "softmax_cross_entropy")
EDGE = 4  # kernel size of the transposed convolution; even, so that the padding differs between sides


class ToySegNet:
    """A network of one stage with a bug planted wherever its op occurs, or without a bug if `bug` is None.

    The network learns from pictures (N, H, W, 3) with values of order 1, labels (N, H, W), class weights (K,) and
    ignore_label.
    """

    def __init__(self, pictures: np.ndarray, labels: np.ndarray, class_weights: np.ndarray, ignore_label: int,
                 bug: Bug | None = None, *, width: int = 8, seed: int = 0):  # fmt: skip
        self.pictures, self.labels = pictures, labels
        self.pairs = {op: find_variants(op)["numpy"] for op in OPS} | ({bug.op: bug.pair} if bug else {})
        self.settings: dict[str, Any] = {
            "class_weights": class_weights,
            "ignore_label": ignore_label,
            "normalizer": "weights",
        }
        rng, K = np.random.default_rng(seed), len(class_weights)
        shapes = {"conv1": (3, 3, 3, width), "conv2": (3, 3, width, width), "up": (EDGE, EDGE, width, width),
                  "classify": (1, 1, width, K)}  # fmt: skip
        self.weights = {name: rng.standard_normal(s) * np.sqrt(2 / np.prod(s[:3])) for name, s in shapes.items()}
        for name in ("norm1", "norm2", "norm3"):
            self.weights[name + ".gamma"], self.weights[name + ".beta"] = np.ones(width), np.zeros(width)
        self.weights["classify.bias"] = np.zeros(K)
        self.weights = {name: w.astype(pictures.dtype) for name, w in self.weights.items()}
        self.speed = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self.losses: list[float] = []

    def forward(self) -> tuple[np.ndarray, Callable[[], tuple[np.ndarray, dict[str, np.ndarray]]]]:
        """Return the logits and a function that returns the gradients of the pictures and, by name, of all weights."""
        tape: list[tuple[Callable, Any, tuple[str, ...]]] = []

        def run(op: str, *arrays: Any, names: tuple[str, ...] = (), **settings: Any) -> Any:
            forward, backward = self.pairs[op]
            out, cache = forward(*arrays, **settings)
            tape.append((backward, cache, names))
            return out

        w, x = self.weights, self.pictures
        for k in "12":
            x = run("conv2d", x, w[f"conv{k}"], names=(f"conv{k}",))
            x = run("batchnorm2d", x, w[f"norm{k}.gamma"], w[f"norm{k}.beta"], names=_norm(k))[0]
            x = run("relu", x)
        size = x.shape[1:3]
        x, indices = run("max_pool2d", x)
        x = run("max_unpool2d", x, indices, output_size=size)
        x = run("conv_transpose2d", x, w["up"], names=("up",))
        x = run("batchnorm2d", x, w["norm3.gamma"], w["norm3.beta"], names=_norm("3"))[0]
        logits = run("conv2d", x, w["classify"], w["classify.bias"], names=("classify", "classify.bias"))
        loss = run("softmax_cross_entropy", logits, self.labels, **self.settings)
        self.losses.append(float(loss))
        return logits, lambda: self._back(tape)

    def _back(self, tape: list[tuple[Callable, Any, tuple[str, ...]]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        d, gradients = self.pictures.dtype.type(1), dict[str, np.ndarray]()
        for backward, cache, names in reversed(tape):
            found = backward(d, cache)
            d, *rest = found if isinstance(found, tuple) else (found,)
            gradients |= dict(zip(names, rest, strict=False))  # a convolution without bias returns None at the end
        return d, gradients

    def picture_gradient(self) -> np.ndarray:
        """Return the gradient of the loss with respect to the pictures (N, H, W, 3)."""
        return self.forward()[1]()[0]

    def train(self, steps: int, *, learning_rate: float = 0.1, momentum: float = 0.9) -> ToySegNet:
        """Train by gradient descent with momentum on the two pictures, record one loss per step, and return self.

        The rate falls linearly to 0, because at full rate the result would depend on the last few steps.
        """
        with np.errstate(all="ignore"):  # a bug may make everything infinite
            for step in range(steps):
                _, go_back = self.forward()
                rate = learning_rate * (1 - step / steps)
                for name, gradient in go_back()[1].items():
                    self.speed[name] = momentum * self.speed[name] - rate * gradient
                    self.weights[name] = self.weights[name] + self.speed[name]
        return self

    def predict(self) -> np.ndarray:
        """Return the class of every pixel (N, H, W)."""
        with np.errstate(all="ignore"):
            return self.forward()[0].argmax(-1)

    def accuracy(self) -> float:
        """Return the share of labelled pixels that are predicted right."""
        counted = self.labels != self.settings["ignore_label"]
        return float((self.predict() == self.labels)[counted].mean())


def _norm(k: str) -> tuple[str, str]:
    return f"norm{k}.gamma", f"norm{k}.beta"
