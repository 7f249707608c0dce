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

Source: Ioffe & Szegedy 2015, algorithm 1. The definition computes the variance in two passes. In float32, the one-pass
formula of the SegNet authors' code, mean(x^2) - mean(x)^2, loses all digits if the mean is large. The kernels read x
once: they subtract a number close to the mean first.
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from ..runtime import empty_like, kernel, prange
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
        mean, var = batchnorm2d_statistics_numpy(x)
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    out = gamma * ((x - mean) * inv_std) + beta
    return (out, mean, var), BatchNorm2dCache(x, gamma, beta, mean, inv_std, from_batch)


def batchnorm2d_statistics_numpy(x):
    """Return the mean (C,) and the biased variance (C,) of x (N, H, W, C)."""
    mean_0 = x.mean((0, 1, 2))
    mean = mean_0 + (x - mean_0).mean((0, 1, 2))  # the second term corrects the rounding of the first
    return mean, ((x - mean) ** 2).mean((0, 1, 2))


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
# The kernels view an array (N, H, W, C) as (tasks, tiles, numbers). A tile has a few whole pixels, and the values per
# channel are repeated for each of its pixels. So the inner loops are long for any number of channels, and the compiler
# vectorises them. The sums of the tasks are added in order, so the result does not depend on the number of threads, and
# short sums accumulate less rounding error than a long one.

TILE = 256  # numbers in a tile, if a pixel has at most that many channels
TILES = 128  # in a task


