"""Recognising a training run that has diverged, from the training loss of its epochs."""

from collections.abc import Mapping, Sequence

PATIENCE = 3  # epochs; the first steps at a high learning rate may be worse than guessing
EXPLODED = 24  # then an average pixel's true class has a probability below K^-24; float32's rounding unit is 2^-24


def describe_divergence(history: Sequence[Mapping[str, float]], guess: float, learning_rate: float) -> str:
    """Return a line with the epoch since which training has diverged and the remedy, or "" if it has not diverged.

    An epoch is bad if its loss is more than twice the loss of guessing. Training has diverged if the last PATIENCE
    epochs are bad, or if one of the latest bad epochs exceeds EXPLODED times that loss. `history` has rows with "epoch"
    and "train_loss". `guess` is the loss of equal probabilities for all classes, ln K times the mean class weight.
    """
    factors = [row["train_loss"] / guess for row in history]
    good = max((i for i, factor in enumerate(factors, 1) if factor <= 2), default=0)  # epochs up to the last good one
    if len(factors) - good < PATIENCE and all(factor <= EXPLODED for factor in factors[good:]):
        return ""
    epoch, loss = history[good]["epoch"], history[good]["train_loss"]
    return (f"training has diverged since epoch {epoch}: its loss was {loss:.3g}, but guessing gives {guess:.3g}. Only "
            f"checkpoints of earlier epochs are useful. {lower_rate(learning_rate)}")  # fmt: skip


def lower_rate(learning_rate: float) -> str:
    """Return the advice to start again, because a resumed run keeps its learning rate."""
    return f"Lower the learning rate ({learning_rate:g}): start a new run with --learning-rate {learning_rate / 10:g}."
