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
from ..runtime import empty, kernel, prange
from .array_checks import check_dloss
from .engine.elementwise import elementwise
from .loss import check_loss
from .op import Op, Variant
from .sigmoid import sigmoid_forward_numpy

# classes: the labels, with -1 for unlabelled pixels
SigmoidCrossEntropyCache = namedtuple("SigmoidCrossEntropyCache", "logits classes weights divisor")


def _check(logits, labels, class_weights, ignore_label, normalizer):
    op = "sigmoid_cross_entropy"
    if logits.shape[-1:] != (1,):
        raise ShapeError(f"{op} needs logits (..., 1), got {logits.shape}. Use softmax_cross_entropy for more classes.")
    return check_loss(op, logits, labels, 2, class_weights, ignore_label, normalizer)


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
    weights, classes = _check(logits, labels, class_weights, ignore_label, normalizer)
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


# --- numba -----------------------------------------------------------------------------------------------------------
PIXELS_PER_TASK = 256  # fixed, so that sums do not depend on the number of threads


@kernel
def _sum_nll(logits, classes, weights, sums):
    """Compute, for each task, the sum of weight * NLL, the sum of weights and the number of labelled pixels."""
    for task in prange(sums.shape[1]):
        weighted_nll, weight, count = 0.0, 0.0, 0
        for p in range(task * PIXELS_PER_TASK, min((task + 1) * PIXELS_PER_TASK, logits.size)):
            y = classes[p]
            if y >= 0:
                s = -logits[p] if y else logits[p]
                weighted_nll += weights[y] * (max(s, 0) + np.log1p(np.exp(-abs(s))))
                weight += weights[y]
                count += 1
        sums[0, task], sums[1, task], sums[2, task] = weighted_nll, weight, count


@kernel
def _logits_gradient(logits, classes, weights, scale, dlogits):
    """Compute dlogits = weight * (sigmoid(z) - y) * scale."""
    for p in prange(logits.size):
        y = classes[p]
        dlogits[p] = 0
        if y >= 0:
            s = -logits[p] if y else logits[p]
            e = np.exp(-abs(s))
            wrong = weights[y] * (1 if s >= 0 else e) / (1 + e)
            dlogits[p] = -wrong if y else wrong
            dlogits[p] *= scale


def sigmoid_cross_entropy_forward_numba(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count"):
    """Compute the loss in one pass over memory. A task processes 256 pixels."""
    weights, classes = _check(logits, labels, class_weights, ignore_label, normalizer)
    sums = empty((3, -(-logits.size // PIXELS_PER_TASK)), logits.dtype)
    _sum_nll(np.ascontiguousarray(logits).reshape(-1), classes.reshape(-1), weights, sums)
    weighted_nll, weight, count = sums.sum(1)
    divisor = weight if normalizer == "weights" else count
    loss = weighted_nll / divisor if divisor else logits.dtype.type(0)
    return loss, SigmoidCrossEntropyCache(logits, classes, weights, divisor)


def sigmoid_cross_entropy_backward_numba(dloss, cache):
    """Compute the gradient in one pass over memory."""
    check_dloss("sigmoid_cross_entropy", dloss)
    logits, classes, weights, divisor = cache
    scale = weights.dtype.type(dloss / divisor if divisor else 0)
    return elementwise(_logits_gradient, logits, classes, settings=(weights, scale))


SIGMOID_CROSS_ENTROPY = Op("sigmoid_cross_entropy", cache=SigmoidCrossEntropyCache, differentiable=("logits",),
    numpy=Variant(sigmoid_cross_entropy_forward_numpy, sigmoid_cross_entropy_backward_numpy),
    numba=Variant(sigmoid_cross_entropy_forward_numba, sigmoid_cross_entropy_backward_numba))  # fmt: skip
sigmoid_cross_entropy_forward = SIGMOID_CROSS_ENTROPY.forward
sigmoid_cross_entropy_backward = SIGMOID_CROSS_ENTROPY.backward
