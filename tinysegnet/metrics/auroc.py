"""The area under the receiver operating characteristic: how well a value separates two kinds of pixels."""

import numpy as np

from ..errors import ShapeError


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a random positive has a larger value than a random negative. Ties count as one half.

    Args:
        values: an array of any shape, such as the uncertainty of each pixel.
        positive: booleans of the same shape, such as whether each pixel is wrong.

    Returns:
        A value in 0..1: 0.5 if the values carry no information, NaN if there are no positives or no negatives.

    Raises:
        ShapeError: if the values are not numbers, or `positive` has another shape or is not boolean.

    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    values, positive = np.asarray(values), np.asarray(positive)
    if values.shape != positive.shape or values.dtype.kind not in "iufb" or positive.dtype != bool:
        raise ShapeError(f"auroc needs numbers and booleans of the same shape, got {values.dtype} {values.shape} and "
                         f"{positive.dtype} {positive.shape}")  # fmt: skip
    positives, negatives = np.sort(values[positive]), np.sort(values[~positive])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, up_to = (np.searchsorted(negatives, positives, side).sum(dtype=float) for side in ("left", "right"))
    return float((below + up_to) / 2 / (len(positives) * len(negatives)))


class RankCounts:
    """A histogram of non-negative values with three digits. It computes `auroc` for any number of pixels in 8 MB."""

    DROPPED = 12  # how many of the 23 mantissa bits are dropped; the remaining bits sort like the values

    def __init__(self) -> None:
        self.counts = np.zeros((2, 1 << (31 - self.DROPPED)), np.int64)

    def add(self, values: np.ndarray, positive: np.ndarray) -> None:
        """Add non-negative values of any shape, with booleans of the same shape."""
        values = np.ascontiguousarray(values, np.float32) + np.float32(0)  # -0.0, which a sum can yield, becomes 0.0
        bins = values.view(np.uint32) >> self.DROPPED
        for kind in (0, 1):
            self.counts[kind] += np.bincount(bins[positive == kind], minlength=self.counts.shape[1])

    def auroc(self) -> float:
        """Return the AUROC of all values so far."""
        negatives, positives = self.counts.astype(float)
        pairs = negatives.sum() * positives.sum()
        below = np.cumsum(negatives) - negatives
        return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else float("nan")
