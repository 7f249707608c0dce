"""Upsampling without parameters, for decoders that do not use the encoder's indices.

    position(i) = i // factor                                            nearest: every pixel is repeated
    position(i) = (i + 1/2) / factor - 1/2, clipped to 0..size - 1       bilinear: i is the centre of a square pixel

    out[i] = sum_j w(i, j) x[j]        dx[j] = sum_i w(i, j) dout[i]        w(i, j) = max(0, 1 - |position(i) - j|)

For each axis, w is a sparse matrix, and backward uses its transpose. scipy multiplies by such matrices so fast that no
kernel is necessary. A position between two pixels blends them. A position on a pixel selects it, so nearest has the
same formula. The factor is a whole number. The positions are those of PyTorch (align_corners=False, with scale_factor)
and of Keras's UpSampling2D.

`output_size` crops at the end: pooling in ceil mode turns 45 rows into 23, and upsampling must restore all 45.
"""

from collections import namedtuple

import numpy as np

from ..errors import ShapeError
from ..runtime import empty
from .array_checks import check_dout, check_pictures, pair
from .op import Op, Variant

UpsampleCache = namedtuple("UpsampleCache", "x_shape dtype factor output_size")


def _check(op, x, factor, output_size):
    """Return the cache, with factor and output_size as pairs."""
    factor = pair(factor)
    check_pictures(op, x)
    if min(factor) < 1:
        raise ShapeError(f"{op}: the factor must be at least 1, got {factor}")
    (least_H, H), (least_W, W) = [((n - 1) * f + 1, n * f) for n, f in zip(x.shape[1:3], factor, strict=True)]
    output_size = (H, W) if output_size is None else pair(output_size)
    if not (least_H <= output_size[0] <= H and least_W <= output_size[1] <= W):
        raise ShapeError(f"{op}: {x.shape[1]} x {x.shape[2]} pixels and factor {factor} allow an output_size of "
                         f"{least_H}..{H} rows and {least_W}..{W} columns, got {output_size}")  # fmt: skip
    return UpsampleCache(x.shape, x.dtype, factor, output_size)


def _check_dout(op, dout, cache):
    (N, _, _, C), dtype, _, output_size = cache
    check_dout(op, dout, (N, *output_size, C), dtype)


def _nearest(size, factor, output_size):
    return np.arange(output_size) // factor


def _bilinear(size, factor, output_size):
    return np.clip((np.arange(output_size) + 0.5) / factor - 0.5, 0, size - 1)


def _weights(position, cache):
    """Return the weights of all pixels of x in all pixels of the output, a sparse matrix (H' * W', H * W)."""
    from scipy import sparse  # imported here because it is slow to import

    def along(n, factor, output_size):
        w = np.maximum(0, 1 - np.abs(position(n, factor, output_size)[:, None] - np.arange(n)))
        return sparse.csr_matrix(w.astype(cache.dtype))

    rows, columns = map(along, cache.x_shape[1:3], cache.factor, cache.output_size)
    return sparse.kron(rows, columns, format="csr")  # w(i, j) of the rows times that of the columns


def _multiply(matrix, pictures, size):
    """Multiply each picture (H * W, C) by the matrix, in one thread and therefore always in the same order."""
    N, _, _, C = pictures.shape
    out = empty((N, *size, C), pictures.dtype)
    for target, picture in zip(out, pictures, strict=True):
        target[...] = (matrix @ picture.reshape(-1, C)).reshape(target.shape)
    return out


def upsample_nearest2d_forward_numpy(x, *, factor=2, output_size=None):
    """Repeat every pixel `factor` times in both directions.

    Args:
        x: (N, H, W, C).
        factor: a whole number, or (rows, columns).
        output_size: (H', W'), to which factor * (H, W) is cropped at the end, or None for no cropping.

    Returns:
        out (N, H', W', C), and the cache.
    """
    cache = _check("upsample_nearest2d", x, factor, output_size)
    return _multiply(_weights(_nearest, cache), x, cache.output_size), cache


def upsample_nearest2d_backward_numpy(dout, cache):
    """Return dx (N, H, W, C), the sums of dout (N, H', W', C) over the copies of each pixel."""
    _check_dout("upsample_nearest2d", dout, cache)
    # forward: out = weights @ x    so: dx = weights^T @ dout
    return _multiply(_weights(_nearest, cache).T, dout, cache.x_shape[1:3])


def upsample_bilinear2d_forward_numpy(x, *, factor=2, output_size=None):
    """Interpolate linearly between neighbouring pixels, along the rows and along the columns.

    Arguments and results are those of `upsample_nearest2d_forward`.
    """
    cache = _check("upsample_bilinear2d", x, factor, output_size)
    return _multiply(_weights(_bilinear, cache), x, cache.output_size), cache


def upsample_bilinear2d_backward_numpy(dout, cache):
    """Return dx (N, H, W, C) for dout (N, H', W', C)."""
    _check_dout("upsample_bilinear2d", dout, cache)
    return _multiply(_weights(_bilinear, cache).T, dout, cache.x_shape[1:3])


UPSAMPLE_NEAREST2D = Op("upsample_nearest2d", cache=UpsampleCache, differentiable=("x",),
    numpy=Variant(upsample_nearest2d_forward_numpy, upsample_nearest2d_backward_numpy))  # fmt: skip
upsample_nearest2d_forward, upsample_nearest2d_backward = UPSAMPLE_NEAREST2D.forward, UPSAMPLE_NEAREST2D.backward
UPSAMPLE_BILINEAR2D = Op("upsample_bilinear2d", cache=UpsampleCache, differentiable=("x",),
    numpy=Variant(upsample_bilinear2d_forward_numpy, upsample_bilinear2d_backward_numpy))  # fmt: skip
upsample_bilinear2d_forward, upsample_bilinear2d_backward = UPSAMPLE_BILINEAR2D.forward, UPSAMPLE_BILINEAR2D.backward
