"""Sigmoid cross-entropy per pixel, for two classes and one logit.

    s = -z for a pixel of class 1, z for class 0                         the logit of the wrong class
    NLL = -log(probability of the right class) = log(1 + exp(s)) = max(s, 0) + log(1 + exp(-|s|))
    loss = sum over labelled pixels of  class_weights[y] * NLL / D                         y: a pixel's class
    dlogits = dloss * class_weights[y] / D * (sigmoid(z) - y)            0 on unlabelled pixels

The last exp cannot overflow. sigmoid(z) - y is computed as sigmoid(s), with its sign reversed for class 1. No digits
are lost where sigmoid(z) rounds to 1. D, class weights and void are defined as for the softmax cross-entropy. The loss
equals the softmax cross-entropy of the two logits (0, z).
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from .array_checks import check_dloss, check_rows
from .loss import SOFTMAX_CROSS_ENTROPY, check_loss
from .op import Op, Variant
from .sigmoid import sigmoid_forward_numpy

# classes: the labels, with -1 for unlabelled pixels
SigmoidCrossEntropyCache = namedtuple("SigmoidCrossEntropyCache", "logits classes weights divisor")


def _for_the_wrong_class(z, classes):
    return np.where(classes == 1, -z, z)


def sigmoid_cross_entropy_forward_numpy(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count"):
    """Return the cross-entropy of the sigmoid of the logits, averaged over labelled pixels.

    Args:
        logits: (..., 1).
        labels: (...), integers 0 or 1, or `ignore_label`.
        class_weights, ignore_label, normalizer: as for `softmax_cross_entropy_forward`, with two classes.

    Returns:
        The loss, a scalar of the logits' dtype, and the cache.

    Raises:
        DataError: if a label is not 0, 1 or `ignore_label`. The message gives its position.
    """
    op = "sigmoid_cross_entropy"
    if logits.shape[-1:] != (1,):
        raise ShapeError(f"{op} needs logits (..., 1), got {logits.shape}. Use softmax_cross_entropy for more classes.")
    weights, classes = check_loss(op, logits, labels, 2, class_weights, ignore_label, normalizer)
    labelled, s = classes >= 0, _for_the_wrong_class(logits[..., 0], classes)
    nll = np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))
    pixel_weights = np.where(labelled, weights[classes], 0)
    divisor = pixel_weights.sum() if normalizer == "weights" else labelled.sum().astype(logits.dtype)
    loss = np.where(labelled, pixel_weights * nll, 0).sum() / divisor if divisor else logits.dtype.type(0)
    return loss, SigmoidCrossEntropyCache(logits, classes, weights, divisor)


def sigmoid_cross_entropy_backward_numpy(dloss, cache):
    """Return dlogits (..., 1) for the scalar dloss."""
    check_dloss("sigmoid_cross_entropy", dloss)
    logits, classes, weights, divisor = cache
    wrong, _ = sigmoid_forward_numpy(_for_the_wrong_class(logits[..., 0], classes))
    scale = weights[classes] * (dloss / divisor if divisor else 0)
    dz = np.where(classes >= 0, scale * _for_the_wrong_class(wrong, classes), 0)
    return dz.astype(logits.dtype)[..., None]


SIGMOID_CROSS_ENTROPY = Op("sigmoid_cross_entropy", cache=SigmoidCrossEntropyCache, differentiable=("logits",),
    numpy=Variant(sigmoid_cross_entropy_forward_numpy, sigmoid_cross_entropy_backward_numpy))  # fmt: skip
sigmoid_cross_entropy_forward = SIGMOID_CROSS_ENTROPY.forward
sigmoid_cross_entropy_backward = SIGMOID_CROSS_ENTROPY.backward


def cross_entropy_for(logits):
    """Return forward and backward of the loss for logits (..., K): sigmoid if K = 1, otherwise softmax."""
    op = SIGMOID_CROSS_ENTROPY if check_rows("cross_entropy_for", np.asarray(logits)) == 1 else SOFTMAX_CROSS_ENTROPY
    return op.forward, op.backward
