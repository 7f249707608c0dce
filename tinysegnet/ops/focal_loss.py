"""Focal loss (Lin et al. 2017): a cross-entropy in which pixels that are already right count less.

    q = 1 - p_y = sum of p_k over the other classes
    loss = sum over labelled pixels of  class_weights[y] * q^gamma * (-log p_y) / D
    dlogits = dloss * class_weights[y] / D * focus * (p - one_hot(y))             0 on unlabelled pixels
        where  focus = q^gamma * (1 + gamma * p_y * (-log p_y) / q)

D is the number of labelled pixels. With gamma 0, focus is 1, and this is the softmax cross-entropy. q is a sum, because
1 - p_y loses all digits where p_y rounds to 1. There, -log p_y / q approaches 1. The paper's alpha is class_weights.
"""

from collections import namedtuple

import numpy as np

from ..errors import SettingError
from ..runtime import empty, empty_like, kernel, prange
from ..runtime.settings import convert
from .array_checks import check_dloss, check_rows
from .loss import check_loss
from .op import Op, Variant
from .softmax import ROWS_PER_TASK, exponentials

# classes: the labels, with -1 for unlabelled pixels; scale: class_weights[y] * focus per pixel
FocalLossCache = namedtuple("FocalLossCache", "probs classes scale divisor")


def _check(logits, labels, class_weights, ignore_label, gamma):
    gamma = convert("gamma", gamma, float)
    if gamma < 0:
        raise SettingError(f"gamma: {gamma} must not be negative.")
    K = check_rows("focal_loss", logits)
    weights, classes = check_loss("focal_loss", logits, labels, K, class_weights, ignore_label, "count")
    return K, weights, classes, logits.dtype.type(gamma)


def focal_loss_forward_numpy(logits, labels, *, gamma=2.0, class_weights=None, ignore_label=None):
    """Return the focal loss of the softmax of the logits, averaged over labelled pixels.

    Args:
        logits: (..., K).
        labels: (...), integers 0..K-1, or `ignore_label`.
        gamma: how strongly pixels that are already right are discounted, at least 0. The paper uses 2.
        class_weights, ignore_label: as for `softmax_cross_entropy_forward`.

    Returns:
        The loss, a scalar of the logits' dtype, and the cache.

    Raises:
        DataError: if a label is neither in 0..K-1 nor `ignore_label`. The message gives its position.
    """
    _, weights, classes, gamma = _check(logits, labels, class_weights, ignore_label, gamma)
    labelled = classes >= 0
    some_class = np.where(labelled, classes, 0)[..., None]
    shifted = logits - logits.max(-1, keepdims=True)
    exps = np.exp(shifted)
    probs = exps / exps.sum(-1, keepdims=True)
    nll = np.log(exps.sum(-1)) - np.take_along_axis(shifted, some_class, -1)[..., 0]
    others = probs.copy()
    np.put_along_axis(others, some_class, 0, -1)
    q, p = others.sum(-1), np.take_along_axis(probs, some_class, -1)[..., 0]
    pixel_weights = np.where(labelled, weights[classes], 0) * q**gamma
    ratio = np.divide(nll, q, out=np.ones_like(q), where=q != 0)
    divisor = labelled.sum().astype(logits.dtype)
    loss = np.where(labelled, pixel_weights * nll, 0).sum() / divisor if divisor else logits.dtype.type(0)
    return loss, FocalLossCache(probs, classes, pixel_weights * (1 + gamma * p * ratio), divisor)


def focal_loss_backward_numpy(dloss, cache):
    """Return dlogits (..., K) for the scalar dloss."""
    check_dloss("focal_loss", dloss)
    probs, classes, scale, divisor = cache
    one_hot = classes[..., None] == np.arange(probs.shape[-1])
    dlogits = (scale * (dloss / divisor if divisor else 0))[..., None] * (probs - one_hot)
    return np.where(classes[..., None] >= 0, dlogits, 0).astype(probs.dtype)


# --- numba -----------------------------------------------------------------------------------------------------------


@kernel
def _probs_and_focus(logits, classes, weights, gamma, probs, scale, sums):
    """Compute probs, scale and, for each task, the sum of losses and the number of labelled pixels."""
    for task in prange(len(sums)):
        first = task * ROWS_PER_TASK
        x, result = logits[first : first + ROWS_PER_TASK], probs[first : first + ROWS_PER_TASK]
        largest = np.empty(ROWS_PER_TASK, logits.dtype)
        exponentials(x, result, largest)
        sums[task] = 0
        for p in range(len(x)):
            total, y, q = result[p].sum(), classes[first + p], logits.dtype.type(0)
            scale[first + p] = 0
            for k in range(x.shape[1]):
                result[p, k] /= total
                q += 0 if k == y else result[p, k]
            if y >= 0:
                nll = np.log(total) - (x[p, y] - largest[p])
                weight = weights[y] * q**gamma
                ratio = nll / q if q != 0 else 1
                scale[first + p] = weight * (1 + gamma * result[p, y] * ratio)
                sums[task, 0] += weight * nll
                sums[task, 1] += 1


@kernel
def _logits_gradient(probs, classes, scale, share, dlogits):
    """Compute dlogits = scale * share * (probs - one_hot(y))."""
    pixels, K = probs.shape
    for p in prange(pixels):
        y = classes[p]
        for k in range(K):
            dlogits[p, k] = scale[p] * share * (probs[p, k] - (1 if k == y else 0)) if y >= 0 else 0


def focal_loss_forward_numba(logits, labels, *, gamma=2.0, class_weights=None, ignore_label=None):
    """Compute the loss in one pass over memory. A task processes 256 pixels."""
    K, weights, classes, gamma = _check(logits, labels, class_weights, ignore_label, gamma)
    logits = np.ascontiguousarray(logits)
    probs, scale = empty_like(logits), empty(classes.shape, logits.dtype)
    sums = empty((-(-classes.size // ROWS_PER_TASK), 2), logits.dtype)
    flat = (logits.reshape(-1, K), classes.reshape(-1), weights, gamma, probs.reshape(-1, K), scale.reshape(-1))
    _probs_and_focus(*flat, sums)
    loss, divisor = sums.sum(0)
    return loss / divisor if divisor else logits.dtype.type(0), FocalLossCache(probs, classes, scale, divisor)


def focal_loss_backward_numba(dloss, cache):
    """Compute the gradient in one pass over memory."""
    check_dloss("focal_loss", dloss)
    probs, classes, scale, divisor = cache
    share = scale.dtype.type(dloss / divisor if divisor else 0)
    probs, K = np.ascontiguousarray(probs), probs.shape[-1]
    scale, dlogits = np.ascontiguousarray(scale).reshape(-1), empty_like(probs)
    _logits_gradient(probs.reshape(-1, K), classes.reshape(-1), scale, share, dlogits.reshape(-1, K))
    return dlogits


FOCAL_LOSS = Op("focal_loss", cache=FocalLossCache, differentiable=("logits",),
                numpy=Variant(focal_loss_forward_numpy, focal_loss_backward_numpy),
                numba=Variant(focal_loss_forward_numba, focal_loss_backward_numba))  # fmt: skip
focal_loss_forward, focal_loss_backward = FOCAL_LOSS.forward, FOCAL_LOSS.backward
