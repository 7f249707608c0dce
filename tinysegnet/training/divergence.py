"""Recognising a training run that has diverged, from the training loss of its epochs.

Guessing needs no network: equal probabilities give the loss ln K times the mean class weight, and the frequencies of
the classes give another loss. A network may briefly be worse than both, for example in the first steps at a high
learning rate. It has diverged if its loss is more than twice the loss of the worse guess for PATIENCE epochs, or if the
mean pixel's true class has less probability than float32's rounding unit, 2^-24, for one epoch.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..data import PixelCounts

PATIENCE = 3  # epochs
_EXPLODED = 24 * math.log(2)  # the loss of a pixel whose true class has the probability 2^-24


def guessing_loss(num_classes: int, weights: np.ndarray | None, counts: PixelCounts | None) -> tuple[float, float]:
    """Return the loss of the worse guess, and the mean class weight of the labelled pixels, 1 without class weights."""
    if weights is None or counts is None:
        return math.log(num_classes), 1.0
    shares = counts.pixels / counts.pixels.sum()
    own = -np.log(np.where(shares > 0, shares, 1))  # the loss of each class if its frequency is its probability
    mean_weight = float(shares @ weights)
    return max(math.log(num_classes) * mean_weight, float(shares @ (weights * own))), mean_weight


def describe_divergence(
    history: Sequence[Mapping[str, float]], guess: float, mean_weight: float, learning_rate: float
) -> str:
    """Return a line that says since when the loss is far above guessing, and what to do, or "" if it is not.

    Args:
        history: one row per epoch with "epoch" and "train_loss".
        guess, mean_weight: as `guessing_loss` returns them.
    """
    high = 0
    while high < len(history) and history[-1 - high]["train_loss"] > 2 * guess:
        high += 1
    rows = history[len(history) - high :]
    if high < PATIENCE and all(row["train_loss"] <= _EXPLODED * mean_weight for row in rows):
        return ""
    first = int(rows[0]["epoch"])
    earlier = f" Only the checkpoints of epochs before {first} are useful." if first > 1 else ""
    return (f"training has diverged since epoch {first}: its loss is {rows[-1]['train_loss']:.3g}, while guessing gives "
            f"{guess:.3g}.{earlier} {lower_rate(learning_rate)}")  # fmt: skip


def lower_rate(learning_rate: float) -> str:
    """Return the advice to lower the learning rate. A resumed run would keep its rate, so a new one is needed."""
    return f"Lower the learning rate ({learning_rate:g}): start a new run with --learning-rate {learning_rate / 10:g}."
