"""A network run once, forward, loss and backward, with every array kept: what a walk shows.

It is run in float64 by the NumPy definitions of the ops, the very code that the page prints, so that a sum on the page
is the sum that was computed. Batch norm uses its running statistics and dropout drops nothing, as in one pass of
`predict`. With fixed statistics batch norm is one factor and one shift a channel, and its backward is that factor:

    forward:  out = gamma * (x - mean) / std + beta        mean, std constants
    so:       dx  = gamma / std * dout

The model itself is only read.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Layer, LayerTrace, Tape
from ..models import Network
from ..ops import REGISTRY, cross_entropy_for
from ..ops.op import Variant

__all__ = ["Loss", "Trace", "definition", "trace"]

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Loss:
    """labels (H, W), -1 where nothing is labelled. surprise: each pixel's part of the sum (H, W). divisor: D."""

    value: float
    labels: np.ndarray
    surprise: np.ndarray
    weights: np.ndarray
    divisor: float
    dlogits: np.ndarray


@dataclass(frozen=True)
class Trace:
    """A whole run. probs (1, H, W, K): softmax of the logits, or sigmoid of the only one. loss: None without labels."""

    passages: list[LayerTrace]
    probs: np.ndarray
    loss: Loss | None

    @property
    def x(self) -> np.ndarray:
        """The picture, (1, H, W, 3)."""
        return self.passages[0].x

    @property
    def logits(self) -> np.ndarray:
        """(1, H, W, K)."""
        return self.passages[-1].out


def definition(op: str) -> Variant:
    """The NumPy pair of an op."""
    return REGISTRY[op].variants["numpy"]


def trace(model: Network, image: np.ndarray, labels: np.ndarray | None, *, ignore_label: int | None = None,
          class_weights: Any = None, indices: Arrays | None = None) -> Trace:  # fmt: skip
    """image (H, W, 3), labels (H, W) or None -> everything.

    indices: of pools by name, to be used instead of those that they find: for numbers that are equal up to rounding.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # its threads would fight with the kernels' for the cores
        return _trace(model, image, labels, ignore_label, class_weights, indices or {})


def _trace(model: Network, image: np.ndarray, labels: Any, ignore_label: int | None, class_weights: Any,
           indices: Arrays) -> Trace:  # fmt: skip
    x, tape = np.asarray(image, np.float64)[None], Tape(keep=True, definitions=True)
    layers = copy.deepcopy(model.layers)  # in one go: pools and unpools stay each other's
    found: dict[Layer, LayerTrace] = {}
    for name, layer in layers.items():
        layer.convert(np.float64)
        found[layer] = traced = layer.trace(x, tape)
        if name in indices:
            tape.indices[layer] = indices[name]
            traced.positions = traced.layer.positions(indices[name], x.shape[3])
        if layer.source is not None and found[layer.source].other is not None:  # maps cross
            traced.other, found[layer.source].partner = found[layer.source].other, name
        x = traced.out
    passages = list(found.values())
    probs = definition("sigmoid" if x.shape[3] == 1 else "softmax").forward(x)[0]
    loss = None
    if labels is not None:
        loss = _loss(x, labels, ignore_label, class_weights)
        _backward(passages, loss.dlogits, tape)
    for traced in passages:
        traced.layer = model.layers[traced.name]
    return Trace(passages, probs, loss)


def _loss(logits: np.ndarray, labels: np.ndarray, ignore_label: int | None, class_weights: Any) -> Loss:
    op = cross_entropy_for(logits)[0].__name__.split("_forward")[0]
    forward, backward = definition(op)
    labels = labels[None]
    settings = {"class_weights": class_weights, "ignore_label": ignore_label}
    value, cache = forward(logits, labels, **settings)
    _, classes, weights, divisor = cache
    scores = np.concatenate([np.zeros_like(logits), logits], -1) if logits.shape[3] == 1 else logits
    some = np.maximum(classes, 0)
    largest = scores.max(-1)
    surprise = np.log(np.exp(scores - largest[..., None]).sum(-1)) + largest
    surprise -= np.take_along_axis(scores, some[..., None], -1)[..., 0]
    part = np.where(classes >= 0, weights[some] * surprise, 0) / (divisor or 1)
    return Loss(float(value), classes[0], part[0], weights, float(divisor), backward(1.0, cache))


def _backward(passages: list[LayerTrace], dlogits: np.ndarray, tape: Tape) -> None:
    """Fill in the gradients, from the last layer to the first."""
    dout = dlogits
    for traced in reversed(passages):
        layer, traced.dout = traced.layer, dout
        traced.dother = tape.map_gradients.get(layer)  # what a SkipAdd further down has left
        traced.dx = dout = layer.backward(dout, tape)
        traced.dparams = dict(layer.grads)
        if layer.source is not None and traced.other is not None:
            traced.dother = tape.map_gradients[layer.source]
