"""Planted bugs of the loss: counts, void pixels, class weights."""

from __future__ import annotations

import numpy as np

from tinysegnet.ops.loss import softmax_cross_entropy_backward_numpy, softmax_cross_entropy_forward_numpy

from .planted import planted, planted_in_both

__all__: list[str] = []

LOSS = "softmax_cross_entropy"


@planted(1, LOSS, "loss_not_divided", "The gradient is not divided by the number of labelled pixels.",
         hint="forgot to divide by N*H*W")  # fmt: skip
def _(dloss, cache):
    return softmax_cross_entropy_backward_numpy(dloss, cache) * cache.divisor


@planted(18, LOSS, "void_gets_gradient", "Void pixels get a gradient, as if they had class 0.", hint="must get")
def _(dloss, cache):
    return softmax_cross_entropy_backward_numpy(dloss, cache._replace(classes=np.maximum(cache.classes, 0)))


@planted(19, LOSS, "void_counted", "The gradient is divided by the number of all pixels, including void ones.",
         hint="numeric = ")  # fmt: skip
def _(dloss, cache):
    wrong = cache.divisor * cache.classes.size / max((cache.classes >= 0).sum(), 1)
    return softmax_cross_entropy_backward_numpy(dloss, cache._replace(divisor=wrong))


@planted(20, LOSS, "class_weight_forgotten", "The loss has class weights, but its gradient does not.",
         hint="is a weight missing?")  # fmt: skip
def _(dloss, cache):
    return softmax_cross_entropy_backward_numpy(dloss, cache._replace(weights=np.ones_like(cache.weights)))


@planted_in_both(25, LOSS, "weights_divided_by_count",
                 'normalizer="weights" divides by the pixel count, both in forward and in backward.')  # fmt: skip
def _():
    def forward(logits, labels, *, normalizer="count", **settings):
        return softmax_cross_entropy_forward_numpy(logits, labels, **settings)

    return forward, softmax_cross_entropy_backward_numpy
