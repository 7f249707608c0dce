"""Confidence intervals of scores, by resampling blocks of pictures (Efron's bootstrap) with Student's t.

Drawing the given pictures with replacement imitates a new sample of pictures. Neighbouring pictures of a video are
alike, so whole blocks of consecutive pictures are drawn. If draw r contains block b of B w_rb times,

    w_r ~ Multinomial(B; 1/B, ..., 1/B)
    n_r = sum_b w_rb sum_(pictures i in b) n_i        counts of draw r, from which G, C and mIoU follow
    BF_r = sum_b w_rb sum_(i in b) BF_i / sum_b w_rb |b|

The interval between quantiles of the draws is too narrow if there are few blocks. Therefore, with the standard
deviation s_r over the draws and the score p of all pictures,

    s = sqrt(B / (B - 1)) s_r
    logit(p) +- t s / (p (1 - p))                     t: quantile of Student's distribution, B - 1 degrees of freedom

are the bounds on the scale logit(p) = ln(p / (1 - p)), whose derivative is 1 / (p (1 - p)). On this scale they stay
within 0..1. For a difference d of two scores, both come from the same draws, and the bounds are d +- t s.

examples/interval_coverage.py simulates how often the intervals contain the true score: in 93 % to 96 % of the trials.
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
    """Return the intervals of G, C and mIoU, and of the means of other scores, for pictures of the same kind.

    Args:
        counts: (N, 3, K), the `class_counts` of the N pictures, in the order of the pictures.
        means: by name, the scores (N,) of the pictures, such as BF. The score is NaN for a picture that has none.
        rng: the generator that draws the blocks.
        block: the maximum number of consecutive pictures per block; the blocks' sizes differ by at most one. Use 1 for
            independent pictures.
        resamples: the number of draws, at least 2.
        level: the probability that the interval contains the score of all possible pictures, between 0 and 1.

    Returns:
        The intervals (low, high) by name, or None if there are fewer than 5 blocks. An interval is NaN if fewer than 5
        blocks have a value.
    """
    counts, means = np.asarray(counts), {name: np.asarray(values, float) for name, values in (means or {}).items()}
    draws = _Draws(counts, rng, block, resamples, level)
    for name, values in means.items():
        if values.shape != counts.shape[:1]:
            raise ShapeError(f"{name}: expected one score per picture, ({len(counts)},), not {values.shape}")
    if not draws.enough:
        return None
    scores, filled = averages(draws.sums(counts)).T, draws.filled(counts[:, 1].sum(axis=-1))
    found = {name: draws.bounded(values, filled) for name, values in zip(("G", "C", "mIoU"), scores, strict=True)}
    for name, values in means.items():
        there = ~np.isnan(values)
        totals, numbers = draws.sums(np.where(there, values, 0)), draws.sums(there.astype(np.int64))
        found[name] = draws.bounded(ratio(totals, numbers), draws.filled(there))
    return found


def difference_interval(
    counts: np.ndarray, others: np.ndarray, *, rng: np.random.Generator, block: int = BLOCK, resamples: int = 1000,
    level: float = LEVEL,
) -> tuple[float, float] | None:  # fmt: skip
    """Return the interval of the mIoU of `counts` minus that of `others`, which belong to the same pictures.

    Args:
        counts, others: (N, 3, K), the `class_counts` of two networks on the same N pictures.

    The other arguments and the cases of None and NaN are as for `bootstrap_intervals`.
    """
    counts, others = np.asarray(counts), np.asarray(others)
    if counts.shape != others.shape or not np.array_equal(counts[:, 1], others[:, 1]):
        raise ShapeError("counts and others must belong to the same pictures, with the same numbers of labelled pixels")
    draws = _Draws(counts, rng, block, resamples, level)
    if not draws.enough:
        return None
    differences = (averages(draws.sums(counts)) - averages(draws.sums(others)))[:, 2]
    half = draws.half_width(differences, draws.filled(counts[:, 1].sum(axis=-1)))
    low, high = np.clip(differences[0] + np.array([-half, half]), -1, 1)
    return float(low), float(high)


class _Draws:
    """The draws (R + 1, B) of B blocks, of which the first contains each block once. The arguments are checked."""

    def __init__(
        self, counts: np.ndarray, rng: np.random.Generator, block: int, resamples: int, level: float
    ) -> None:  # fmt: skip
        if counts.ndim != 3 or counts.shape[1] != 3 or counts.dtype.kind not in "iuf":
            raise ShapeError(f"counts: expected the class_counts of N pictures, (N, 3, K), not {counts.dtype} "
                             f"{counts.shape}")  # fmt: skip
        if block < 1 or resamples < 2 or not 0 < level < 1:
            raise SettingError(f"block {block} must be at least 1, resamples {resamples} at least 2, and level {level} "
                               "between 0 and 1")  # fmt: skip
        blocks = max(1, -(-len(counts) // block))
        self.enough, self.level = blocks >= MIN_BLOCKS, level
        size, larger = divmod(len(counts), blocks)  # the first blocks are larger by one picture
        self.starts = size * np.arange(blocks) + np.minimum(np.arange(blocks), larger)
        drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
        self.times = np.concatenate([np.ones((1, blocks), drawn.dtype), drawn])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums (R + 1, ...) of values (N, ...) over each draw."""
        return np.tensordot(self.times, np.add.reduceat(values, self.starts), axes=1)

    def filled(self, there: np.ndarray) -> int:
        """Return the number of blocks with a picture whose entry in `there`, (N,), is not 0."""
        return int(np.logical_or.reduceat(there, self.starts).sum())

    def half_width(self, scores: np.ndarray, blocks: int) -> float:
        """Return t s for the scores (R + 1,) of the draws, or NaN if too few blocks have a value."""
        from scipy.special import stdtrit

        drawn = scores[1:][~np.isnan(scores[1:])]
        if blocks < MIN_BLOCKS or not drawn.size:
            return float("nan")
        return float(stdtrit(blocks - 1, (1 + self.level) / 2) * drawn.std() * np.sqrt(blocks / (blocks - 1)))

    def bounded(self, scores: np.ndarray, blocks: int) -> tuple[float, float]:
        """Return the interval of the first of the scores (R + 1,), which lie in 0..1."""
        from scipy.special import expit, logit

        score, half = float(scores[0]), self.half_width(scores, blocks)
        if np.isnan(half) or score in (0, 1):  # a score of 0 or 1 is that of every draw, so half is 0
            return score + half, score + half
        low, high = expit(logit(score) + np.array([-half, half]) / (score * (1 - score)))
        return float(low), float(high)
