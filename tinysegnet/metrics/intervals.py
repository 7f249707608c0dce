"""Confidence intervals of scores by resampling pictures (Efron's percentile bootstrap).

The given pictures are a sample of all possible pictures. Drawing N of the N pictures with replacement imitates a new
sample, and the scores of many draws vary about as much as the score of a new sample would. Neighbouring pictures of a
video are alike, so whole blocks of consecutive pictures are drawn. If draw r contains block b of B w_rb times,

    w_r ~ Multinomial(B; 1/B, ..., 1/B)
    n_r = sum_b w_rb sum_(pictures i in b) n_i        counts of draw r, from which G, C and mIoU follow
    BF_r = sum_b w_rb sum_(i in b) BF_i / sum_b w_rb |b|

The interval lies between the 2.5 % and 97.5 % quantiles over r. Matrix products replace a loop over draws.
"""

from collections.abc import Mapping

import numpy as np

from ..errors import SettingError, ShapeError
from .confusion import averages, ratio

BLOCK = 10  # pictures
MIN_BLOCKS = 5  # 3 blocks allow only 10 different draws
LEVEL = 0.95


def bootstrap_intervals(
    counts: np.ndarray,
    means: Mapping[str, np.ndarray] | None = None,
    *,
    rng: np.random.Generator,
    block: int = BLOCK,
    resamples: int = 1000,
    level: float = LEVEL,
) -> dict[str, tuple[float, float]] | None:
    """Return the intervals of G, C and mIoU, and of the means of other scores.

    Percentile intervals are too narrow if there are few blocks. For the mean of independent normal blocks, a 95 %
    interval contained the true value in 82 % of trials with 5 blocks, in 88 % with 11 and in 93 % with 20. The
    intervals are not valid for pictures of a different kind.

    Args:
        counts: (N, 3, K), the `class_counts` of the N pictures, in the order of the pictures.
        means: by name, the scores (N,) of the pictures, such as BF. The score is NaN for a picture that has none.
        rng: the generator that draws the blocks.
        block: the number of consecutive pictures per block. Use 1 for independent pictures.
        resamples: the number of draws.
        level: the fraction of the draws inside the interval, between 0 and 1.

    Returns:
        The intervals (low, high) by name, or None if there are fewer than 5 blocks.
    """
    counts, means = np.asarray(counts), {name: np.asarray(values, float) for name, values in (means or {}).items()}
    if counts.ndim != 3 or counts.shape[1] != 3 or counts.dtype.kind not in "iuf":
        raise ShapeError(f"counts: expected the class_counts of N pictures, (N, 3, K), not {counts.dtype} "
                         f"{counts.shape}")  # fmt: skip
    for name, values in means.items():
        if values.shape != counts.shape[:1]:
            raise ShapeError(f"{name}: expected one score per picture, ({len(counts)},), not {values.shape}")
    if block < 1 or resamples < 1 or not 0 < level < 1:
        raise SettingError(f"block {block} and resamples {resamples} must be at least 1, and level {level} must be "
                           "between 0 and 1")  # fmt: skip
    starts = np.arange(0, len(counts), block)
    if len(starts) < MIN_BLOCKS:
        return None
    drawn = rng.multinomial(len(starts), np.full(len(starts), 1 / len(starts)), size=resamples)
    scores = dict(zip(("G", "C", "mIoU"), averages(_resampled(drawn, counts, starts)).T, strict=True))
    for name, values in means.items():
        there = ~np.isnan(values)
        total = _resampled(drawn, np.where(there, values, 0), starts)
        scores[name] = ratio(total, _resampled(drawn, there.astype(np.int64), starts))
    return {name: _middle(values, level) for name, values in scores.items()}


def _resampled(drawn: np.ndarray, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the sums (R, ...) of values (N, ...) over each draw. drawn (R, B): how often it contains each block."""
    return np.tensordot(drawn, np.add.reduceat(values, starts), axes=1)


def _middle(values: np.ndarray, level: float) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
