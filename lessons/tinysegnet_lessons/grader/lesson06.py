"""Exercises of lesson 06: softmax and cross-entropy, forward and backward, and class weights."""

import numpy as np

from tinysegnet.ops.loss import softmax_cross_entropy_backward_numpy, softmax_cross_entropy_forward_numpy
from tinysegnet.ops.softmax import softmax_forward_numpy

from .exercise import Challenge, Exercise, Prediction, generator


def _softmax(logits):
    return softmax_forward_numpy(logits)[0]


def _plain_cases():
    rng = generator(2)
    return [(np.array([[[1.0, 2.0, 4.0], [0.0, -1.0, 0.5]]]),), (rng.standard_normal((2, 3, 4, 3)),),
            (rng.standard_normal(5),)]  # fmt: skip


def _softmax_cases():
    rng = generator(0)
    pixels = rng.standard_normal((2, 3, 4, 3))
    return [
        (np.array([[[1.0, 2.0, 4.0], [0.0, -1.0, 0.5]]]),),
        (pixels,),
        (pixels + 50 * rng.standard_normal((2, 3, 4, 1)),),  # another offset for each pixel
        (pixels + 1000,),
        (pixels - 1000,),
        (2000 * pixels,),
    ]


def _softmax_shifted_by(shift):
    def wrong(logits):
        exps = np.exp(logits - shift(logits))
        return exps / exps.sum(-1, keepdims=True)

    return wrong


def _normalised_over(axes):
    def wrong(logits):
        exps = np.exp(logits - logits.max(-1, keepdims=True))
        return exps / exps.sum(axes, keepdims=True)

    return wrong


def _softmax_backward(dprobs, probs):
    return probs * (dprobs - (dprobs * probs).sum(-1, keepdims=True))


def _softmax_backward_cases():
    rng = generator(3)
    shapes = (4,), (2, 3), (2, 3, 4, 5)
    return [(rng.standard_normal(shape), _softmax(2 * rng.standard_normal(shape))) for shape in shapes]


# --- the loss ---------------------------------------------------------------------------------------------------------


def _cross_entropy(logits, labels, ignore_label):
    return softmax_cross_entropy_forward_numpy(logits, labels, ignore_label=ignore_label)[0]


def _loss_cases():
    rng = generator(1)
    cases = []
    settings = ((2, 2, 3, 4), 0, 1, 255, int), ((2, 3, 4, 4), 5, 1, 255, int), ((3, 4, 2, 5), 7, 1, 11, np.uint8), (
        (2, 3, 2, 3), 3, 500, 255, int)  # fmt: skip
    for shape, void, scale, ignore_label, dtype in settings:
        labels = rng.integers(0, shape[-1], shape[:-1]).astype(dtype)
        labels.reshape(-1)[rng.permutation(labels.size)[:void]] = ignore_label
        cases.append((scale * rng.standard_normal(shape), labels, ignore_label))
    return cases


def _nll(logits, classes):
    """Return log-sum-exp minus the logit of the class, for every pixel."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, classes[..., None], -1)[..., 0]


def _reduced(how):
    """Replace the mean over the labelled pixels by how(nll, labelled)."""

    def wrong(logits, labels, ignore_label):
        labelled = labels != ignore_label
        return how(_nll(logits, np.where(labelled, labels, 0)), labelled)

    return wrong


def _picture_by_picture(nll, labelled):
    return np.mean([one[keep].mean() for one, keep in zip(nll, labelled, strict=True)])


def _log_of_softmax(logits, labels, ignore_label):
    labelled = labels != ignore_label
    chosen = np.take_along_axis(_softmax(logits), np.where(labelled, labels, 0)[..., None], -1)[..., 0]
    return -np.log(chosen[labelled]).mean()


def _all_classes(how):
    """Apply how() to -log p of every class at the labelled pixels, (D, K)."""

    def wrong(logits, labels, ignore_label):
        z = logits[labels != ignore_label]
        z = z - z.max(-1, keepdims=True)
        return how(np.log(np.exp(z).sum(-1, keepdims=True)) - z)

    return wrong


def _no_logarithm(logits, labels, ignore_label):
    labelled = labels != ignore_label
    chosen = np.take_along_axis(_softmax(logits), np.where(labelled, labels, 0)[..., None], -1)[..., 0]
    return 1 - chosen[labelled].mean()


# --- challenge: the digits of a small loss ----------------------------------------------------------------------------


def _accurate(logits, labels):
    pixels, best = np.arange(len(labels)), logits.argmax(-1)
    shifted = logits - logits[pixels, best][:, None]
    exps = np.exp(shifted)
    exps[pixels, best] = 0
    return np.log1p(exps.sum(-1)) - shifted[pixels, labels]


def _accurate_cases():
    rng = generator(9)
    ties = np.array([[1, 1, 0], [2, 2, 2], [-3, 0, -3]], np.float32)
    return [(rng.standard_normal((D, K)).astype(np.float32), rng.integers(0, K, D)) for D, K in ((3, 2), (7, 5))] + [
        (ties, np.array([0, 1, 2])), (np.array([[200, 0, 3], [-150, 40, 90]], np.float32), np.array([1, 0]))
    ]  # fmt: skip


def _digits(answer):
    """Return the number of right digits at the worst pixel; the logits are such that float32 can subtract exactly."""
    rng = generator(10)
    logits = rng.integers(-40 * 64, 40 * 64, (500, 4)).astype(np.float32) / 64
    labels = rng.integers(0, 4, len(logits))
    right = _accurate(logits.astype(float), labels)
    with np.errstate(all="ignore"):
        error = np.max(np.abs(np.asarray(answer(logits.copy(), labels.copy()), float) - right) / right)
        return max(0.0, float(-np.log10(max(error, 1e-15)))) if np.isfinite(error) else 0.0


def _largest_left_out(logits, labels):
    """Leave out every logit that equals the largest one, which is wrong at a tie."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.log1p(np.where(shifted < 0, np.exp(shifted), 0).sum(-1)) - shifted[np.arange(len(labels)), labels]


