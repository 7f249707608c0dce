"""Exercises of lesson 04: the backward of ReLU, and batch norm forward and backward."""

import numpy as np

from tinysegnet.ops.batchnorm import batchnorm2d_forward_numpy

from .exercise import Exercise, generator

PIXELS = (0, 1, 2)  # the sums of a channel run over N, H and W


def _relu_backward(dout, x):
    return np.where(x > 0, dout, 0)


def _relu_cases():
    rng = generator(0)
    small = np.array([[-2.0, 0.0, 3.0], [0.5, -1.0, 0.0]])
    cases = [(np.array([[1.0, 2.0, -3.0], [4.0, -5.0, -6.0]]), small)]
    for shape in ((2, 3, 4, 2), (3, 5, 1, 3)):
        x = rng.standard_normal(shape).round(1)  # some numbers are 0
        cases.append((rng.standard_normal(shape), x))
    return cases


def _forward(x, gamma, beta, eps):
    return batchnorm2d_forward_numpy(x, gamma, beta, eps=eps)[0]


def _forward_cases():
    rng = generator(1)
    cases = []
    for shape, eps in (((2, 2, 3, 2), 0.1), ((3, 4, 2, 3), 0.01), ((2, 5, 1, 4), 1e-5)):
        C = shape[3]
        x = rng.standard_normal(shape) * rng.uniform(0.5, 2, C) + rng.uniform(-3, 3, C)
        cases.append((x, rng.uniform(0.5, 2, C), rng.standard_normal(C), eps))
    return cases


def _forward_by(mean=None, var=None, scale=None, affine=None):
    """Return a batch norm with one of its steps replaced."""
    mean = mean or (lambda x: x.mean(PIXELS))
    var = var or (lambda x, mu: ((x - mu) ** 2).mean(PIXELS))
    scale = scale or (lambda v, eps: 1 / np.sqrt(v + eps))
    affine = affine or (lambda x_hat, gamma, beta: gamma * x_hat + beta)

    def wrong(x, gamma, beta, eps):
        mu = mean(x)
        v = var(x, mu)
        return affine((x - mu) * scale(v, eps), gamma, beta), mu, v

    return wrong


def _each_picture_alone(x, gamma, beta, eps):
    pictures = [_forward(x[n : n + 1], gamma, beta, eps) for n in range(len(x))]
    out, mean, var = zip(*pictures, strict=True)
    return np.concatenate(out), mean[0], var[0]


def _backward(dout, x_hat, inv_std, gamma):
    dgamma, dbeta = (dout * x_hat).sum(PIXELS), dout.sum(PIXELS)
    m = dout.size // dout.shape[3]
    return gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / m), dgamma, dbeta


def _backward_cases():
    rng = generator(2)
    cases = []
    for x, gamma, _, eps in _forward_cases():
        mean, var = x.mean(PIXELS), x.var(PIXELS)
        inv_std = 1 / np.sqrt(var + eps)
        cases.append((rng.standard_normal(x.shape), (x - mean) * inv_std, inv_std, gamma))
    return cases


