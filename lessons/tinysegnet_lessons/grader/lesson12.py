"""Exercises of lesson 12: dropout, mean and variance of samples, measures of uncertainty, and AUROC."""

import itertools

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import ShapeError
from tinysegnet.models import Network

from .exercise import Challenge, Exercise, Prediction, generator

PREDICTIONS = {
    "mean_square_at_rate_08": Prediction(5, "The factor is 1 / (1 - p) = 1 / 0.2.", tolerance=0.01),
    "one_pass_or_mean": Prediction("a", "The mean includes networks that predict other classes, so it is less "
                                        "confident."),
    "AUROC_of_ten_pixels": Prediction(19.5 / 21, "0.9 is above all seven, 0.7 is above six and equals one, and 0.6 is "
                                                 "above six: 19.5 of 21 pairs.", tolerance=0.01),
}  # fmt: skip


def _dropout_forward(x, mask, rate):
    return x * mask / (1 - rate)


def _dropout_backward(dout, mask, rate):
    return dout * mask / (1 - rate)


def _mean_and_variance(samples):
    mean = samples.mean(0)
    return mean, ((samples - mean) ** 2).mean(0)


def _softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _masked(hidden, mask, rate):
    return hidden * mask / (1 - rate)


def _over_masks(activations=_masked, weight=lambda mask, rate: np.where(mask, 1 - rate, rate).prod(), answer=_softmax):
    """Return a function that averages over all masks with one step changed."""

    def mean_over_masks(hidden, W, rate):
        masks = np.array(list(itertools.product([False, True], repeat=len(hidden))))
        return sum(weight(mask, rate) * answer(activations(hidden, mask, rate) @ W) for mask in masks)

    return mean_over_masks


_mean_over_masks = _over_masks()


def _measures(mean, variance):
    entropy = -(mean * np.log(np.where(mean > 0, mean, 1))).sum(-1)
    return variance.mean(-1), entropy, 1 - mean.max(-1)


def _measures_with(position, function):
    """Return a function that computes the three measures with another function for one of them."""

    def measures(mean, variance):
        found = list(_measures(mean, variance))
        found[position] = function(mean, variance)
        return tuple(found)

    return measures


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
    # Squares lose the last bits of these numbers, so the mean square minus the squared mean is 0, in any order of sums.
    # Welford's algorithm and two passes have no rounding error here.
    close = 2.0**30 + rng.permuted(np.arange(12.0)[:, None, None, None] + np.zeros((2, 3, 2)), axis=0)[:2]
    far = 1e5 + rng.standard_normal((6, 3, 2, 4))
    return [(rng.standard_normal((4, 1, 1, 1)),), (probs,), (rng.standard_normal((1, 2, 3, 2)),), (close,), (far,)]


def _mask_cases():
    rng = generator(3)
    hidden = np.array([1.0, 2.0, 0.5, 1.5])
    W = np.array([[2.0, -1, 0], [0.5, 1, -1], [-1, 0, 2], [1, -1.5, 0.5]])
    return [(hidden, W, 0.5), (rng.standard_normal(3), rng.standard_normal((3, 2)), 0.2),
            (20 * rng.standard_normal(5), 20 * rng.standard_normal((5, 4)), 0.75)]  # fmt: skip


def _measure_cases():
    rng = generator(4)
    cases = []
    for shape, K in (((3,), 3), ((2, 4), 5), ((2, 3, 4), 11)):
        mean = rng.dirichlet(np.ones(K), shape)
        if len(shape) > 1:
            mean[0] = np.eye(K)[1]  # a network that is certain
        cases.append((mean, rng.random((*shape, K)) / 4))
    return cases


def _auroc_cases():
    rng = generator(2)
    plain = np.array([0.9, 0.2, 0.7, 0.1, 0.4]), np.array([True, False, False, False, True])
    few = np.array([0.5, 0.5, 0.25, 0.5, 0.5]), np.array([True, False, False, True, False])
    tied = rng.integers(0, 4, 12) / 4, rng.random(12) < 0.4
    equal = np.full(6, 0.25), np.array([True, False, True, False, False, False])
    many = -rng.integers(0, 3, 25) / 2, rng.random(25) < 0.7
    return [plain, (rng.random(30), rng.random(30) < 0.2), few, tied, many, equal]


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


