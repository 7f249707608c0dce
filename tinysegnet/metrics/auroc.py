"""How well does a value tell one kind from another: the area under the receiver operating characteristic."""

import numpy as np


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """The probability that a random positive has a larger value than a random negative; equal values count half.

    Args:
        values: of any shape, such as the uncertainty of each pixel.
        positive: booleans of that shape, such as "this pixel is wrong".

    Returns:
        0.5 if the values carry no information; NaN without any positive or any negative.

    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    positives, negatives = np.sort(values[positive]), np.sort(values[~positive])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, up_to = (np.searchsorted(negatives, positives, side).sum(dtype=float) for side in ("left", "right"))
    return float((below + up_to) / 2 / (len(positives) * len(negatives)))


class RankCounts:
    """`auroc` of any number of pixels in 8 MB: a histogram of non-negative values, with three digits of each."""

    DROPPED = 12  # bits of a float32's mantissa of 23; the bits that are left sort as the numbers do

    def __init__(self) -> None:
        self.counts = np.zeros((2, 1 << (31 - self.DROPPED)), np.int64)

    def add(self, values: np.ndarray, positive: np.ndarray) -> None:
        """Count values (any shape, not negative) and booleans of that shape."""
        bins = np.ascontiguousarray(values, np.float32).view(np.uint32) >> self.DROPPED
        for kind in (0, 1):
            self.counts[kind] += np.bincount(bins[positive == kind], minlength=self.counts.shape[1])

    def auroc(self) -> float:
        """`auroc` of everything that was counted."""
        negatives, positives = self.counts.astype(float)
        pairs = negatives.sum() * positives.sum()
        below = np.cumsum(negatives) - negatives
        return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else float("nan")
