"""Batch normalisation: every channel is brought to mean 0 and variance 1, then scaled and shifted as the net likes.

    mean = average of x over n, y, x        var = average of (x - mean)^2       m = N*H*W numbers a channel
    x_hat = (x - mean) / sqrt(var + eps)
    out   = gamma * x_hat + beta

Backward, with mean and var depending on x:

    dbeta  = sum of dout        dgamma = sum of dout * x_hat
    dx     = gamma / sqrt(var + eps) * (dout - dbeta / m - x_hat * dgamma / m)

The two subtracted terms take out what dout would do to the mean and to the variance: the normalisation undoes
it anyway. With given statistics (`mean`, `var`: at test time) they are constants, and both terms vanish.

Ioffe & Szegedy 2015, algorithm 1. The variance is computed in two passes: mean(x^2) - mean(x)^2, as in the SegNet
authors' code, loses all its digits in float32 where the mean is large.
"""

from __future__ import annotations

import numpy as np

from ..backend import fastest, kernel, prange
from ..errors import ShapeError
from .arguments import require_dout, require_floats

__all__ = ["batchnorm2d_backward", "batchnorm2d_forward"]


def _check(x, gamma, beta, mean, var):
    per_channel = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
    shapes = {name: v.shape for name, v in per_channel.items() if v is not None}
    if x.ndim != 4 or 0 in x.shape or any(shape != x.shape[3:] for shape in shapes.values()):
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"batchnorm2d needs x (N, H, W, C), no axis empty, and one number a channel (C,), "
                         f"got x {x.shape}, {given}")  # fmt: skip
    require_floats("batchnorm2d", x=x, **per_channel)
    if (mean is None) != (var is None):
        raise ShapeError("batchnorm2d: give both mean and var, or neither")
    if mean is None and x.size == x.shape[3]:
        raise ShapeError(f"batchnorm2d: x {x.shape} has one number a channel, whose variance is 0: "
                         "train on larger pictures or batches, or give mean and var")  # fmt: skip


# --- NumPy: the definition -------------------------------------------------------------------------------------------


