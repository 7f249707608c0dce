"""Sigmoid cross-entropy per pixel, for two classes and one logit: is it, or is it not?

    s = -z for a pixel of class 1, z for class 0: how much the logit speaks for the wrong class
    surprise = -log(probability of the right class) = log(1 + exp(s)) = max(s, 0) + log(1 + exp(-|s|))
    loss = sum over labelled pixels of  class_weights[y] * surprise / D                         y: a pixel's class
    dlogits = dloss * class_weights[y] / D * (sigmoid(z) - y)            0 on pixels that no one labelled

The last exp cannot overflow. sigmoid(z) - y is computed as sigmoid(s), with its sign turned for class 1, so that no
digit is lost where sigmoid(z) rounds to 1. D, class weights and void are those of the softmax cross-entropy, and so is
the loss itself: it is that of the two logits (0, z).
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..runtime import empty, empty_like, fastest, kernel, prange
from . import activation
from .loss import check_loss, softmax_cross_entropy_backward, softmax_cross_entropy_forward

__all__ = ["cross_entropy_for", "sigmoid_cross_entropy_backward", "sigmoid_cross_entropy_forward"]


def _check(logits, labels, class_weights, ignore_label, normalizer):
    op = "sigmoid_cross_entropy"
    if logits.shape[-1:] != (1,):
        raise ShapeError(f"{op} needs logits (..., 1), got {logits.shape}; more classes are softmax_cross_entropy's")
    return check_loss(op, logits, labels, 2, class_weights, ignore_label, normalizer)


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def _for_the_wrong_class(z, classes):
    return np.where(classes == 1, -z, z)


def sigmoid_cross_entropy_forward_numpy(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count"):
    """logits (..., 1), labels (...) integers 0 or 1 -> loss, a number of the logits' dtype; cache.

    class_weights: (2,), default all 1. ignore_label: the label of pixels that do not count. normalizer: what the
    sum is divided by, "count" or "weights". Raises DataError for a label that is neither 0 nor 1, with its place;
    ShapeError for shapes and dtypes that do not fit.
    """
    weights, classes = _check(logits, labels, class_weights, ignore_label, normalizer)
    labelled, s = classes >= 0, _for_the_wrong_class(logits[..., 0], classes)
    surprise = np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))
    pixel_weights = np.where(labelled, weights[classes], 0)
    divisor = pixel_weights.sum() if normalizer == "weights" else labelled.sum().astype(logits.dtype)
    loss = np.where(labelled, pixel_weights * surprise, 0).sum() / divisor if divisor else logits.dtype.type(0)
    return loss, (logits, classes, weights, divisor)


def sigmoid_cross_entropy_backward_numpy(dloss, cache):
    """dloss, a number -> dlogits (..., 1)."""
    logits, classes, weights, divisor = cache
    wrong, _ = activation.sigmoid_forward_numpy(_for_the_wrong_class(logits[..., 0], classes))
    scale = weights[classes] * (dloss / divisor if divisor else 0)
    dz = np.where(classes >= 0, scale * _for_the_wrong_class(wrong, classes), 0)
    return dz.astype(logits.dtype)[..., None]


# --- numba -----------------------------------------------------------------------------------------------------------

PIXELS_PER_TASK = 256  # fixed, so that sums depend on no thread count


@kernel
def _surprise(logits, classes, weights, slopes, sums):
    """slopes = weight * (sigmoid(z) - y); per task: sum of weight * surprise, sum of weights, count of labelled."""
    for task in prange(sums.shape[1]):
        weighted_surprise, weight, count = 0.0, 0.0, 0
        for p in range(task * PIXELS_PER_TASK, min((task + 1) * PIXELS_PER_TASK, logits.size)):
            y = classes[p]
            slopes[p] = 0
            if y >= 0:
                s = -logits[p] if y else logits[p]
                e = np.exp(-abs(s))
                wrong = weights[y] * (1 if s >= 0 else e) / (1 + e)
                slopes[p] = -wrong if y else wrong
                weighted_surprise += weights[y] * (max(s, 0) + np.log1p(e))
                weight += weights[y]
                count += 1
        sums[0, task], sums[1, task], sums[2, task] = weighted_surprise, weight, count


def sigmoid_cross_entropy_forward_numba(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count"):
    """one pass, which leaves the gradient but for its scale; a task takes 256 pixels."""
    weights, classes = _check(logits, labels, class_weights, ignore_label, normalizer)
    z = np.ascontiguousarray(logits).reshape(-1)
    slopes, sums = empty_like(z), empty((3, -(-z.size // PIXELS_PER_TASK)), z.dtype)
    _surprise(z, classes.reshape(-1), weights, slopes, sums)
    weighted_surprise, weight, count = sums.sum(1)
    divisor = weight if normalizer == "weights" else count
    loss = weighted_surprise / divisor if divisor else logits.dtype.type(0)
    return loss, (slopes.reshape(logits.shape), classes[..., None] >= 0, divisor)


def sigmoid_cross_entropy_backward_numba(dloss, cache):
    """one multiplication."""
    slopes, labelled, divisor = cache
    return np.where(labelled, slopes * slopes.dtype.type(dloss / divisor if divisor else 0), 0)


sigmoid_cross_entropy_forward = fastest(sigmoid_cross_entropy_forward_numba, sigmoid_cross_entropy_forward_numpy)
sigmoid_cross_entropy_backward = fastest(sigmoid_cross_entropy_backward_numba, sigmoid_cross_entropy_backward_numpy)


def cross_entropy_for(logits):
    """-> (forward, backward) of the loss for logits (..., K): the sigmoid's for one logit, else the softmax's."""
    if logits.shape[-1] == 1:
        return sigmoid_cross_entropy_forward, sigmoid_cross_entropy_backward
    return softmax_cross_entropy_forward, softmax_cross_entropy_backward
