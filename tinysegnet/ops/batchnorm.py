"""Batch normalisation: scale each channel to mean 0 and variance 1, then apply a learned scale and shift.

    mean = average of x over n, u, v        var = average of (x - mean)^2       m = N*H*W values per channel
    x_hat = (x - mean) / sqrt(var + eps)
    out   = gamma * x_hat + beta

The mean is computed twice: mean_0 = average of x, and mean = mean_0 + average of (x - mean_0). In exact arithmetic, the
second term is 0. In float32, it is the rounding error of the first average, which is large if all x are far from 0.

In backward, mean and var depend on x:

    dbeta  = sum of dout        dgamma = sum of dout * x_hat
    dx     = gamma / sqrt(var + eps) * (dout - dbeta / m - x_hat * dgamma / m)

The two subtracted terms remove the parts of the gradient that would only change the mean or the variance, because the
normalisation undoes such changes. In inference, `mean` and `var` are given constants, so both terms vanish.

`batchnorm2d_relu` also applies ReLU, out = max(out, 0), in the same passes over memory. The three passes of forward and
the five of backward determine the running time of both ops.

Source: Ioffe & Szegedy 2015, algorithm 1. The variance is computed in two passes. In float32, the one-pass formula of
the SegNet authors' code, mean(x^2) - mean(x)^2, loses all digits if the mean is large.
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from ..runtime import empty, empty_like, kernel, prange
from .array_checks import check_dout, check_floats
from .op import Op, Variant

# from_batch: whether mean and inv_std were computed from x
BatchNorm2dCache = namedtuple("BatchNorm2dCache", "x gamma beta mean inv_std from_batch")


def _check(x, gamma, beta, mean, var):
    per_channel = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
    shapes = {name: v.shape for name, v in per_channel.items() if v is not None}
    if x.ndim != 4 or 0 in x.shape or any(shape != x.shape[3:] for shape in shapes.values()):
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"batchnorm2d needs x (N, H, W, C) with no empty axis, and one value per channel elsewhere, "
                         f"got x {x.shape}, {given}")  # fmt: skip
    check_floats("batchnorm2d", x=x, **per_channel)
    if (mean is None) != (var is None):
        raise ShapeError("batchnorm2d: give both mean and var, or neither")
    if mean is None and x.size == x.shape[3]:
        raise ShapeError(f"batchnorm2d: x {x.shape} has only one value per channel, so its variance is 0. "
                         "Train on larger pictures or batches, or give mean and var.")  # fmt: skip


def batchnorm2d_forward_numpy(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    """Normalise each channel, then scale and shift it.

    Args:
        x: (N, H, W, C).
        gamma: the scale, (C,).
        beta: the shift, (C,).
        mean, var: the statistics to use in inference, (C,), or None to compute them from the batch, as in training.
        eps: a small constant added to the variance.

    Returns:
        The tuple (out (N, H, W, C), mean (C,), var (C,)), and the cache. var is the biased variance with divisor m.
    """
    _check(x, gamma, beta, mean, var)
    from_batch = mean is None
    if from_batch:
        mean_0 = x.mean((0, 1, 2))
        mean = mean_0 + (x - mean_0).mean((0, 1, 2))  # the second term corrects the rounding of the first
        var = ((x - mean) ** 2).mean((0, 1, 2))
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    out = gamma * ((x - mean) * inv_std) + beta
    return (out, mean, var), BatchNorm2dCache(x, gamma, beta, mean, inv_std, from_batch)


def batchnorm2d_backward_numpy(dout, cache):
    """Return dx (N, H, W, C), dgamma (C,) and dbeta (C,) for dout (N, H, W, C)."""
    x, gamma, _, mean, inv_std, from_batch = cache
    check_dout("batchnorm2d", dout, x.shape, x.dtype)
    x_hat = (x - mean) * inv_std
    # forward: out = gamma * x_hat + beta    so: dbeta = sum dout,  dgamma = sum dout * x_hat,  dx_hat = gamma * dout
    dbeta, dgamma = dout.sum((0, 1, 2)), (dout * x_hat).sum((0, 1, 2))
    if not from_batch:  # given statistics are constants, so no gradient flows through them
        return gamma * inv_std * dout, dgamma, dbeta
    # forward: x_hat = (x - mean) * inv_std, and mean and inv_std depend on x    so: the parts of dx_hat that would only
    #          move the mean and the variance are subtracted
    m = x.size // x.shape[3]
    return gamma * inv_std * (dout - dbeta / m - x_hat * (dgamma / m)), dgamma, dbeta


def batchnorm2d_relu_forward_numpy(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    """Apply batch normalisation, then ReLU. Arguments and results are those of `batchnorm2d_forward`."""
    (normalized, mean, var), cache = batchnorm2d_forward_numpy(x, gamma, beta, mean=mean, var=var, eps=eps)
    return (np.where(normalized <= 0, 0, normalized), mean, var), cache


def batchnorm2d_relu_backward_numpy(dout, cache):
    """Return dx (N, H, W, C), dgamma (C,) and dbeta (C,) for dout (N, H, W, C)."""
    check_dout("batchnorm2d_relu", dout, cache.x.shape, cache.x.dtype)
    # forward: out = normalized where normalized > 0    so: dnormalized = dout there, and 0 elsewhere
    return batchnorm2d_backward_numpy(np.where(relu_mask(cache), 0, dout), cache)


def relu_mask(cache):
    """Return a mask (N, H, W, C), True where ReLU returns 0. Recomputing this mask is cheaper than storing it."""
    x, gamma, beta, mean, inv_std, _ = cache
    return gamma * ((x - mean) * inv_std) + beta <= 0


# --- numba -----------------------------------------------------------------------------------------------------------
# A task processes one row of the picture, and the sums of the rows are added in order. Therefore the result does not
# depend on the number of threads, and short sums accumulate less rounding error than a long one. The statistics read
# each row twice, but from memory only once, because it stays in the processor's cache.


@kernel
def _moments(x, row_means, row_squares):
    """Compute the mean and the sum of squared differences from it for each row and channel."""
    N, H, W, C = x.shape
    for row in prange(N * H):
        mean, squares, pixels = row_means[row], row_squares[row], x[row // H, row % H]
        lost = np.zeros(C, x.dtype)
        mean[:] = 0
        squares[:] = 0
        for column in range(W):
            for c in range(C):
                mean[c] += pixels[column, c]
        for c in range(C):
            mean[c] /= W
        for column in range(W):
            for c in range(C):
                d = pixels[column, c] - mean[c]
                lost[c] += d
                squares[c] += d * d
        for c in range(C):  # correct the rounding of the first sum
            mean[c] += lost[c] / W
            squares[c] -= lost[c] * lost[c] / W


@kernel
def _normalize(x, mean, inv_std, gamma, beta, relu, out):
    N, H, W, C = x.shape
    for row in prange(N * H):
        pixels, result = x[row // H, row % H], out[row // H, row % H]
        for column in range(W):
            for c in range(C):
                value = gamma[c] * ((pixels[column, c] - mean[c]) * inv_std[c]) + beta[c]
                result[column, c] = 0 if relu and value <= 0 else value  # NaN <= 0 is False, so a NaN stays NaN


@kernel(inline=True)
def _sum_columns(pixels, grads, first, count, mean, inv_std, gamma, beta, relu, dbeta, dgamma):
    """Add `count` pixels to the sums. ReLU passes a gradient on where its input was positive."""
    for c in range(dbeta.size):
        sum_dout, sum_product = dbeta[c], dgamma[c]
        for column in range(first, first + count):
            x_hat = (pixels[column, c] - mean[c]) * inv_std[c]
            d = 0 if relu and gamma[c] * x_hat + beta[c] <= 0 else grads[column, c]
            sum_dout += d
            sum_product += d * x_hat
        dbeta[c], dgamma[c] = sum_dout, sum_product


@kernel
def _gradient_sums(x, dout, mean, inv_std, gamma, beta, relu, row_dbeta, row_dgamma):
    """Sum dout and dout * x_hat over each row."""
    N, H, W, _ = x.shape
    for row in prange(N * H):
        dbeta, dgamma, pixels, grads = row_dbeta[row], row_dgamma[row], x[row // H, row % H], dout[row // H, row % H]
        dbeta[:] = 0
        dgamma[:] = 0
        for first in range(0, W - 3, 4):  # a channel's values are loaded once for four pixels
            _sum_columns(pixels, grads, first, 4, mean, inv_std, gamma, beta, relu, dbeta, dgamma)
        for column in range(W // 4 * 4, W):
            _sum_columns(pixels, grads, column, 1, mean, inv_std, gamma, beta, relu, dbeta, dgamma)


@kernel
def _input_gradient(dout, x, mean, inv_std, gamma, beta, relu, mean_dout, mean_product, dx):
    """Compute dx = gamma * inv_std * (dout - mean_dout - x_hat * mean_product)."""
    N, H, W, C = x.shape
    for row in prange(N * H):
        pixels, grads, result = x[row // H, row % H], dout[row // H, row % H], dx[row // H, row % H]
        for column in range(W):
            for c in range(C):
                x_hat = (pixels[column, c] - mean[c]) * inv_std[c]
                d = 0 if relu and gamma[c] * x_hat + beta[c] <= 0 else grads[column, c]
                result[column, c] = gamma[c] * inv_std[c] * (d - mean_dout[c] - x_hat * mean_product[c])


def _statistics(x):
    """Combine the moments of rows of equal length into the moments of each channel (Chan, Golub & LeVeque 1979)."""
    rows = empty((2, x.shape[0] * x.shape[1], x.shape[3]), x.dtype)
    _moments(x, *rows)
    mean = rows[0].mean(0)
    mean = mean + (rows[0] - mean).mean(0)
    return mean, rows[1].mean(0) / x.shape[2] + ((rows[0] - mean) ** 2).mean(0)


def _fast(relu):
    """Return forward and backward, with or without ReLU in the normalising pass."""

    def forward(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
        """Compute the statistics in one read, then normalise in a read and a write."""
        _check(x, gamma, beta, mean, var)
        x, from_batch = np.ascontiguousarray(x), mean is None
        if from_batch:
            mean, var = _statistics(x)
        inv_std, out = 1 / np.sqrt(var + x.dtype.type(eps)), empty_like(x)
        mean_, inv_std, gamma, beta = map(np.ascontiguousarray, (mean, inv_std, gamma, beta))
        _normalize(x, mean_, inv_std, gamma, beta, relu, out)
        return (out, mean, var), BatchNorm2dCache(x, gamma, beta, mean_, inv_std, from_batch)

    def backward(dout, cache):
        """Compute the sums in two reads, then dx in two reads and a write. ReLU's mask is recomputed from x."""
        check_dout("batchnorm2d_relu" if relu else "batchnorm2d", dout, cache.x.shape, cache.x.dtype)
        x, gamma, beta, mean, inv_std = map(np.ascontiguousarray, cache[:5])
        dout, rows = np.ascontiguousarray(dout), empty((2, x.shape[0] * x.shape[1], x.shape[3]), x.dtype)
        _gradient_sums(x, dout, mean, inv_std, gamma, beta, relu, *rows)
        dbeta, dgamma = rows.sum(1)
        if not cache.from_batch:
            return gamma * inv_std * (np.where(relu_mask(cache), 0, dout) if relu else dout), dgamma, dbeta
        mean_dout, mean_product = (np.stack([dbeta, dgamma]) / (x.size // x.shape[3])).astype(x.dtype)
        dx = empty_like(x)
        _input_gradient(dout, x, mean, inv_std, gamma, beta, relu, mean_dout, mean_product, dx)
        return dx, dgamma, dbeta

    return Variant(forward, backward)


BATCHNORM2D = Op("batchnorm2d", cache=BatchNorm2dCache, differentiable=("x", "gamma", "beta"),
                 numpy=Variant(batchnorm2d_forward_numpy, batchnorm2d_backward_numpy),
                 numba=_fast(relu=False))  # fmt: skip
batchnorm2d_forward, batchnorm2d_backward = BATCHNORM2D.forward, BATCHNORM2D.backward
BATCHNORM2D_RELU = Op("batchnorm2d_relu", cache=BatchNorm2dCache, differentiable=("x", "gamma", "beta"),
                      numpy=Variant(batchnorm2d_relu_forward_numpy, batchnorm2d_relu_backward_numpy),
                      numba=_fast(relu=True))  # fmt: skip
batchnorm2d_relu_forward, batchnorm2d_relu_backward = BATCHNORM2D_RELU.forward, BATCHNORM2D_RELU.backward
