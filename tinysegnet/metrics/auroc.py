"""Does a number tell one kind from another? The area under the receiver operating characteristic."""

from __future__ import annotations

import numpy as np

__all__ = ["RankCounts", "auroc"]


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """The probability that a positive drawn at random has a larger value than a negative; equal ones count half.

    values: numbers of any shape. positive: booleans of that shape, such as "this pixel is wrong" for its doubt. 0.5:
    they tell nothing; 1: every positive lies above every negative. NaN where there is no positive, or no negative.

    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    positives, negatives = np.sort(values[positive]), np.sort(values[~positive])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, up_to = (np.searchsorted(negatives, positives, side).sum(dtype=float) for side in ("left", "right"))
    return float((below + up_to) / 2 / (len(positives) * len(negatives)))


class RankCounts:
    """`auroc` of any number of pixels in 8 MB, for values that are not negative: those that agree in three digits are
    taken for equal.
    """

    DROPPED = 12  # bits of a float32's 23 behind the point; what is left of it is in the order of the numbers

    def __init__(self) -> None:
        self.counts = np.zeros((2, 1 << (31 - self.DROPPED)), np.int64)

    def add(self, values: np.ndarray, positive: np.ndarray) -> None:
        """Count these, too."""
        bins = np.ascontiguousarray(values, np.float32).view(np.uint32) >> self.DROPPED
        for kind in (0, 1):
            self.counts[kind] += np.bincount(bins[positive == kind], minlength=self.counts.shape[1])

    def auroc(self) -> float:
        """Of all that were counted."""
        negatives, positives = self.counts.astype(float)
        pairs = negatives.sum() * positives.sum()
        below = np.cumsum(negatives) - negatives
        return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else float("nan")
