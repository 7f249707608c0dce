"""Does a number tell one kind from another? The area under the receiver operating characteristic."""

from __future__ import annotations

import numpy as np

__all__ = ["auroc"]


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
