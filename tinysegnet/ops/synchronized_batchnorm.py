"""Batch normalisation of a batch whose pictures are processed one by one, perhaps in several processes.

`batchnorm2d` computes everything in one call. Here, each part of the batch computes its own sums, the caller adds them,
and each part uses the totals:

    forward     picture_moments(x) -> merge_moments -> batchnorm2d_forward(x, ..., mean=mean, var=var)
    backward    gradient_sums(dout, cache) -> add -> input_gradient(dout, cache, dbeta, dgamma, m)

Moments are the number of pixels m, the mean, and the sum of squared deviations M from it. For two parts a and b (Chan,
Golub & LeVeque 1979), with d = mean_b - mean_a and m = m_a + m_b:

    mean = mean_a + d * m_b / m             M = M_a + M_b + d^2 * m_a * m_b / m

The gradients are those of the module `batchnorm`. In dx of one picture, dbeta, dgamma and m are those of the whole
batch, because the pixels of all pictures have contributed to mean and variance.
"""

import numpy as np

from ..runtime import BACKEND
from .batchnorm import batchnorm2d_statistics_numba, gradient_sums_numba, input_gradient_numba, relu_mask


def picture_moments(x):
    """Return the moments of x (N, H, W, C): m, the mean and M per channel, (3, C) float64."""
    if BACKEND == "numba":
        mean, var = batchnorm2d_statistics_numba(np.ascontiguousarray(x))
    else:
        mean = x.mean((0, 1, 2))
        mean = mean + (x - mean).mean((0, 1, 2))
        var = ((x - mean) ** 2).mean((0, 1, 2))
    m = x.size // x.shape[3]
    return np.stack([np.full(mean.shape, m), mean, var.astype(np.float64) * m]).astype(np.float64)


def merge_moments(a, b):
    """Return the moments (3, C) of two parts together."""
    (m_a, mean_a, squares_a), (m_b, mean_b, squares_b) = a, b
    m, d = m_a + m_b, mean_b - mean_a
    return np.stack([m, mean_a + d * (m_b / m), squares_a + squares_b + d**2 * (m_a * m_b / m)])


def gradient_sums(dout, cache, *, relu=False):
    """Return the sums dbeta and dgamma of one part, (2, C), given its cache of `batchnorm2d` or `batchnorm2d_relu`."""
    if BACKEND == "numba":
        return np.stack(gradient_sums_numba(dout, cache, relu))
    dout = np.where(relu_mask(cache), 0, dout) if relu else dout
    return np.stack([dout.sum((0, 1, 2)), (dout * ((cache.x - cache.mean) * cache.inv_std)).sum((0, 1, 2))])


def input_gradient(dout, cache, dbeta, dgamma, m, *, relu=False):
    """Return dx (N, H, W, C) of one part, given the totals dbeta and dgamma (C,) of a batch with m pixels."""
    if BACKEND == "numba":
        return input_gradient_numba(dout, cache, dbeta, dgamma, m, relu)
    dout = np.where(relu_mask(cache), 0, dout) if relu else dout
    x_hat = (cache.x - cache.mean) * cache.inv_std
    return (cache.gamma * cache.inv_std * (dout - dbeta / m - x_hat * (dgamma / m))).astype(dout.dtype)
