"""How often do the confidence intervals of `tinysegnet evaluate` contain the true score?

python examples/interval_coverage.py [--trials N]

Each trial draws a test set of B independent blocks from a world whose scores are known. For each B, the program prints
the share of trials whose 95 % interval contains the true score. The world has six classes: two of them are rare, so
that 30 % and 60 % of the blocks lack them, and blocks differ in size and difficulty. "BF" is a mean of values from a
beta distribution, "difference" is the mIoU of one network minus that of another on the same pictures, and "quantiles"
is the mIoU with the interval between the 2.5 % and 97.5 % quantiles of the draws.
"""

import argparse

import numpy as np

from tinysegnet.metrics import bootstrap_intervals, difference_interval
from tinysegnet.metrics.confusion import averages

BLOCKS = (5, 8, 11, 20, 40)
SIZES, LEVELS, PRESENT = np.linspace(3000, 200, 6), np.linspace(2.5, 0, 6), np.array([1, 1, 1, 1, 0.7, 0.4])
BF = 3, 2  # parameters of the beta distribution, whose mean is 0.6


def draw_blocks(rng, blocks, networks=1):
    """Draw the `class_counts` (networks, blocks, 3, 6) of independent blocks, as fractions of pixels.

    A network predicts a share of each class's pixels correctly. The share depends on the class, on the block's
    difficulty, and on chance. The wrong pixels are divided among the classes at random.
    """
    labelled = rng.gamma(2, 1, (blocks, 6)) * SIZES * (rng.random((blocks, 6)) < PRESENT)
    difficulty = rng.normal(0, 0.5, (blocks, 1))
    counts = []
    for _ in range(networks):
        right = labelled / (1 + np.exp(-(LEVELS + difficulty + rng.normal(0, 0.5, (blocks, 6)))))
        wrong = (labelled - right).sum(axis=1, keepdims=True)
        counts.append(np.stack([right, labelled, right + wrong * rng.dirichlet(np.ones(6), blocks)], axis=1))
    return np.array(counts)


def true_scores(blocks=200_000):
    """Return the scores of the world, from so many blocks that chance hardly matters."""
    G, C, mIoU = averages(draw_blocks(np.random.default_rng(0), blocks)[0].sum(axis=0))
    return {"G": G, "C": C, "mIoU": mIoU, "BF": BF[0] / sum(BF), "difference": 0.0, "quantiles": mIoU}


def quantile_interval(rng, counts, resamples):
    """Return the interval of mIoU between quantiles of the draws, as in version 0.1."""
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    return np.quantile(averages(np.tensordot(drawn, counts, axes=1))[:, 2], [0.025, 0.975])


def coverage(blocks, trials, true, *, seed=1, resamples=200):
    """Return, for each score in `true`, the share of trials whose 95 % interval contains the true score."""
    rng, hits = np.random.default_rng(seed), dict.fromkeys(true, 0)
    for _ in range(trials):
        ours, other = draw_blocks(rng, blocks, networks=2)
        options = {"rng": rng, "block": 1, "resamples": resamples}
        found = bootstrap_intervals(ours, {"BF": rng.beta(*BF, blocks)}, **options)
        found["difference"] = difference_interval(ours, other, **options)
        found["quantiles"] = quantile_interval(rng, ours, resamples)
        for name, (low, high) in found.items():
            hits[name] += low <= true[name] <= high
    return {name: count / trials for name, count in hits.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4000)
    arguments = parser.parse_args()
    true = true_scores()
    print("blocks  " + "  ".join(f"{name:>10}" for name in true))
    for blocks in BLOCKS:
        shares = coverage(blocks, arguments.trials, true)
        print(f"{blocks:6}  " + "  ".join(f"{share:10.1%}" for share in shares.values()))
