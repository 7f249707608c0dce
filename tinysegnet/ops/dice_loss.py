"""Soft Dice loss: one minus the mean overlap of the classes, in which rare classes count as much as common ones.

    I_c = sum over labelled pixels of class c of  p_c               the overlap of class c with its pixels
    S_c = sum over labelled pixels of  p_c  +  pixels of class c
    Dice_c = 2 I_c / S_c                                            1 if p is right everywhere, 0 if it is wrong
    loss = 1 - mean of Dice_c over the classes that occur in the labels

    dloss/dp_c = (Dice_c - 2 one_hot(y)_c) / (S_c * number of these classes), followed by the softmax's backward

The sums are over the whole batch, not over each picture, so a class that only one picture shows counts once. S_c adds
probabilities, as in Sudre et al. 2017, and not their squares, as in Milletari et al. 2016. Dividing each class by its
own S_c replaces Sudre's weights. Classes that do not occur, where Dice_c is 0 or 0/0, are left out, so that no
smoothing constant is necessary. A batch with no labelled pixel has loss 0 and gradient 0.
"""

from collections import namedtuple

import numpy as np

from .array_checks import check_dloss
from .loss import check_loss
from .op import Op, Variant
from .softmax import softmax_forward

# classes: the labels, with -1 for unlabelled pixels; dice, sums: Dice_c and S_c as above, both (K,) float64
DiceLossCache = namedtuple("DiceLossCache", "probs classes dice sums present")


def dice_loss_forward_numpy(logits, labels, *, ignore_label=None):
    """Return one minus the mean soft Dice coefficient of the classes that occur in the labels.

    Args:
        logits, labels, ignore_label: as for `softmax_cross_entropy_forward`, also their errors.

    Returns:
        The loss from 0 to 1, a scalar of the logits' dtype, and the cache.
    """
    probs, _ = softmax_forward(logits)
    K = probs.shape[-1]
    _, classes = check_loss("dice_loss", logits, labels, K, None, ignore_label, "count")
    rows, labelled = probs.reshape(-1, K), classes.reshape(-1) >= 0
    true = classes.reshape(-1)[labelled]
    pixels, overlaps = np.bincount(true, minlength=K), np.bincount(true, rows[labelled, true], minlength=K)
    sums = rows.sum(0, dtype=float, where=labelled[:, None]) + pixels
    loss, fields = dice_of_parts(np.stack([overlaps, sums, pixels > 0]))
    return logits.dtype.type(loss), DiceLossCache(probs, classes, **fields)


def dice_parts(cache):
    """Return I_c, S_c and whether class c occurs, (3, K), of a part of a batch. The caller adds those of all parts."""
    return np.stack([cache.dice * cache.sums / 2, cache.sums, cache.present])


def dice_of_parts(total):
    """Return the loss for the sum of `dice_parts` over a batch, and the fields for the caches of all its parts."""
    overlaps, sums, present = total[0], total[1], total[2] > 0
    dice = np.divide(2 * overlaps, sums, out=np.zeros_like(sums), where=present)
    return 1 - dice[present].mean() if present.any() else 0, {"dice": dice, "sums": sums, "present": present}


def dice_loss_backward_numpy(dloss, cache):
    """Return dlogits (..., K) for the scalar dloss."""
    check_dloss("dice_loss", dloss)
    probs, classes, dice, sums, present = cache
    rows, y = probs.reshape(-1, probs.shape[-1]), classes.reshape(-1)
    share = np.divide(dloss, sums * present.sum(), out=np.zeros_like(sums), where=present)
    everywhere, at_label = (share * dice).astype(probs.dtype), (2 * share).astype(probs.dtype)
    # dprobs = everywhere - at_label * one_hot(y); the softmax's backward is  p * (dprobs - sum_k dprobs_k p_k)
    pixel = np.arange(len(y))
    of_label = at_label[y] * rows[pixel, y]
    dlogits = rows * (everywhere - (np.einsum("pk,k->p", rows, everywhere) - of_label)[:, None])
    dlogits[pixel, y] -= of_label
    return np.where(y[:, None] >= 0, dlogits, 0).reshape(probs.shape)


# beside the softmax, which is fast, there are only sums per class
DICE_LOSS = Op("dice_loss", cache=DiceLossCache, differentiable=("logits",),
               numpy=Variant(dice_loss_forward_numpy, dice_loss_backward_numpy))  # fmt: skip
dice_loss_forward, dice_loss_backward = DICE_LOSS.forward, DICE_LOSS.backward