@kernel
def _moments(x, tiles, means, squares):
    """Compute the mean and the sum of squared differences from it for each task and channel.

    x is (tasks, pixels, C), and `tiles` has the same numbers as (tasks, tiles, numbers). With d = x - shift, the mean
    is shift + average of d, and the sum is sum of d^2 - (sum of d)^2 / pixels. The shift is the mean of the first tile,
    so few digits cancel, and the task reads its numbers once.
    """
    tasks, pixels, C = x.shape
    count, size = tiles.shape[1:]
    in_tile, in_task = x.dtype.type(size // C), x.dtype.type(pixels)
    for task in prange(tasks):
        shift, sums, products = np.empty(size, x.dtype), np.zeros(size, x.dtype), np.zeros(size, x.dtype)
        for c in range(C):
            means[task, c] = 0
        for p in range(size // C):
            for c in range(C):
                means[task, c] += x[task, p, c]
        shifts = shift.reshape(-1, C)
        for p in range(size // C):
            for c in range(C):
                shifts[p, c] = means[task, c] / in_tile
        for t in range(count):
            for k in range(size):
                d = tiles[task, t, k] - shift[k]
                sums[k] += d
                products[k] += d * d
        _add_pixels(sums, means, task)
        _add_pixels(products, squares, task)
        for c in range(C):
            squares[task, c] -= means[task, c] * means[task, c] / in_task
            means[task, c] = shift[c] + means[task, c] / in_task


@kernel(inline=True)
def _add_pixels(tile, totals, task):
    """Set the totals (tasks, C) of a task to the sums of the pixels of a tile."""
    C = totals.shape[1]
    pixels = tile.reshape(-1, C)
    for c in range(C):
        totals[task, c] = 0
    for p in range(len(pixels)):
        for c in range(C):
            totals[task, c] += pixels[p, c]


@kernel
def _normalize(x, mean, scale, beta, relu, out):
    """Compute out = (x - mean) * scale + beta, and then ReLU if relu is True."""
    (tasks, tiles, size), zero = x.shape, x.dtype.type(0)
    for task in prange(tasks):
        for t in range(tiles):
            for k in range(size):
                value = (x[task, t, k] - mean[k]) * scale[k] + beta[k]
                out[task, t, k] = zero if relu and value <= zero else value  # NaN <= 0 is False, so a NaN stays NaN


@kernel
def _gradient_sums(x, dout, mean, scale, beta, relu, dbeta, products):
    """Sum dout and dout * (x - mean) over the pixels of each task."""
    (tasks, tiles, size), zero = x.shape, x.dtype.type(0)
    for task in prange(tasks):
        sum_dout, sum_product = np.zeros(size, x.dtype), np.zeros(size, x.dtype)
        for t in range(tiles):
            for k in range(size):
                centred = x[task, t, k] - mean[k]
                d = zero if relu and centred * scale[k] + beta[k] <= zero else dout[task, t, k]
                sum_dout[k] += d
                sum_product[k] += d * centred
        _add_pixels(sum_dout, dbeta, task)
        _add_pixels(sum_product, products, task)


@kernel
def _input_gradient(dout, x, mean, scale, beta, relu, mean_dout, slope, dx):
    """Compute dx = scale * (dout - mean_dout - (x - mean) * slope)."""
    (tasks, tiles, size), zero = x.shape, x.dtype.type(0)
    for task in prange(tasks):
        for t in range(tiles):
            for k in range(size):
                centred = x[task, t, k] - mean[k]
                d = zero if relu and centred * scale[k] + beta[k] <= zero else dout[task, t, k]
                dx[task, t, k] = scale[k] * (d - mean_dout[k] - centred * slope[k])


def _divisor(number, most):
    """Return the largest divisor that is not above `most`."""
    return next(d for d in range(min(number, most), 0, -1) if number % d == 0)


def _split(x):
    """Return the shape (tasks, tiles, numbers) for x."""
    C, pixels = x.shape[3], x.size // x.shape[3]
    in_tile = _divisor(pixels, max(TILE // C, 1))
    return -1, _divisor(pixels // in_tile, TILES), in_tile * C


def _repeat(x, shape, *per_channel):
    """Repeat each array (C,) for every pixel of a tile."""
    tiles = np.empty((len(per_channel), shape[2] // x.shape[3], x.shape[3]), x.dtype)
    for tile, values in zip(tiles, per_channel, strict=True):
        tile[...] = values
    return tiles.reshape(len(per_channel), -1)


def batchnorm2d_statistics_numba(x):
    """Combine the moments of tasks of equal size into the moments of each channel (Chan, Golub & LeVeque 1979).

    The mean is the average of the tasks' means, and the variance is the average of their variances plus the variance of
    their means.
    """
    tiles = x.reshape(_split(x))
    tasks, C = len(tiles), x.shape[3]
    means, squares = np.empty((2, tasks, C), x.dtype)
    _moments(x.reshape(tasks, -1, C), tiles, means, squares)
    mean = means.sum(0) / x.dtype.type(tasks)
    mean = mean + (means - mean).sum(0) / x.dtype.type(tasks)
    squares_of_means = ((means - mean) ** 2).sum(0)
    return mean, squares.sum(0) / x.dtype.type(x.size // C) + squares_of_means / x.dtype.type(tasks)


def gradient_sums_numba(dout, cache, *, relu=False):
    """Compute dbeta and dgamma, (C,)."""
    x, gamma, beta, mean, inv_std, _ = cache
    tiles, dout = (np.ascontiguousarray(array).reshape(_split(x)) for array in (x, dout))
    sums = np.empty((2, len(tiles), len(mean)), x.dtype)
    _gradient_sums(tiles, dout, *_repeat(x, tiles.shape, mean, gamma * inv_std, beta), relu, *sums)
    dbeta, products = sums.sum(1)
    return dbeta, products * inv_std


def input_gradient_numba(dout, cache, dbeta, dgamma, *, m, relu=False):
    """Compute dx, given the sums (C,) over all m pixels of the batch."""
    x, gamma, beta, mean, inv_std, _ = cache
    shape, dout, m = _split(x), np.ascontiguousarray(dout), x.dtype.type(m)
    tiles, dx = np.ascontiguousarray(x).reshape(shape), empty_like(dout)
    per_channel = _repeat(x, shape, mean, gamma * inv_std, beta, dbeta / m, dgamma / m * inv_std)
    _input_gradient(dout.reshape(shape), tiles, *per_channel[:3], relu, *per_channel[3:], dx.reshape(shape))
    return dx


def _fast(relu):
    """Return forward and backward, with or without ReLU in the normalising pass."""

    def forward(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
        """Compute the statistics in one read, then normalise in a read and a write."""
        _check(x, gamma, beta, mean, var)
        x, from_batch = np.ascontiguousarray(x), mean is None
        if from_batch:
            mean, var = batchnorm2d_statistics_numba(x)
        inv_std, out, shape = 1 / np.sqrt(var + x.dtype.type(eps)), empty_like(x), _split(x)
        per_channel = _repeat(x, shape, mean, gamma * inv_std, beta)
        _normalize(x.reshape(shape), *per_channel, relu, out.reshape(shape))
        return (out, mean, var), BatchNorm2dCache(x, gamma, beta, mean, inv_std, from_batch)

    def backward(dout, cache):
        """Compute the sums in two reads, then dx in two reads and a write. ReLU's mask is recomputed from x."""
        check_dout("batchnorm2d_relu" if relu else "batchnorm2d", dout, cache.x.shape, cache.x.dtype)
        dbeta, dgamma = gradient_sums_numba(dout, cache, relu=relu)
        if cache.from_batch:
            return input_gradient_numba(dout, cache, dbeta, dgamma, m=dout.size // len(dbeta), relu=relu), dgamma, dbeta
        return cache.gamma * cache.inv_std * (np.where(relu_mask(cache), 0, dout) if relu else dout), dgamma, dbeta

    return Variant(forward, backward)


BATCHNORM2D = Op("batchnorm2d", cache=BatchNorm2dCache, differentiable=("x", "gamma", "beta"),
                 numpy=Variant(batchnorm2d_forward_numpy, batchnorm2d_backward_numpy),
                 numba=_fast(relu=False))  # fmt: skip
batchnorm2d_forward, batchnorm2d_backward = BATCHNORM2D.forward, BATCHNORM2D.backward
BATCHNORM2D_RELU = Op("batchnorm2d_relu", cache=BatchNorm2dCache, differentiable=("x", "gamma", "beta"),
                      numpy=Variant(batchnorm2d_relu_forward_numpy, batchnorm2d_relu_backward_numpy),
                      numba=_fast(relu=True))  # fmt: skip
batchnorm2d_relu_forward, batchnorm2d_relu_backward = BATCHNORM2D_RELU.forward, BATCHNORM2D_RELU.backward
