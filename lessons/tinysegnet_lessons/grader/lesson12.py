"""Exercises of lesson 12: dropout's backward, mean and variance of samples, the area under the ROC curve."""

import numpy as np

from .exercise import Exercise


def _dropout_backward(dout, mask, rate):
    return dout * mask / (1 - rate)


def _mean_and_variance(samples):
    mean = samples.mean(0)
    return mean, ((samples - mean) ** 2).mean(0)


def _auroc(values, positive, *, tie=0.5):
    above, below = values[positive][:, None], values[~positive][None]
    return float(((above > below) + tie * (above == below)).mean())


# --- cases: the simplest first ---------------------------------------------------------------------------------------


def _dropout_cases():
    rng = np.random.default_rng(0)
    cases = []
    for shape, rate in (((4, 4), 0.5), ((2, 3, 4, 5), 0.5), ((2, 5, 3, 4), 0.2), ((6, 5), 0.9)):
        cases.append((rng.standard_normal(shape), rng.random(shape) >= rate, rate))
    return cases


def _sample_cases():
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(3), (5, 2, 4))
    far = 1e5 + rng.standard_normal((6, 3, 2, 4))  # mean of the squares minus square of the mean cancels completely
    return [(rng.standard_normal((4, 1, 1, 1)),), (probs,), (rng.standard_normal((1, 2, 3, 2)),), (far,)]


def _auroc_cases():
    rng = np.random.default_rng(2)
    plain = np.array([0.9, 0.2, 0.7, 0.1, 0.4]), np.array([True, False, False, False, True])
    tied = rng.integers(0, 4, 12) / 4, rng.random(12) < 0.4
    return [plain, (rng.random(30), rng.random(30) < 0.2), tied, (-rng.integers(0, 3, 25) / 2, rng.random(25) < 0.7)]


# --- mistakes --------------------------------------------------------------------------------------------------------


def _cancelled(samples):
    return samples.mean(0), (samples**2).mean(0) - samples.mean(0) ** 2


def _other_divisor(samples):
    return samples.mean(0), ((samples - samples.mean(0)) ** 2).sum(0) / max(len(samples) - 1, 1)


def _running_mean_too_early(samples):
    mean, total = np.zeros(samples.shape[1:]), np.zeros(samples.shape[1:])
    for count, sample in enumerate(samples, start=1):
        mean = mean + (sample - mean) / count
        total = total + (sample - mean) ** 2
    return mean, total / len(samples)


def _running_mean_too_late(samples):
    mean, total = np.zeros(samples.shape[1:]), np.zeros(samples.shape[1:])
    for count, sample in enumerate(samples, start=1):
        total = total + (sample - mean) ** 2
        mean = mean + (sample - mean) / count
    return mean, total / len(samples)


def _all_pairs(values, positive):
    return _auroc(values, positive) * positive.sum() * (~positive).sum() / len(values) ** 2


def _against_the_mean(values, positive):
    return float((values[positive] > values[~positive].mean()).mean())


EXERCISES = [
    Exercise(
        name="dropout_backward",
        results=("dx",),
        reference=_dropout_backward,
        cases=_dropout_cases,
        mistakes={
            "the factor 1 / (1 - rate) is missing: forward multiplied by it": lambda dout, mask, rate: dout * mask,
            "it multiplies by 1 - rate; forward divides by it": lambda dout, mask, rate: dout * mask * (1 - rate),
            "mask is True where x was kept; yours passes the gradient where it was zeroed":
                lambda dout, mask, rate: dout * ~mask / (1 - rate),
            "it divides by rate; forward divides by 1 - rate, the share that is kept":
                lambda dout, mask, rate: dout * mask / rate,
            "the mask is not used: a zeroed activation has no influence": lambda dout, mask, rate: dout / (1 - rate),
            "the factor is squared": lambda dout, mask, rate: dout * mask / (1 - rate) ** 2,
            "dout is returned unchanged; that is the backward at test time": lambda dout, mask, rate: dout.copy(),
        },
    ),
    Exercise(
        name="mean_and_variance",
        results=("mean", "variance"),
        reference=_mean_and_variance,
        cases=_sample_cases,
        mistakes={
            "it divides by T - 1; here the variance is the mean of the squared distances": _other_divisor,
            "that is the standard deviation; the variance is its square":
                lambda samples: (samples.mean(0), np.sqrt(_mean_and_variance(samples)[1])),
            "the distances are not squared":
                lambda samples: (samples.mean(0), np.abs(samples - samples.mean(0)).mean(0)),
            "the sum is not divided by T":
                lambda samples: (samples.mean(0), ((samples - samples.mean(0)) ** 2).sum(0)),
            "mean of squares minus square of mean: the difference of two large numbers is rounding error": _cancelled,
            "both factors use the new mean; Welford uses the distance before and the one after the update":
                _running_mean_too_early,
            "both factors use the old mean; Welford uses the distance before and the one after the update":
                _running_mean_too_late,
            "the mean is over the classes; the samples are the first axis":
                lambda samples: (samples.mean(-1), samples.var(-1)),
        },
    ),
    Exercise(
        name="auroc",
        results=("area",),
        reference=_auroc,
        cases=_auroc_cases,
        mistakes={
            "equal values count 0; they must count half": lambda v, p: _auroc(v, p, tie=0.0),
            "equal values count 1; they must count half": lambda v, p: _auroc(v, p, tie=1.0),
            "the comparison is reversed: count where the positive is larger": lambda v, p: 1 - _auroc(v, p),
            "divide by the number of pairs, positives times negatives, not by all pairs of pixels": _all_pairs,
            "the mean of the negatives is only one threshold; count every pair": _against_the_mean,
            "this is the number of pairs; return their share": lambda v, p: _auroc(v, p) * p.sum() * (~p).sum(),
        },
    ),
]  # fmt: skip