def _ranked_without_ties(values, positive):
    ranks = np.argsort(np.argsort(values, kind="stable")) + 1
    pairs = positive.sum() * (~positive).sum()
    return float((ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / pairs)


# --- a measure of doubt -----------------------------------------------------------------------------------------------


def _doubt(samples):
    """Return the entropy of the mean, plus its mean over 3 x 3 windows."""
    entropy = _measures(samples.mean(0), samples.var(0))[1]
    H, W = entropy.shape
    padded = np.pad(entropy, 1, mode="edge")
    return entropy + np.mean([padded[i : i + H, j : j + W] for i in range(3) for j in range(3)], axis=0)


def _sampled_streets(count=6, samples=8):
    """Yield samples (T, H, W, K) and labels (H, W) of drawn streets, from the bundled network with dropout."""
    parts = {}
    for name, layer in ts.load_bundled("toy").layers.items():
        parts[name] = layer
        if name in ("encoder3.pool", "encoder4.pool", "decoder4.relu1", "decoder3.relu1"):
            parts[f"{name}.dropout"] = layers.Dropout(0.25)
    model = Network(parts, ts.load_bundled("toy").config)
    streets = ToyScenes(count, seed=31, size=(48, 64))
    for number in range(count):
        image = streets[number].image[None].astype(np.float32)
        drawn = model.samples(image, samples, generator=np.random.default_rng(number))
        yield np.stack([ops.softmax_forward(logits)[0][0] for logits in drawn]), streets[number].labels


def _above_the_variance(answer):
    doubts, variances, wrong = [], [], []
    for samples, labels in _sampled_streets():
        doubt = np.asarray(answer(samples.copy()), float)
        if doubt.shape != labels.shape:
            raise ShapeError(f"the measure of doubt has the shape {doubt.shape}. Return one number per pixel, "
                             f"{labels.shape}")  # fmt: skip
        labelled = labels < 11
        doubts.append(doubt[labelled])
        variances.append(samples.var(0).mean(-1)[labelled])
        wrong.append((samples.mean(0).argmax(-1) != labels)[labelled])
    yours, plain = (metrics.auroc(np.concatenate(one), np.concatenate(wrong)) for one in (doubts, variances))
    return yours - plain


EXERCISES = [
    Exercise(
        name="dropout_forward",
        tier="warm-up",
        results=("out",),
        reference=_dropout_forward,
        cases=_dropout_cases,
        mistakes={
            "The kept numbers must be divided by 1 - rate.": lambda x, mask, rate: x * mask,
            "The kept numbers are multiplied by 1 - rate. Divide by 1 - rate.":
                lambda x, mask, rate: x * mask * (1 - rate),
            "The kept numbers are zeroed, but mask is True where x is kept.":
                lambda x, mask, rate: x * ~mask / (1 - rate),
            "The kept numbers are divided by rate. Divide by 1 - rate, the share that is kept.":
                lambda x, mask, rate: x * mask / rate,
            "The mask is not used. Multiply by the mask.": lambda x, mask, rate: x / (1 - rate),
        },
    ),
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
        name="mean_over_masks",
        results=("mean",),
        reference=lambda hidden, W, rate: _mean_over_masks(hidden, W, rate),
        cases=_mask_cases,
        mistakes={
            "All masks have the same weight, which is right at the rate 0.5 only. Weight each mask by its probability.":
                lambda hidden, W, rate: _over_masks(weight=lambda mask, _: 0.5 ** len(mask))(hidden, W, rate),
            "This is the softmax of the mean logits. Take softmax for each mask first, then the mean.":
                lambda hidden, W, rate: _softmax(hidden @ W),
            "The kept numbers are not divided by 1 - rate.":
                _over_masks(activations=lambda hidden, mask, rate: hidden * mask),
            "The probabilities of a mask are exchanged. A number is kept with probability 1 - rate.":
                _over_masks(weight=lambda mask, rate: np.where(mask, rate, 1 - rate).prod()),
            "The probabilities of a mask are added. Multiply them.":
                _over_masks(weight=lambda mask, rate: np.where(mask, 1 - rate, rate).sum()),
            "This is the mean of the logits. Apply softmax to the logits of each mask.":
                _over_masks(answer=lambda logits: logits),
            "The weights of the masks are missing. The probabilities must sum to 1.":
                _over_masks(weight=lambda mask, rate: 1.0),
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
            "This variance is only rounding error. Subtract the mean before squaring, and compute in float64.":
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
            "Equal values are ranked by their position. A pair of equal values must count half.": _ranked_without_ties,
        },
    ),
    Exercise(
        name="measures_of_uncertainty",
        results=("spread", "entropy", "doubt"),
        reference=_measures,
        cases=_measure_cases,
        mistakes={
            "0 * log(0) is NaN. A probability of 0 must contribute 0.":
                _measures_with(1, lambda mean, variance: -(mean * np.log(mean)).sum(-1)),
            "The sign of the entropy is wrong. ln of a probability is negative.":
                _measures_with(1, lambda mean, variance: -_measures(mean, variance)[1]),
            "This entropy is a mean over the classes. Take the sum.":
                _measures_with(1, lambda mean, variance: _measures(mean, variance)[1] / mean.shape[-1]),
            "This entropy uses the logarithm to base 2. Use the natural logarithm.":
                _measures_with(1, lambda mean, variance: _measures(mean, variance)[1] / np.log(2)),
            "This spread is the sum over the classes. Take the mean.":
                _measures_with(0, lambda mean, variance: variance.sum(-1)),
            "This spread is the largest variance. Take the mean over the classes.":
                _measures_with(0, lambda mean, variance: variance.max(-1)),
            "This is the largest probability itself. Subtract it from 1.":
                _measures_with(2, lambda mean, variance: mean.max(-1)),
            "This is 1 minus the smallest probability. Use the largest.":
                _measures_with(2, lambda mean, variance: 1 - mean.min(-1)),
        },
    ),
    Challenge(
        name="measure_of_doubt",
        results=("doubt",),
        reference=_doubt,
        cases=list,
        measure=_above_the_variance,
        unit="more AUROC than the variance",
        goal=0.02,
    ),
]  # fmt: skip
