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
from ..runtime.settings import convert
from .array_checks import check_dloss
from .loss import check_loss
from .op import Op, Variant
from .softmax import softmax_forward

# classes: the labels, with -1 for unlabelled pixels; scale: class_weights[y] * focus per pixel
FocalLossCache = namedtuple("FocalLossCache", "probs classes scale divisor")


def focal_loss_forward_numpy(logits, labels, *, gamma=2.0, class_weights=None, ignore_label=None):
    """Return the focal loss of the softmax of the logits, averaged over labelled pixels.

    Args:
        logits, labels, class_weights, ignore_label: as for `softmax_cross_entropy_forward`, also their errors.
        gamma: how strongly pixels that are already right are discounted, at least 0. The paper uses 2.

    Returns:
        The loss, a scalar of the logits' dtype, and the cache.
    """
    gamma = convert("gamma", gamma, float)
    if gamma < 0:
        raise SettingError(f"gamma: {gamma} must not be negative.")
    probs, _ = softmax_forward(logits)
    K = probs.shape[-1]
    weights, classes = check_loss("focal_loss", logits, labels, K, class_weights, ignore_label, "count")
    labelled, some_class = classes >= 0, np.maximum(classes, 0)[..., None]
    p = np.take_along_axis(probs, some_class, -1)[..., 0]
    q = probs.sum(-1, where=some_class != np.arange(K))
    # the largest p is 1 / sum_k exp(logits_k - largest), so this is the cross-entropy's NLL, also where p underflows
    nll = logits.max(-1) - np.take_along_axis(logits, some_class, -1)[..., 0] - np.log(probs.max(-1))
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


# beside the softmax, which is fast, there is only arithmetic per pixel
FOCAL_LOSS = Op("focal_loss", cache=FocalLossCache, differentiable=("logits",),
                numpy=Variant(focal_loss_forward_numpy, focal_loss_backward_numpy))  # fmt: skip
focal_loss_forward, focal_loss_backward = FOCAL_LOSS.forward, FOCAL_LOSS.backward
