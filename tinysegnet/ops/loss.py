"""Softmax cross-entropy per pixel: the negative log-likelihood (NLL) of each pixel's true class.

    NLL of a pixel of class y  =  -log p_y  =  log sum_k exp(logits_k) - logits_y
    loss = sum over labelled pixels of  class_weights[y] * NLL / D
    dlogits = dloss * class_weights[y] / D * (p - one_hot(y))         0 on unlabelled pixels

log p is not computed from p. The log-sum-exp, with the largest logit subtracted, stays exact where p underflows.

D, the normaliser, is the number of labelled pixels in the whole batch, as in the SegNet authors' Caffe code
(softmax_loss_layer.cpp, normalize: true). With `normalizer="weights"`, D is the sum of the pixels' class weights, as in
PyTorch's CrossEntropyLoss. A batch with no labelled pixel has loss 0 and gradient 0.

Label smoothing (Szegedy et al. 2016, section 7) leaves the true class a share 1 - e of the target, and spreads e over
all K classes. Each class of the target has its own weight, as in PyTorch:

    loss = sum of  ((1 - e) * class_weights[y] * NLL  +  e / K * sum_k class_weights_k * (-log p_k)) / D
    dlogits = dloss / D * ((1 - e) * class_weights[y] * (p - one_hot(y))  +  e / K * (W * p - class_weights))

where W is the sum of the class weights.
"""

from collections import namedtuple

import numpy as np

from ..errors import DataError, SettingError, ShapeError
from ..runtime import empty_like, kernel, prange
from ..runtime.settings import convert
from .array_checks import check_dloss, check_floats, check_rows
from .engine.fast_exp import log, softmax_row
from .op import Op, Variant
from .softmax import ROWS_PER_TASK

# classes: the labels, with -1 for unlabelled pixels
SoftmaxCrossEntropyCache = namedtuple("SoftmaxCrossEntropyCache", "probs classes weights divisor label_smoothing")


def check_smoothing(label_smoothing):
    """Return label_smoothing as a float. Raise SettingError unless it is at least 0 and less than 1."""
    value = convert("label_smoothing", label_smoothing, float)
    if not 0 <= value < 1:
        raise SettingError(f"label_smoothing: {value} must be at least 0 and less than 1.")
    return value


def check_loss(op, logits, labels, K, class_weights, ignore_label, normalizer):
    """Return class_weights (K,) in the dtype of logits, and the labels as int32 with -1 for unlabelled pixels."""
    if logits.shape[:-1] != labels.shape:
        raise ShapeError(f"logits {logits.shape} need labels of shape {logits.shape[:-1]}, got {labels.shape}")
    check_floats(op, logits=logits)
    if normalizer not in ("count", "weights"):
        raise SettingError(f'normalizer: expected "count" or "weights", got {normalizer!r}')
    weights = np.ones(K, logits.dtype) if class_weights is None else np.asarray(class_weights)
    if weights.shape != (K,) or weights.dtype.kind not in "iufb":
        raise ShapeError(f"class_weights must have one number for each of the {K} classes, got {weights.dtype} "
                         f"{weights.shape}")  # fmt: skip
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"labels must be integers, got {labels.dtype}")
    void = np.zeros(labels.shape, bool) if ignore_label is None else labels == ignore_label
    wrong = ~void & ((labels < 0) | (labels >= K))  # checked before the cast, which may wrap a wrong label into range
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        unlabelled = f" and {ignore_label} for unlabelled pixels" if ignore_label is not None else ""
        raise DataError(f"label {labels[where]} at {where} is not allowed; labels are 0..{K - 1}{unlabelled}")
    classes = labels.astype(np.int32)
    classes[void] = -1
    return np.array(weights, logits.dtype, order="C"), classes


def softmax_cross_entropy_forward_numpy(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count",
                                        label_smoothing=0.0):  # fmt: skip
    """Return the cross-entropy of the softmax of the logits, averaged over labelled pixels.

    Args:
        logits: (..., K).
        labels: (...), integers 0..K-1, or `ignore_label`.
        class_weights: one weight per class, (K,), or None for all 1.
        ignore_label: the label of unlabelled pixels, which do not count, or None.
        normalizer: what to divide by, the "count" of labelled pixels or the sum of their class "weights".
        label_smoothing: the share of the target that is spread over all classes, at least 0 and less than 1.

    Returns:
        The loss, a scalar of the logits' dtype, and the cache.

    Raises:
        DataError: if a label is neither in 0..K-1 nor `ignore_label`. The message gives its position.
    """
    op, K = "softmax_cross_entropy", check_rows("softmax_cross_entropy", logits)
    weights, classes = check_loss(op, logits, labels, K, class_weights, ignore_label, normalizer)
    smoothing = check_smoothing(label_smoothing)
    labelled = classes >= 0
    some_class = np.where(labelled, classes, 0)
    shifted = logits - logits.max(-1, keepdims=True)
    exps = np.exp(shifted)
    log_sum = np.log(exps.sum(-1))
    nll = log_sum - np.take_along_axis(shifted, some_class[..., None], -1)[..., 0]
    pixel_weights = np.where(labelled, weights[some_class], 0)
    pixel_losses = pixel_weights * nll
    if smoothing:
        every_class = (weights * (log_sum[..., None] - shifted)).sum(-1)
        pixel_losses = (1 - smoothing) * pixel_losses + smoothing / K * every_class
    divisor = pixel_weights.sum() if normalizer == "weights" else labelled.sum().astype(logits.dtype)
    loss = np.where(labelled, pixel_losses, 0).sum() / divisor if divisor else logits.dtype.type(0)
    return loss, SoftmaxCrossEntropyCache(exps / exps.sum(-1, keepdims=True), classes, weights, divisor, smoothing)


