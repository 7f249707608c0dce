"""How far a score may be trusted: confidence intervals by resampling pictures (Efron's percentile bootstrap).

The given pictures are a sample of all that could have been taken. Drawing N of N pictures with replacement imitates
taking the sample again; the scores of many such draws spread about as the score itself would. But pictures of a video
resemble their neighbours, so whole blocks of consecutive pictures are drawn. With B blocks, and w_rb how often draw r
has block b:

    w_r ~ Multinomial(B; 1/B, ..., 1/B)
    n_r = sum_b w_rb sum_(pictures i in b) n_i        counts of draw r, from which G, C and mIoU follow
    BF_r = sum_b w_rb sum_(i in b) BF_i / sum_b w_rb |b|

and the interval is that between the 2.5 and 97.5 percent quantiles over r: two matrix products, no loop over draws.
"""

from collections.abc import Mapping

import numpy as np

from ..errors import SettingError, ShapeError
from .confusion import averages, ratio

BLOCK = 10  # pictures
MIN_BLOCKS = 5  # 3 blocks have only 10 different draws
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
    """Intervals of G, C and mIoU, and of the means of other scores.

    With few blocks the intervals are too narrow, as percentile intervals are: for the mean of independent normal
    blocks, "95 %" held the true value in 82 of 100 trials with 5 blocks, in 88 with 11, in 93 with 20. And they say
    nothing about streets unlike the given ones.

    Args:
        counts: (N, 3, K), `class_counts` of the N pictures' confusion matrices, in the pictures' order.
        means: name -> (N,) scores of the pictures, such as BF; NaN for a picture without a score.
        rng: draws the blocks.
        block: consecutive pictures drawn together (the last block may be shorter); 1 for independent pictures.
        resamples: how many draws.
        level: the share of the draws inside the interval, between 0 and 1.

    Returns:
        name -> (low, high), or None with fewer than 5 blocks, which are too few to tell how much blocks differ.
    """
    counts, means = np.asarray(counts), {name: np.asarray(values, float) for name, values in (means or {}).items()}
    if counts.ndim != 3 or counts.shape[1] != 3:
        raise ShapeError(f"counts: {counts.shape} (expected (N, 3, K), class_counts of every picture)")
    for name, values in means.items():
        if values.shape != counts.shape[:1]:
            raise ShapeError(f"{name}: {values.shape} scores (expected ({len(counts)},), one per picture)")
    if block < 1 or resamples < 1 or not 0 < level < 1:
        expected = "at least 1, at least 1, and between 0 and 1"
        raise SettingError(f"block {block}, resamples {resamples}, level {level} (expected {expected})")
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
    """drawn (R, B), how often each block; values (N, ...) -> (R, ...): sums over the pictures of each draw."""
    return np.tensordot(drawn, np.add.reduceat(values, starts), axes=1)


def _middle(values: np.ndarray, level: float) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
