"""Which way a convolution goes: `direct` or `winograd`. Known from the shapes alone, so the same everywhere.

Both ways are mostly multiply-adds, and the rest is counted in the time of so many multiply-adds. The prices were fitted
to measurements (2 threads of an AVX-512 machine, 1x4 to 512x512 channels, 8x8 to 180x240 pixels); they only have to be
right enough for the choice, and where both ways take the same time a wrong choice costs nothing.
"""

from __future__ import annotations

from math import prod

from . import winograd

__all__ = ["choose_convolution", "choose_weight_gradient", "convolution_costs", "weight_gradient_costs"]

LANES = 16  # channels come in vectors: 11 cost as much as 16
TILE_ROW = 8  # to begin and end a register tile, in steps of its inner loop
TRANSFORM = 4  # of one number of V or M, for each tap: the sums become longer
KERNEL_TRANSFORM = 8  # of one number of U, for each tap
START_DIRECT, START_WINOGRAD = 1_000_000, 1_900_000  # to start the kernels: 10 and 18 microseconds


def _vectors(channels):
    return -(-channels // LANES) * LANES


def convolution_costs(weight_shape, stride, out_shape):
    """{"direct": multiply-adds, "winograd": if it serves} of a forward; or of dx, with its kernel's shape."""
    KH, KW, C, F = weight_shape
    costs = {"direct": START_DIRECT + prod(out_shape[:3]) * KH * (KW * C + TILE_ROW) * _vectors(F)}
    return costs | _winograd(weight_shape, stride, out_shape)


def weight_gradient_costs(weight_shape, stride, out_shape):
    """The same for dweight."""
    KH, KW, C, F = weight_shape
    rows = -(-KW * C // 6) * 6
    costs = {"direct": 2 * START_DIRECT + prod(out_shape[:3]) * KH * rows * _vectors(F)}
    return costs | _winograd(weight_shape, stride, out_shape)


def _winograd(weight_shape, stride, out_shape):
    if not winograd.serves(weight_shape, stride):
        return {}
    tiles = winograd.Tiles(out_shape, weight_shape[0])
    C, F = weight_shape[2:]
    kernels = tiles.pieces**2 * tiles.points * C * _vectors(F)
    transforms = tiles.total * tiles.points * (_vectors(C) + _vectors(F))
    products = max(tiles.total, 6) * kernels
    return {"winograd": START_WINOGRAD + products + tiles.taps * (TRANSFORM * transforms + KERNEL_TRANSFORM * kernels)}


def choose_convolution(weight_shape, stride, out_shape):
    """ "direct" or "winograd": the cheaper one."""
    costs = convolution_costs(weight_shape, stride, out_shape)
    return min(costs, key=costs.__getitem__)


def choose_weight_gradient(weight_shape, stride, out_shape):
    """ "direct" or "winograd": the cheaper one."""
    costs = weight_gradient_costs(weight_shape, stride, out_shape)
    return min(costs, key=costs.__getitem__)
