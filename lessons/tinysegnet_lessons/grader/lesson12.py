"""Exercises of lesson 12: dropout's backward pass, mean and variance of samples, and the area under the ROC curve."""

import numpy as np

from .exercise import Exercise, generator


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
    rng = generator(0)
    cases = []
    for shape, rate in (((4, 4), 0.5), ((2, 3, 4, 5), 0.5), ((2, 5, 3, 4), 0.2), ((6, 5), 0.9)):
        cases.append((rng.standard_normal(shape), rng.random(shape) >= rate, rate))
    return cases


def _sample_cases():
    rng = generator(1)
    probs = rng.dirichlet(np.ones(3), (5, 2, 4))
    far = 1e5 + rng.standard_normal((6, 3, 2, 4))  # the mean square minus the squared mean is only rounding error here
    return [(rng.standard_normal((4, 1, 1, 1)),), (probs,), (rng.standard_normal((1, 2, 3, 2)),), (far,)]


def _auroc_cases():
    rng = generator(2)
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
            "The factor 1 / (1 - rate) of the forward pass is missing.": lambda dout, mask, rate: dout * mask,
            "The gradient is multiplied by 1 - rate. Divide by 1 - rate.":
                lambda dout, mask, rate: dout * mask * (1 - rate),
            "The gradient passes where x was zeroed, but mask is True where x was kept.":
                lambda dout, mask, rate: dout * ~mask / (1 - rate),
            "The gradient is divided by rate. The forward pass divides by 1 - rate, the share that is kept.":
                lambda dout, mask, rate: dout * mask / rate,
            "The mask is not used, but a zeroed activation has no influence.":
                lambda dout, mask, rate: dout / (1 - rate),
            "The factor 1 / (1 - rate) is applied twice.": lambda dout, mask, rate: dout * mask / (1 - rate) ** 2,
            "dout is returned unchanged, which is right at test time only.": lambda dout, mask, rate: dout.copy(),
        },
    ),
    Exercise(
        name="mean_and_variance",
        results=("mean", "variance"),
        reference=_mean_and_variance,
        cases=_sample_cases,
        mistakes={
            "The sum of squared distances is divided by T - 1. Divide the sum by T.": _other_divisor,
            "This is the standard deviation. The variance is its square.":
                lambda samples: (samples.mean(0), np.sqrt(_mean_and_variance(samples)[1])),
            "The distances from the mean are not squared.":
                lambda samples: (samples.mean(0), np.abs(samples - samples.mean(0)).mean(0)),
            "The sum of squared distances is not divided by T.":
                lambda samples: (samples.mean(0), ((samples - samples.mean(0)) ** 2).sum(0)),
            "The variance is a difference of large numbers, mostly rounding error. Subtract the mean first.":
                _cancelled,
            "Both factors use the new mean. Welford uses the distances before and after the update.":
                _running_mean_too_early,
            "Both factors use the old mean. Welford uses the distances before and after the update.":
                _running_mean_too_late,
            "The mean is over the classes, but the samples are the first axis.":
                lambda samples: (samples.mean(-1), samples.var(-1)),
        },
    ),
    Exercise(
        name="auroc",
        results=("area",),
        reference=_auroc,
        cases=_auroc_cases,
        mistakes={
            "Equal values count 0, but they must count half.": lambda v, p: _auroc(v, p, tie=0.0),
            "Equal values count 1, but they must count half.": lambda v, p: _auroc(v, p, tie=1.0),
            "The comparison is reversed. Count pairs whose positive is larger.": lambda v, p: 1 - _auroc(v, p),
            "The divisor counts all pairs. Divide by the number of positives times the number of negatives.":
                _all_pairs,
            "The values are compared with the mean of the negatives. Compare every pair.": _against_the_mean,
            "This is the number of pairs. Return the share of pairs.": lambda v, p: _auroc(v, p) * p.sum() * (~p).sum(),
        },
    ),
]  # fmt: skip
