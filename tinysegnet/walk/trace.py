"""A run of a network with every array kept: forward, loss and backward.

The run uses float64 and the NumPy definitions of the ops, the same code that the page prints, so that a sum on the page
is the sum that was computed. Batch norm uses its running statistics and dropout is off, as in one pass of `predict`.
With fixed statistics, batch norm is a factor and a shift per channel, and its backward pass multiplies by the factor:

    forward:  out = gamma * (x - mean) / std + beta        mean, std constants
    so:       dx  = gamma / std * dout

The model itself is not changed.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Layer, LayerTrace, Tape
from ..models import Network
from ..ops import REGISTRY
from ..ops.op import Variant


@dataclass(frozen=True)
class Loss:
    """The loss of one picture: the sum of the weighted negative log-likelihoods of its pixels, divided by `divisor`."""

    value: float
    labels: np.ndarray  # (H, W), -1 for unlabelled pixels
    parts: np.ndarray  # contributions of the pixels, (1, H, W, 1)
    weights: np.ndarray  # one per class
    divisor: float  # the number of labelled pixels
    dlogits: np.ndarray


@dataclass(frozen=True)
class Trace:
    """A complete run. `probs`, (1, H, W, K), is the softmax of the logits or the sigmoid of one logit."""

    layers: list[LayerTrace]
    activation: str
    probs: np.ndarray
    loss: Loss | None

    @property
    def x(self) -> np.ndarray:
        """The picture, (1, H, W, 3)."""
        return self.layers[0].x

    @property
    def logits(self) -> np.ndarray:
        """The logits, (1, H, W, K)."""
        return self.layers[-1].out


def definition(op: str) -> Variant:
    """Return an op's forward and backward functions in NumPy."""
    return REGISTRY[op].variants["numpy"]


def trace(model: Network, image: np.ndarray, labels: np.ndarray | None, *, ignore_label: int | None = None,
          class_weights: Any = None, indices: dict[str, np.ndarray] | None = None) -> Trace:  # fmt: skip
    """Run the model on an image (H, W, 3), with labels (H, W) or None.

    indices: pooling indices by layer. Unpooling uses them instead of its own, which may differ due to rounding.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # BLAS threads would compete with the kernels' threads
        tape = Tape(keep=True, definitions=True)
        layers = _forward(model, np.asarray(image, np.float64)[None], tape, indices or {})
        logits = layers[-1].out
        activation, loss = "sigmoid" if logits.shape[3] == 1 else "softmax", None
        if labels is not None:
            loss = _loss(activation, logits, labels, ignore_label, class_weights)
            _backward(layers, loss.dlogits, tape)
    for traced in layers:
        traced.layer = model.layers[traced.name]
    return Trace(layers, activation, definition(activation).forward(logits)[0], loss)


def _forward(model: Network, x: np.ndarray, tape: Tape, indices: dict[str, np.ndarray]) -> list[LayerTrace]:
    """Run copies of all the model's layers."""
    layers = copy.deepcopy(model.layers)  # all at once, so that pools and unpools stay paired
    found: dict[Layer, LayerTrace] = {}
    for name, layer in layers.items():
        layer.convert(np.float64)
        found[layer] = traced = layer.trace(x, tape)
        if name in indices:
            tape.indices[layer] = indices[name]
        if layer.source is not None and found[layer.source].other is not None:  # the encoder's map goes to the decoder
            traced.other, found[layer.source].partner = found[layer.source].other, name
        x = traced.out
    return list(found.values())


def _loss(activation: str, logits: np.ndarray, labels: np.ndarray, ignore_label: int | None,
          class_weights: Any) -> Loss:  # fmt: skip
    forward, backward = definition(f"{activation}_cross_entropy")
    value, cache = forward(logits, labels[None], class_weights=class_weights, ignore_label=ignore_label)
    classes, weights, divisor = cache.classes, cache.weights, cache.divisor
    scores = np.concatenate([np.zeros_like(logits), logits], -1) if logits.shape[3] == 1 else logits
    some_class = np.maximum(classes, 0)
    largest = scores.max(-1)
    nll = np.log(np.exp(scores - largest[..., None]).sum(-1)) + largest
    nll -= np.take_along_axis(scores, some_class[..., None], -1)[..., 0]
    parts = np.where(classes >= 0, weights[some_class] * nll, 0) / (divisor or 1)
    return Loss(float(value), classes[0], parts[..., None], weights, float(divisor), backward(1.0, cache))


def _backward(layers: list[LayerTrace], dlogits: np.ndarray, tape: Tape) -> None:
    """Fill in the gradients, from the last layer to the first."""
    dout = dlogits
    for traced in reversed(layers):
        layer, traced.dout = traced.layer, dout
        traced.dother = tape.map_gradients.get(layer)  # stored by the SkipAdd that reads this source
        traced.dx = dout = layer.backward(dout, tape)
        traced.dparams = dict(layer.grads)
        if layer.source is not None and traced.other is not None:
            traced.dother = tape.map_gradients[layer.source]
