"""Planted bugs of batch normalisation and ReLU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinysegnet.ops.batchnorm import batchnorm2d_backward_numpy, batchnorm2d_forward_numpy
from tinysegnet.ops.relu import relu_backward_numpy, relu_forward_numpy

from .planted import BOTH, COMPARISON, GRADIENT, LINEARITY, REPEATABILITY, UNWRITTEN, planted, planted_in_both

__all__: list[str] = []


def _batchnorm_without(terms: str) -> Callable:
    def backward(dout, cache):
        x, gamma, _, mean, inv_std, from_batch = cache
        dx, dgamma, dbeta = batchnorm2d_backward_numpy(dout, cache)
        if from_batch:
            m, x_hat = x.size // x.shape[3], (x - mean) * inv_std
            through_mean, through_variance = dbeta / m, x_hat * dgamma / m
            kept = ("mean" not in terms) * through_mean + ("variance" not in terms) * through_variance
            dx = gamma * inv_std * (dout - kept)
        return dx, dgamma, dbeta

    return backward


planted(9, "batchnorm2d", "batchnorm_no_mean_term", "dx lacks the term through the mean.", BOTH,
        "the term through the mean")(_batchnorm_without("mean"))  # fmt: skip
planted(10, "batchnorm2d", "batchnorm_no_variance_term", "dx lacks the term through the variance.", BOTH,
        "the term through the variance")(_batchnorm_without("variance"))  # fmt: skip
planted(10, "batchnorm2d", "batchnorm_statistics_constant",
        "dx lacks both terms, as if mean and variance did not depend on x.", BOTH,
        "the terms through mean and variance")(_batchnorm_without("mean, variance"))  # fmt: skip


@planted(11, "batchnorm2d", "batchnorm_other_variance", "Forward divides the variance by m, but backward by m - 1.")
def _(dout, cache):
    m = cache.x.size // cache.x.shape[3]
    wrong = cache.inv_std * float(np.sqrt((m - 1) / m if cache.from_batch else 1))
    return batchnorm2d_backward_numpy(dout, cache._replace(inv_std=wrong))


@planted(12, "batchnorm2d", "batchnorm_gamma_missing", "dx lacks the factor gamma.", hint="gamma is missing")
def _(dout, cache):
    return batchnorm2d_backward_numpy(dout, cache._replace(gamma=np.ones_like(cache.gamma)))


@planted(13, "relu", "relu_sign_of_dout", "dx is masked by the sign of dout instead of the sign of x.",
         (GRADIENT, LINEARITY, COMPARISON))  # fmt: skip
def _(dout, cache):
    return np.where(dout > 0, dout, 0)


@planted_in_both(21, "relu", "cache_shared", "All calls share one cache, so a second forward replaces the first cache.",
                 (REPEATABILITY,))  # fmt: skip
def _():
    shared = {}

    def forward(x):
        out, shared["cache"] = relu_forward_numpy(x)
        return out, None

    return forward, lambda dout, cache: relu_backward_numpy(dout, shared["cache"])


@planted(22, "relu", "dout_written", "Backward computes in place and overwrites dout, which other code may need.",
         (UNWRITTEN,))  # fmt: skip
def _(dout, cache):
    dout *= cache.out > 0
    return dout


@planted_in_both(24, "batchnorm2d", "batchnorm_variance_in_both",
                 "The variance is divided by m - 1, both in forward and in backward.")  # fmt: skip
def _():
    def forward(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
        if mean is not None:
            return batchnorm2d_forward_numpy(x, gamma, beta, mean=mean, var=var, eps=eps)
        mean, m = x.mean((0, 1, 2)), x.size // x.shape[3]
        var = ((x - mean) ** 2).sum((0, 1, 2)) / (m - 1)
        out, cache = batchnorm2d_forward_numpy(x, gamma, beta, mean=mean, var=var, eps=eps)
        return out, cache._replace(from_batch=m)

    def backward(dout, cache):
        x, gamma, _, mean, inv_std, m = cache
        dx, dgamma, dbeta = batchnorm2d_backward_numpy(dout, cache._replace(from_batch=False))
        if m is not False:
            x_hat = (x - mean) * inv_std
            dx = gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / (m - 1))
        return dx, dgamma, dbeta

    return forward, backward


@planted_in_both(26, "relu", "relu_slope_at_zero", "The slope at exactly 0 is 1, although by convention it is 0.")
def _():
    return lambda x: (np.maximum(x, 0), x), lambda dout, x: np.where(x < 0, 0, dout)
