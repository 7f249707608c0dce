"""Batch normalisation of a batch whose pictures are processed one by one, perhaps in several processes.

`batchnorm2d` computes everything in one call. Here, each part of the batch computes its own sums, the caller adds them,
and each part uses the totals:

    forward     picture_moments(x) -> merge_moments -> batchnorm2d_forward(x, ..., mean=mean, var=var)
    backward    gradient_sums(dout, cache) -> add -> input_gradient(dout, cache, dbeta, dgamma, m=m)

Moments are the number of pixels m, the mean, and the sum of squared deviations M from it. For two parts a and b (Chan,
Golub & LeVeque 1979), with d = mean_b - mean_a and m = m_a + m_b:

    mean = mean_a + d * m_b / m             M = M_a + M_b + d^2 * m_a * m_b / m

The gradients are those of the module `batchnorm`. In dx of one picture, dbeta, dgamma and m are those of the whole
batch, because the pixels of all pictures have contributed to mean and variance.
"""

import numpy as np

from .array_checks import check_dout, check_pictures
from .batchnorm import (
    batchnorm2d_statistics_numba,
    batchnorm2d_statistics_numpy,
    gradient_sums_numba,
    input_gradient_numba,
    relu_mask,
)
from .op import public_function


def picture_moments_numpy(x, *, statistics=batchnorm2d_statistics_numpy):
    """Return the moments of x (N, H, W, C): m, the mean and M per channel, (3, C) float64."""
    check_pictures("picture_moments", x)
    mean, var = statistics(np.ascontiguousarray(x))
    m = x.size // x.shape[3]
    return np.stack([np.full(mean.shape, float(m)), mean, var.astype(float) * m])


def picture_moments_numba(x):
    """Compute the statistics in one read."""
    return picture_moments_numpy(x, statistics=batchnorm2d_statistics_numba)


def merge_moments(a, b):
    """Return the moments (3, C) of two parts together."""
    (m_a, mean_a, squares_a), (m_b, mean_b, squares_b) = a, b
    m, d = m_a + m_b, mean_b - mean_a
    return np.stack([m, mean_a + d * (m_b / m), squares_a + squares_b + d**2 * (m_a * m_b / m)])


def gradient_sums_numpy(dout, cache, *, relu=False):
    """Return the sums dbeta and dgamma (C,) of one part, given its cache of `batchnorm2d` or `batchnorm2d_relu`."""
    check_dout("gradient_sums", dout, cache.x.shape, cache.x.dtype)
    dout = np.where(relu_mask(cache), 0, dout) if relu else dout
    return dout.sum((0, 1, 2)), (dout * ((cache.x - cache.mean) * cache.inv_std)).sum((0, 1, 2))


def input_gradient_numpy(dout, cache, dbeta, dgamma, *, m, relu=False):
    """Return dx (N, H, W, C) of one part, given the totals dbeta and dgamma (C,) of a batch with m pixels."""
    check_dout("input_gradient", dout, cache.x.shape, cache.x.dtype)
    dout, x_hat = np.where(relu_mask(cache), 0, dout) if relu else dout, (cache.x - cache.mean) * cache.inv_std
    return cache.gamma * cache.inv_std * (dout - dbeta / m - x_hat * (dgamma / m))


picture_moments = public_function("picture_moments", numpy=picture_moments_numpy, numba=picture_moments_numba)
gradient_sums = public_function("gradient_sums", numpy=gradient_sums_numpy, numba=gradient_sums_numba)
input_gradient = public_function("input_gradient", numpy=input_gradient_numpy, numba=input_gradient_numba)