def batchnorm2d_forward_numpy(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    """x (N, H, W, C), gamma, beta (C,) -> (out (N, H, W, C), mean (C,), var (C,)), cache.

    mean, var: None to take them from this batch (training), else the statistics to use (testing). var is the
    biased one, divided by m. Raises ShapeError if shapes do not fit, or if a channel has a single number to normalise.
    """
    _check(x, gamma, beta, mean, var)
    from_batch = mean is None
    if from_batch:
        mean = x.mean((0, 1, 2))
        mean = mean + (x - mean).mean((0, 1, 2))  # what rounding lost in the first sum
        var = ((x - mean) ** 2).mean((0, 1, 2))
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    out = gamma * ((x - mean) * inv_std) + beta
    return (out, mean, var), (x, gamma, mean, inv_std, from_batch)


def batchnorm2d_backward_numpy(dout, cache):
    """dout (N, H, W, C) -> dx (N, H, W, C), dgamma (C,), dbeta (C,)."""
    x, gamma, mean, inv_std, from_batch = cache
    require_dout("batchnorm2d", dout, x.shape, x.dtype)
    x_hat = (x - mean) * inv_std
    dbeta, dgamma = dout.sum((0, 1, 2)), (dout * x_hat).sum((0, 1, 2))
    if not from_batch:
        return gamma * inv_std * dout, dgamma, dbeta
    m = x.size // x.shape[3]
    return gamma * inv_std * (dout - dbeta / m - x_hat * (dgamma / m)), dgamma, dbeta


# --- numba -----------------------------------------------------------------------------------------------------------
# Sums run row by row of the picture, each row by one task, and the rows' sums are added in order: the result does not
# depend on the number of threads, and short sums round less than one long one.


@kernel
def _moments(x, center, row_sums, row_squares):
    """Row sums of d = x - center and of d*d."""
    N, H, W, C = x.shape
    for row in prange(N * H):
        sums, squares, pixels = row_sums[row], row_squares[row], x[row // H, row % H]
        sums[:] = 0
        squares[:] = 0
        for column in range(W):
            for c in range(C):
                d = pixels[column, c] - center[c]
                sums[c] += d
                squares[c] += d * d


@kernel
def _normalize(x, mean, inv_std, gamma, beta, out):
    N, H, W, C = x.shape
    for row in prange(N * H):
        pixels, result = x[row // H, row % H], out[row // H, row % H]
        for column in range(W):
            for c in range(C):
                result[column, c] = gamma[c] * ((pixels[column, c] - mean[c]) * inv_std[c]) + beta[c]


@kernel
def _gradient_sums(x, dout, mean, inv_std, row_dbeta, row_dgamma):
    N, H, W, C = x.shape
    for row in prange(N * H):
        dbeta, dgamma, pixels, grads = row_dbeta[row], row_dgamma[row], x[row // H, row % H], dout[row // H, row % H]
        dbeta[:] = 0
        dgamma[:] = 0
        for column in range(W):
            for c in range(C):
                dbeta[c] += grads[column, c]
                dgamma[c] += grads[column, c] * ((pixels[column, c] - mean[c]) * inv_std[c])


@kernel
def _input_gradient(dout, x, mean, inv_std, scale, shift, slope, dx):
    """dx = scale * (dout - shift - x_hat * slope)"""
    N, H, W, C = x.shape
    for row in prange(N * H):
        pixels, grads, result = x[row // H, row % H], dout[row // H, row % H], dx[row // H, row % H]
        for column in range(W):
            for c in range(C):
                x_hat = (pixels[column, c] - mean[c]) * inv_std[c]
                result[column, c] = scale[c] * (grads[column, c] - shift[c] - x_hat * slope[c])


def _total(two_sums_per_row, x, *arguments):
    """Run a kernel on x that leaves two sums for each row of the picture; -> their totals, (2, C)."""
    row_sums = np.empty((2, x.shape[0] * x.shape[1], x.shape[3]), x.dtype)
    two_sums_per_row(x, *arguments, *row_sums)
    return row_sums.sum(1)


def batchnorm2d_forward_numba(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    """three passes over x: mean, variance, normalise; a task takes a row of the picture."""
    _check(x, gamma, beta, mean, var)
    x, from_batch = np.ascontiguousarray(x), mean is None
    if from_batch:
        m = x.size // x.shape[3]
        mean = _total(_moments, x, np.zeros_like(gamma))[0] / m
        lost, squares = _total(_moments, x, mean) / m
        mean, var = mean + lost, squares - lost * lost
    inv_std, out = 1 / np.sqrt(var + x.dtype.type(eps)), np.empty_like(x)
    _normalize(x, *map(np.ascontiguousarray, (mean, inv_std, gamma, beta)), out)
    return (out, mean, var), (x, gamma, mean, inv_std, from_batch)


def batchnorm2d_backward_numba(dout, cache):
    """two passes: the sums, then dx."""
    x, gamma, mean, inv_std, from_batch = cache
    require_dout("batchnorm2d", dout, x.shape, x.dtype)
    x, dout, mean, inv_std = map(np.ascontiguousarray, (x, dout, mean, inv_std))
    dbeta, dgamma = _total(_gradient_sums, x, dout, mean, inv_std)
    if not from_batch:
        return gamma * inv_std * dout, dgamma, dbeta
    terms = np.stack([dbeta, dgamma]) / (x.size // x.shape[3])
    dx = np.empty_like(x)
    _input_gradient(dout, x, mean, inv_std, gamma * inv_std, *terms.astype(x.dtype), dx)
    return dx, dgamma, dbeta


batchnorm2d_forward = fastest(batchnorm2d_forward_numba, batchnorm2d_forward_numpy)
batchnorm2d_backward = fastest(batchnorm2d_backward_numba, batchnorm2d_backward_numpy)