def _one_too_many(logits, labels):
    shifted = logits - logits.max(-1, keepdims=True)
    return np.log1p(np.exp(shifted).sum(-1)) - shifted[np.arange(len(labels)), labels]


def _minus_log(logits, labels):
    return -np.log(_softmax(logits)[np.arange(len(labels)), labels])


# --- its gradient -----------------------------------------------------------------------------------------------------


def _gradient(logits, labels, ignore_label):
    _, cache = softmax_cross_entropy_forward_numpy(logits, labels, ignore_label=ignore_label)
    return softmax_cross_entropy_backward_numpy(1.0, cache)


def _gradient_by(scale=lambda labelled: 1 / labelled.sum(), void=0, hot=1):
    """Return scale * (p - hot * one_hot(y)), multiplied by `void` at void pixels, which count as class 0."""

    def wrong(logits, labels, ignore_label):
        labelled = labels != ignore_label
        classes = np.where(labelled, labels, 0)
        p_minus_y = _softmax(logits) - hot * (classes[..., None] == np.arange(logits.shape[-1]))
        return scale(labelled) * np.where(labelled[..., None], p_minus_y, void * p_minus_y)

    return wrong


def _void_is_pushed_down(logits, labels, ignore_label):
    one_hot = labels[..., None] == np.arange(logits.shape[-1])  # all False at a void pixel
    return (_softmax(logits) - one_hot) / (labels != ignore_label).sum()


def _only_the_right_class(logits, labels, ignore_label):
    one_hot = labels[..., None] == np.arange(logits.shape[-1])
    return np.where(one_hot, _gradient(logits, labels, ignore_label), 0)


# --- class weights: counting ------------------------------------------------------------------------------------------


def _count(labels, K):
    return _count_by()(labels, K)


def _count_cases():
    rng = generator(4)
    maps = rng.integers(0, 4, (3, 4, 5))
    maps[0, maps[0] == 1] = 0
    maps[1, maps[1] >= 2] = 1
    return [(np.array([[[0, 0, 1], [0, 2, 1]], [[0, 0, 0], [0, 0, 2]]]), 2), (maps, 3),
            (maps.astype(np.uint8), 5)]  # fmt: skip


def _count_by(area=lambda picture, K: picture.size, kinds=lambda K: K + 1, everywhere=False):
    """Return the right counts with one step replaced."""

    def counts(labels, K):
        found = np.array([[(picture == k).sum() for k in range(kinds(K))] for picture in labels])
        areas = np.array([area(picture, K) for picture in labels])
        return found.sum(0), ((found > 0) | everywhere).T @ areas

    return counts


def _pictures(labels, K):
    pixels, _ = _count(labels, K)
    return pixels, np.array([(labels == k).any((1, 2)).sum() for k in range(K + 1)])


# --- class weights ----------------------------------------------------------------------------------------------------


def _class_weights(pixels, image_pixels):
    return _weights_by()(pixels, image_pixels)


def _weight_cases():
    return [
        (np.array([400, 50, 10, 150, 90]), np.array([800, 800, 200, 600, 800])),
        (np.array([5000, 300, 0, 40, 1200, 700]), np.array([8000, 4000, 0, 1000, 8000, 7000])),
        (np.array([10667303, 214885, 19594653, 386191, 2484797]), 172800 * np.array([366, 274, 367, 319, 367])),
    ]