def _backward_by(dx):
    """Return a backward with the right sums and another dx(dout, x_hat, inv_std, gamma, dgamma, dbeta, m)."""

    def wrong(dout, x_hat, inv_std, gamma):
        _, dgamma, dbeta = _backward(dout, x_hat, inv_std, gamma)
        return dx(dout, x_hat, inv_std, gamma, dgamma, dbeta, dout.size // dout.shape[3]), dgamma, dbeta

    return wrong


def _means_over_everything(dout, x_hat, inv_std, gamma):
    """Take the two means over the channels as well."""
    _, dgamma, dbeta = _backward(dout, x_hat, inv_std, gamma)
    return gamma * inv_std * (dout - dout.mean() - x_hat * (dout * x_hat).mean()), dgamma, dbeta


def _sums_swapped(dout, x_hat, inv_std, gamma):
    dx, dgamma, dbeta = _backward(dout, x_hat, inv_std, gamma)
    return dx, dbeta, dgamma


EXERCISES = [
    Exercise(
        name="relu_backward",
        results=("dx",),
        reference=_relu_backward,
        cases=_relu_cases,
        mistakes={
            "The mask is the sign of dout, but it must be the sign of x.":
                lambda dout, x: np.where(dout > 0, dout, 0),
            "The mask also depends on dout, but a negative gradient must pass where x > 0.":
                lambda dout, x: np.where((x > 0) & (dout > 0), dout, 0),
            "Nothing is masked. Where x is negative, out does not depend on x.": lambda dout, x: dout.copy(),
            "The slope at x = 0 is 1, but by convention it is 0. Use x > 0, not x >= 0.":
                lambda dout, x: np.where(x >= 0, dout, 0),
            "dout is multiplied by out instead of the slope, which is 1 where x > 0.":
                lambda dout, x: dout * np.maximum(x, 0),
            "This is the forward pass again, without dout.": lambda dout, x: np.maximum(x, 0),
            "The mask is inverted. The gradient passes where x is positive.":
                lambda dout, x: np.where(x > 0, 0, dout),
        },
    ),
    Exercise(
        name="batchnorm_forward",
        results=("out", "mean", "var"),
        reference=_forward,
        cases=_forward_cases,
        mistakes={
            "The variance is divided by m - 1, but normalisation divides it by m.":
                _forward_by(var=lambda x, mu: x.var(PIXELS, ddof=1)),
            "eps is outside the root. Use 1 / sqrt(var + eps).":
                _forward_by(scale=lambda v, eps: 1 / (np.sqrt(v) + eps)),
            "eps is missing. Use 1 / sqrt(var + eps).": _forward_by(scale=lambda v, eps: 1 / np.sqrt(v)),
            "The numbers are divided by the variance. The root is missing.":
                _forward_by(scale=lambda v, eps: 1 / (v + eps)),
            "gamma and beta are exchanged; gamma is the factor.":
                _forward_by(affine=lambda x_hat, gamma, beta: beta * x_hat + gamma),
            "gamma and beta are missing in out = gamma * x_hat + beta.":
                _forward_by(affine=lambda x_hat, gamma, beta: x_hat),
            "All channels share one mean and variance. Take them per channel, over axes (0, 1, 2).":
                _forward_by(mean=lambda x: np.full(x.shape[3], x.mean()),
                            var=lambda x, mu: np.full(x.shape[3], x.var())),
            "Every picture has its own statistics. Take them over the whole batch, axes (0, 1, 2).":
                _each_picture_alone,
            "var is the mean of x squared. Subtract the mean before you square.":
                _forward_by(var=lambda x, mu: (x**2).mean(PIXELS)),
            "var is the standard deviation, not the variance.":
                _forward_by(var=lambda x, mu: x.std(PIXELS), scale=lambda v, eps: 1 / np.sqrt(v**2 + eps)),
        },
    ),
    Exercise(
        name="batchnorm_backward",
        results=("dx", "dgamma", "dbeta"),
        reference=_backward,
        cases=_backward_cases,
        mistakes={
            "The term through the mean, - dbeta / m, is missing.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - x_hat * dg / m)),
            "The term through the variance, - x_hat * dgamma / m, is missing.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db / m)),
            "Mean and variance are treated as constants. They depend on x, so two terms are missing.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * d),
            "The two terms are added, but they must be subtracted.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d + db / m + x_hat * dg / m)),
            "gamma is missing in dx.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: s * (d - db / m - x_hat * dg / m)),
            "inv_std is missing in dx.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * (d - db / m - x_hat * dg / m)),
            "The means run over all axes. Take them per channel, over axes (0, 1, 2).": _means_over_everything,
            "The two sums are not divided by m.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db - x_hat * dg)),
            "The two sums are divided by N, not by m = N * H * W.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db / len(d) - x_hat * dg / len(d))),
            "The term through the variance is divided by m - 1, but forward divides by m.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db / m - x_hat * dg / (m - 1))),
            "dgamma is the sum of dout, which is dbeta. It must be the sum of dout * x_hat.": _sums_swapped,
        },
    ),
]  # fmt: skip
