"""The choice of the algorithm for a convolution: "direct", or one of Winograd's by name.

The choice depends on shapes only, so it is the same on every machine. All algorithms consist mostly of multiply-adds.
Other work is counted as the number of multiply-adds that take the same time. The costs were fitted to measurements on
machines with AVX-512 and AVX2, for 1x4 to 512x512 channels and 8x8 to 360x480 pixels. Rough costs suffice, because a
wrong choice between two equally fast algorithms costs no time.
"""

from functools import lru_cache
from math import prod

from . import winograd

LANES = 16  # channels are processed in vectors, so 11 channels cost as much as 16
TILE_ROW = 4  # the overhead of a register tile, in steps of its inner loop
TRANSFORM = 4  # per value of V or M and per tap, since more taps need longer sums
WEIGHT_TRANSFORM = 24  # per value of U and per tap, and for reading U, which is larger than the caches
LEAST_PIXELS = 192 * 36  # with fewer outputs, F(6x6, 3x3) gained no time, and it rounds more
START_DIRECT, START_WINOGRAD = 1_000_000, 1_900_000  # the compiled functions take 10 and 18 microseconds to start

MOST_KEPT = 1 << 20  # values of U that inference keeps; in wider layers, U takes little of the time and much memory
REMEMBERED = 1024  # choices, each of which takes as long as launching a kernel


def _whole_vectors(channels):
    return -(-channels // LANES) * LANES


def convolution_costs(weight_shape, stride, out_shape, *, inference=False):
    """Return {name: multiply-adds} for a forward, or for dx if the shapes are those of the rotated weight.

    Inference usually keeps the transformed weight, which then costs nothing.
    """
    KH, KW, C, F = weight_shape
    costs = {"direct": START_DIRECT + prod(out_shape[:3]) * (KH * KW * C + TILE_ROW) * _whole_vectors(F)}
    return costs | _winograd_costs(weight_shape, stride, out_shape, inference)


def weight_gradient_costs(weight_shape, stride, out_shape):
    """Return {name: multiply-adds} for dweight."""
    KH, KW, C, F = weight_shape
    rows = -(-KW * C // 6) * 6
    costs = {"direct": 2 * START_DIRECT + prod(out_shape[:3]) * KH * rows * _whole_vectors(F)}
    return costs | _winograd_costs(weight_shape, stride, out_shape)


def _winograd_costs(weight_shape, stride, out_shape, inference=False):
    return {name: _winograd_cost(name, weight_shape, out_shape, inference)
            for name in winograd.algorithms_for(weight_shape, stride)}  # fmt: skip


def _winograd_cost(name, weight_shape, out_shape, inference):
    tiles, (C, F) = winograd.Tiles(name, out_shape, weight_shape[0]), weight_shape[2:]
    transformed_weight = tiles.pieces**2 * tiles.num_points * C * _whole_vectors(F)
    transforms = tiles.total * tiles.num_points * (_whole_vectors(C) + _whole_vectors(F))
    products = max(tiles.total, 6) * transformed_weight
    others = TRANSFORM * transforms
    if not (inference and transformed_weight <= MOST_KEPT):
        others += WEIGHT_TRANSFORM * transformed_weight
    return START_WINOGRAD + products + tiles.algorithm.taps * others


@lru_cache(REMEMBERED)
def choose_convolution(weight_shape, stride, out_shape, *, inference=False):
    """Return the name of the cheapest algorithm for a forward or for dx.

    In inference, F(6x6, 3x3) is left out. `predict` cuts large pictures into tiles that begin at multiples of 4 pixels
    of the smallest feature map, so with squares of 4x4 outputs, rounding does not depend on the cuts.
    """
    return _cheapest(convolution_costs(weight_shape, stride, out_shape, inference=inference), out_shape, inference)


@lru_cache(REMEMBERED)
def choose_weight_gradient(weight_shape, stride, out_shape):
    """Return the name of the cheapest algorithm for dweight."""
    return _cheapest(weight_gradient_costs(weight_shape, stride, out_shape), out_shape)


def _cheapest(costs, out_shape, inference=False):
    if inference or prod(out_shape[:3]) < LEAST_PIXELS:
        costs.pop("winograd_f6x3", None)
    return min(costs, key=costs.__getitem__)