def _weights_by(frequency=lambda pixels, image_pixels: pixels / image_pixels, middle=np.median,
                weight=lambda middle, freq: middle / freq, void=False, absent=False):  # fmt: skip
    """Return median-frequency weights with one step replaced."""

    def weights(pixels, image_pixels):
        K = len(pixels) - 1
        freq = np.nan_to_num(frequency(pixels, image_pixels))
        counted = freq if void else freq[:K]
        present = freq[:K] > 0
        chosen = middle(counted if absent else counted[counted > 0])
        return np.where(present, weight(chosen, np.where(present, freq[:K], 1)), 0)

    return weights


EXERCISES = [
    Exercise(
        name="plain_softmax",
        results=("probs",),
        reference=_softmax,
        cases=_plain_cases,
        tier="warm-up",
        mistakes={
            "All probabilities together sum to 1, but those of each pixel must sum to 1. Use sum(-1).":
                _normalised_over(None),
            "The sum runs over pixels instead of classes. The classes are the last axis.": _normalised_over(-2),
            "The division by the sum is missing.": np.exp,
            "exp is missing. The logits are divided by their sum.":
                lambda logits: logits / logits.sum(-1, keepdims=True),
            "The largest exponential is the divisor, but it must be the sum.":
                lambda logits: np.exp(logits - logits.max(-1, keepdims=True)),
            "The sign is wrong. The largest logit must get the largest probability.": lambda logits: _softmax(-logits),
        },
    ),
    Exercise(
        name="softmax",
        results=("probs",),
        reference=_softmax,
        cases=_softmax_cases,
        mistakes={
            "Large logits overflow. Subtract the largest logit of each pixel before exp.":
                _softmax_shifted_by(lambda logits: 0),
            "The largest logit of all pixels is subtracted, so exp underflows elsewhere. Use max(-1, keepdims=True).":
                _softmax_shifted_by(np.max),
            "The mean of the logits is subtracted, so exp can overflow. Subtract the largest logit.":
                _softmax_shifted_by(lambda logits: logits.mean(-1, keepdims=True)),
            "All probabilities together sum to 1, but those of each pixel must sum to 1. Use sum(-1).":
                _normalised_over(None),
            "The sum runs over pixels instead of classes. The classes are the last axis.": _normalised_over(-2),
            "The division by the sum is missing.": lambda logits: np.exp(logits - logits.max(-1, keepdims=True)),
            "exp is missing. The logits are divided by their sum.":
                lambda logits: logits / logits.sum(-1, keepdims=True),
            "The sign is wrong. The largest logit must get the largest probability.": lambda logits: _softmax(-logits),
        },
    ),
    Exercise(
        name="softmax_backward",
        results=("dlogits",),
        reference=_softmax_backward,
        cases=_softmax_backward_cases,
        mistakes={
            "Only the diagonal of the Jacobian is used. Sum dprobs * probs over all classes of the pixel.":
                lambda dprobs, probs: dprobs * probs * (1 - probs),
            "The sum is missing. Subtract the sum of dprobs * probs.": lambda dprobs, probs: probs * dprobs,
            "dprobs is summed without the factor probs.":
                lambda dprobs, probs: probs * (dprobs - dprobs.sum(-1, keepdims=True)),
            "The factor probs before the bracket is missing.":
                lambda dprobs, probs: dprobs - (dprobs * probs).sum(-1, keepdims=True),
            "The sum of each pixel is subtracted from dprobs * probs. The factor probs also belongs to the sum.":
                lambda dprobs, probs: dprobs * probs - (dprobs * probs).sum(-1, keepdims=True),
            "The sum runs over all pixels. Sum over the classes only, the last axis.":
                lambda dprobs, probs: probs * (dprobs - (dprobs * probs).sum()),
            "The sign is wrong. The sum is subtracted from dprobs.":
                lambda dprobs, probs: -_softmax_backward(dprobs, probs),
        },
    ),
    Exercise(
        name="cross_entropy",
        results=("loss",),
        reference=_cross_entropy,
        cases=_loss_cases,
        mistakes={
            "Void pixels count in the divisor. Divide by the number of labelled pixels.":
                _reduced(lambda s, labelled: s[labelled].sum() / labelled.size),
            "Void pixels count as class 0. Leave void pixels out.": _reduced(lambda s, labelled: s.mean()),
            "This is the sum. Divide by the number of labelled pixels.":
                _reduced(lambda s, labelled: s[labelled].sum()),
            "This is the mean of the pictures' means. All labelled pixels must count equally.":
                _reduced(_picture_by_picture),
            "The divisor is the number of pictures, not of labelled pixels.":
                _reduced(lambda s, labelled: s[labelled].sum() / len(s)),
            "The minus sign is missing; -log p is positive.": _reduced(lambda s, labelled: -s[labelled].mean()),
            "A probability underflows to 0 before log. Compute log p from the logits by log-sum-exp.":
                _log_of_softmax,
            "This is the mean of 1 - p. The logarithm is missing.": _no_logarithm,
            "-log p is summed over all classes. Take only the class of each pixel's label.":
                _all_classes(lambda nll: nll.sum() / len(nll)),
            "-log p is averaged over all classes. Take only the class of each pixel's label.":
                _all_classes(np.mean),
        },
    ),
    Exercise(
        name="cross_entropy_backward",
        results=("dlogits",),
        reference=_gradient,
        cases=_loss_cases,
        mistakes={
            "Void pixels count in the divisor. Divide by the number of labelled pixels.":
                _gradient_by(scale=lambda labelled: 1 / labelled.size),
            "The division by the number of labelled pixels is missing.": _gradient_by(scale=lambda labelled: 1),
            "Void pixels get the gradient of class 0, but theirs must be 0.": _gradient_by(void=1),
            "Void pixels get p as their gradient, but theirs must be 0.":
                _void_is_pushed_down,
            "This is only p. Subtract 1 at the pixel's class.": _gradient_by(hot=0),
            "The sign is wrong. Use p - y, not y - p.": _gradient_by(scale=lambda labelled: -1 / labelled.sum()),
            "Only the logit of the right class gets a gradient, but all logits affect the softmax.":
                _only_the_right_class,
            "The divisor is the number of pictures, not of labelled pixels.":
                _gradient_by(scale=lambda labelled: 1 / len(labelled)),
        },
    ),
    Challenge(
        name="accurate_nll",
        results=("nll",),
        reference=_accurate,
        cases=_accurate_cases,
        measure=_digits,
        unit="right digits at the worst pixel",
        goal=6,
        mistakes={
            "exp overflows, or a probability underflows to 0 before log. Subtract the largest logit before exp.":
                _minus_log,
            "Every logit that equals the largest one is left out. At a tie, leave out only one of them.":
                _largest_left_out,
            "log1p adds 1, but the sum contains the largest exponential, which is 1, already.": _one_too_many,
            "This is the mean. Return the NLL of each pixel.": lambda logits, labels: _accurate(logits, labels).mean(),
        },
    ),
    Exercise(
        name="count_pixels",
        results=("pixels", "image_pixels"),
        reference=_count,
        cases=_count_cases,
        mistakes={
            "All pictures count, but image_pixels counts only those in which the label occurs.":
                _count_by(everywhere=True),
            "Void pixels are missing in image_pixels. Count all pixels of a picture.":
                _count_by(area=lambda picture, K: (picture < K).sum()),
            "image_pixels counts pictures. Count their pixels.": _pictures,
            "image_pixels repeats pixels. Count all pixels of the pictures in which the label occurs.":
                lambda labels, K: (_count(labels, K)[0],) * 2,
            "The last entry is missing. Void is counted too, so there are K + 1 entries.": _count_by(kinds=lambda K: K),
            "The two results are exchanged.": lambda labels, K: _count(labels, K)[::-1],
        },
    ),
    Exercise(
        name="class_weights",
        results=("weights",),
        reference=_class_weights,
        cases=_weight_cases,
        mistakes={
            "Void counts in the median. It is the last entry and not a class.": _weights_by(void=True),
            "The divisor counts all pixels. Divide by the pixels of the images in which the class occurs.":
                _weights_by(frequency=lambda pixels, image_pixels: pixels / pixels.sum()),
            "This is 1 / frequency. The median is missing.": _weights_by(middle=lambda freq: 1.0),
            "The mean frequency is used, but it must be the median frequency.": _weights_by(middle=np.mean),
            "The weights are inverted. A rare class must get a large weight.":
                _weights_by(weight=lambda mid, freq: freq / mid),
            "A class that does not occur counts in the median. Use only the classes that occur.":
                _weights_by(absent=True),
            "This is the square root of the weight.": _weights_by(weight=lambda mid, freq: np.sqrt(mid / freq)),
        },
    ),
]  # fmt: skip

PREDICTIONS = {
    "nll_of_a_guess": Prediction(
        2.398, "Each class has the probability 1/11, and -log(1/11) = log 11.", tolerance=0.01),
    "log_of_an_underflow": Prediction(
        "b", "The exponential of -150 underflows to 0 in float32, so the probability is 0."),
    "effect_of_class_weights": Prediction(
        "b", "The network finds more pixels of the rare classes and loses pixels of the frequent ones."),
}  # fmt: skip
