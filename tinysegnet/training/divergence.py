"""Recognising a training run that has diverged, from the training loss of its epochs.

Equal probabilities for all classes have the loss ln K times the mean class weight. A network may be worse for a while,
for example in the first steps at a high learning rate. It has diverged if its loss is more than twice as large for
PATIENCE epochs, or more than EXPLODED times as large in one: the mean pixel's true class then has a probability below
K^-24, while the rounding unit of float32 is 2^-24.
"""

from collections.abc import Mapping, Sequence

PATIENCE, EXPLODED = 3, 24


def describe_divergence(history: Sequence[Mapping[str, float]], guess: float, learning_rate: float) -> str:
    """Return a line that says since when training has diverged, and what to do, or "" if it has not.

    Args:
        history: one row per epoch with "epoch" and "train_loss".
        guess: the loss of equal probabilities.
    """
    factors = [row["train_loss"] / guess for row in history]
    good = max(
        (i for i, factor in enumerate(factors, 1) if factor <= 2), default=0
    )  # the number of the last good epoch
    if len(history) - good < PATIENCE and max(factors[good:], default=0) <= EXPLODED:
        return ""
    epoch, loss = history[good]["epoch"], history[-1]["train_loss"]
    return (f"training has diverged since epoch {epoch}: its loss is {loss:.3g}, but guessing has {guess:.3g}. Only "
            f"checkpoints of earlier epochs are useful. {lower_rate(learning_rate)}")  # fmt: skip


def lower_rate(learning_rate: float) -> str:
    """Return the advice to start again, because a resumed run keeps its learning rate."""
    return f"Lower the learning rate ({learning_rate:g}): start a new run with --learning-rate {learning_rate / 10:g}."