def softmax_cross_entropy_backward_numpy(dloss, cache):
    """Return dlogits (..., K) for the scalar dloss."""
    check_dloss("softmax_cross_entropy", dloss)
    probs, classes, weights, divisor, smoothing = cache
    labelled = classes >= 0
    # forward: loss += weight * (log sum_k exp(logits_k) - logits_y) / D    so: dlogits = weight * (p - one_hot(y)) / D
    one_hot = classes[..., None] == np.arange(probs.shape[-1])
    share = dloss / divisor if divisor else 0
    scale = np.where(labelled, weights[classes], 0) * share
    dlogits = scale[..., None] * (probs - one_hot)
    if smoothing:
        every_class = probs * weights.sum() - weights
        dlogits = (1 - smoothing) * dlogits + smoothing / probs.shape[-1] * share * every_class
    return np.where(labelled[..., None], dlogits, 0).astype(probs.dtype)


# --- numba -----------------------------------------------------------------------------------------------------------


@kernel
def _probs_and_sums(logits, classes, weights, own, spread, probs, sums):
    """Compute probs and, for each task, the sums of losses and of weights, and the number of labelled pixels.

    A pixel of class y has the loss own[y] * NLL + sum over k of spread[k] * (-log p_k).
    """
    (rows, K), zero, smooth = logits.shape, logits.dtype.type(0), spread.any()
    numbers, results = logits.reshape(-1), probs.reshape(-1)
    for task in prange(len(sums)):
        first, end = task * ROWS_PER_TASK, min((task + 1) * ROWS_PER_TASK, rows)
        largest, log_sums = np.empty(ROWS_PER_TASK, logits.dtype), np.ones(ROWS_PER_TASK, logits.dtype)
        for p in range(first, end):
            largest[p - first], log_sums[p - first] = softmax_row(numbers, results, p * K, K, (end - p) * K)
        for p in range(ROWS_PER_TASK):
            log_sums[p] = log(log_sums[p])
        loss, weight, count = zero, zero, 0
        for p in range(first, end):
            y = classes[p]
            if y >= 0:
                log_sum, most = log_sums[p - first], largest[p - first]
                loss += own[y] * (log_sum - (logits[p, y] - most))
                if smooth:
                    for k in range(K):
                        loss += spread[k] * (log_sum - (logits[p, k] - most))
                weight += weights[y]
                count += 1
        sums[task, 0], sums[task, 1], sums[task, 2] = loss, weight, count


@kernel
def _logits_gradient(probs, classes, own, spread, dlogits):
    """Compute dlogits = own[y] * (probs - one_hot(y)) + sum(spread) * probs - spread."""
    (pixels, K), one, common = probs.shape, probs.dtype.type(1), spread.sum()
    for p in prange(pixels):
        y = classes[p]
        if y < 0:
            dlogits[p] = 0
        else:
            rate = own[y] + common
            for k in range(K):
                dlogits[p, k] = rate * probs[p, k] - spread[k]
            dlogits[p, y] = own[y] * (probs[p, y] - one) + (common * probs[p, y] - spread[y])


def _split(weights, smoothing):
    """Return the weights of a pixel's own class and of all classes, both (K,)."""
    return weights * weights.dtype.type(1 - smoothing), weights * weights.dtype.type(smoothing / weights.size)


def softmax_cross_entropy_forward_numba(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count",
                                        label_smoothing=0.0):  # fmt: skip
    """Compute the loss in one pass over memory. A task processes 256 pixels."""
    op, K = "softmax_cross_entropy", check_rows("softmax_cross_entropy", logits)
    weights, classes = check_loss(op, logits, labels, K, class_weights, ignore_label, normalizer)
    smoothing = check_smoothing(label_smoothing)
    logits = np.ascontiguousarray(logits)
    probs, sums = empty_like(logits), np.empty((-(-classes.size // ROWS_PER_TASK), 3), logits.dtype)
    rows = logits.reshape(-1, K), classes.reshape(-1), weights, *_split(weights, smoothing), probs.reshape(-1, K)
    _probs_and_sums(*rows, sums)
    weighted_nll, weight, count = sums.sum(0)
    divisor = weight if normalizer == "weights" else count
    loss = weighted_nll / divisor if divisor else logits.dtype.type(0)
    return loss, SoftmaxCrossEntropyCache(probs, classes, weights, divisor, smoothing)


def softmax_cross_entropy_backward_numba(dloss, cache):
    """Compute the gradient in one pass over memory."""
    check_dloss("softmax_cross_entropy", dloss)
    probs, classes, weights, divisor, smoothing = cache
    scale = weights * weights.dtype.type(dloss / divisor if divisor else 0)
    probs, K = np.ascontiguousarray(probs), probs.shape[-1]
    dlogits = empty_like(probs)
    _logits_gradient(probs.reshape(-1, K), classes.reshape(-1), *_split(scale, smoothing), dlogits.reshape(-1, K))
    return dlogits


SOFTMAX_CROSS_ENTROPY = Op("softmax_cross_entropy", cache=SoftmaxCrossEntropyCache, differentiable=("logits",),
    numpy=Variant(softmax_cross_entropy_forward_numpy, softmax_cross_entropy_backward_numpy),
    numba=Variant(softmax_cross_entropy_forward_numba, softmax_cross_entropy_backward_numba))  # fmt: skip
softmax_cross_entropy_forward = SOFTMAX_CROSS_ENTROPY.forward
softmax_cross_entropy_backward = SOFTMAX_CROSS_ENTROPY.backward
