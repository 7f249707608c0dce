"""Convolution with a quarter of the multiplications: Winograd's F(4x4, 3x3), see Lavin & Gray 2015, and F(4x4, 4x4).

One output row of a convolution is a product of polynomials, and a polynomial is known by its values at a few points:
evaluate picture and kernel there, multiply point by point, interpolate. For 4 outputs and r kernel taps, r + 3 points
serve instead of 4 r multiplications; in both directions, 36 points for a 3x3 kernel instead of 144 multiplications.
For a tile of 4x4 output pixels, the (r+3) x (r+3) input pixels d under it, and a kernel g:

    V = B^T d B            values of the picture at the points, for each tile and channel
    U = G g G^T            values of the kernel
    M = sum over c of  V_c * U_c          point by point, so at each point a product of matrices, (tiles x C) @ (C x F)
    out = A^T M A          back to 4x4 pixels

The transforms are sums of a few pixels, and cost less the more channels share them. A kernel larger than 3x3 is cut
into pieces of 4x4 (7x7 into four, with a row and a column of zeros). Piece (a, b) looks at the picture 4a rows and 4b
columns further on: that is the V of another tile, which is there already. 4 * 49 products make 16 outputs, not 16 * 49.

Backward, by the same stairs:

    forward:  M = V U      so:  dU = V^T dM  with  dM = A dout A^T,    and  dweight = G^T dU G
    dx is the convolution of dout with the kernel rotated by 180 degrees, its channels exchanged: the forward again.
      (Its literal transpose, B (dM U^T) B^T, would add up tiles that overlap, and threads would meet there.)

The price is rounding: the transforms hold powers up to 2^5, which amplify it. `tinysegnet bench` shows how far results
are off, beside those of PyTorch's direct sums; tests/ops/test_winograd.py bounds it.
"""

from __future__ import annotations

import numpy as np

from ...runtime import empty, kernel, prange
from .gemm import multiply
from .winograd_transform import ALGORITHMS, MATRICES, winograd_transform

__all__ = ["Tiles", "algorithm_for", "forward", "weight_gradient"]


picture_to_points = winograd_transform({algorithm: B.T for algorithm, (A, B, G) in MATRICES.items()})
gradient_to_points = winograd_transform({algorithm: A for algorithm, (A, B, G) in MATRICES.items()})
points_to_picture = winograd_transform({algorithm: A.T for algorithm, (A, B, G) in MATRICES.items()})
kernel_to_points = winograd_transform({algorithm: G for algorithm, (A, B, G) in MATRICES.items()})
points_to_kernel = winograd_transform({algorithm: G.T for algorithm, (A, B, G) in MATRICES.items()})

# A value at the points (1, 1) alone comes out as a constant on the whole tile, as A[ONE] is all ones: so goes the bias.
ONE = 0
PANEL = 128  # features of a task: wide layers have few tiles, and so still many tasks
TILES = 192  # in hand at a time, at least; so that there are tasks for many threads


@kernel
def _transform_kernel(algorithm, weight, values, pieces, to_points):
    """U = G g G^T: weight (K, K, C, F) -> values (pieces * pieces, points, C, F), K = taps * pieces.

    Or the way back of a gradient, values -> weight: dweight = G^T dU G.
    """
    K, _, C, F = weight.shape
    weight_flat, values_flat, side = weight.reshape(-1), values.reshape(-1), algorithm.side
    taps = K // pieces
    for task in prange(pieces * pieces * C):
        piece, c = task // C, task % C
        tap = ((piece // pieces * K + piece % pieces) * taps * C + c) * F
        point = (piece * side * side * C + c) * F
        if to_points:
            kernel_to_points(algorithm, weight_flat, tap, K * C * F, C * F, values_flat, point, side * C * F, C * F, F)
        else:
            points_to_kernel(algorithm, values_flat, point, side * C * F, C * F, weight_flat, tap, K * C * F, C * F, F)


@kernel(inline=True)
def _cut(picture, n, top, left, side, patch):
    """patch = the side x side pixels at (top, left) of picture n, zeros where that is outside."""
    H, W, C = picture.shape[1:]
    for i in range(side):
        for j in range(side):
            inside = 0 <= top + i < H and 0 <= left + j < W
            for c in range(C):
                patch[i, j, c] = picture[n, top + i, left + j, c] if inside else 0


@kernel
def _picture_to_points(algorithm, picture, values, first, count, grid_y, grid_x, top, left, is_gradient):
    """V = B^T d B (or dM = A dout A^T) of the tiles first, first + 1, ...: values (points, >= count, C).

    Tiles lie 4 pixels apart on a grid whose first one begins `top` and `left` pixels before the picture.
    """
    N, H, W, C = picture.shape
    side = 4 if is_gradient else algorithm.side
    source, target, plane = picture.reshape(-1), values.reshape(-1), values.shape[1] * C
    row = algorithm.side * plane
    for group in prange((count + 7) // 8):  # a task takes 8 tiles
        patch = np.zeros((side, side, C), picture.dtype)
        patch_flat = patch.reshape(-1)
        for t in range(group * 8, min(group * 8 + 8, count)):
            n, y = (first + t) // (grid_y * grid_x), (first + t) // grid_x % grid_y * 4 - top
            x = (first + t) % grid_x * 4 - left
            if n < N and min(x, y) >= 0 and y + side <= H and x + side <= W:
                pixels, start, pixel_row = source, ((n * H + y) * W + x) * C, W * C
            else:  # the tile sticks out of the picture
                _cut(picture, min(n, N - 1), y if n < N else H, x, side, patch)
                pixels, start, pixel_row = patch_flat, 0, side * C
            if is_gradient:
                gradient_to_points(algorithm, pixels, start, pixel_row, C, target, t * C, row, plane, C)
            else:
                picture_to_points(algorithm, pixels, start, pixel_row, C, target, t * C, row, plane, C)


@kernel(inline=True)
def _multiply_kernels(algorithm, values, first, tiles, kernels, start, features, bias, products, grid_x, pieces):
    """M = V U of `tiles` tiles from the first on, for some features from start on; the bias goes to the points (1, 1).

    products: (points, > tiles, >= features)
    """
    (points, planes, C), (rows, width), F = values.shape, products.shape[1:], kernels.shape[3]
    one = ONE * algorithm.side + ONE
    for t in range(tiles):
        for f in range(features):
            products[one, t, f] = bias[start + f]
    for point in range(points):
        for piece in range(pieces * pieces):
            tile = first + piece // pieces * grid_x + piece % pieces
            multiply(values.reshape(-1), (point * planes + tile) * C, C, 1,
                     kernels.reshape(-1), (piece * points + point) * C * F + start, F,
                     products.reshape(-1), point * rows * width, width,
                     tiles, features, C, piece > 0 or point == one)  # fmt: skip


@kernel(inline=True)
def _store_tile(algorithm, products, t, out, n, y, x, first, features, patch, relu):
    """out = A^T M A for the tile whose first pixel is (y, x) of picture n, and some features."""
    _, H, W, F = out.shape
    width, whole = products.shape[2], y + 4 <= H and x + 4 <= W
    plane = products.shape[1] * width
    pixels, start, row, column = patch.reshape(-1), 0, 4 * width, width
    if whole:
        pixels, start, row, column = out.reshape(-1), ((n * H + y) * W + x) * F + first, W * F, F
    points_to_picture(algorithm, products.reshape(-1), t * width, algorithm.side * plane, plane,
                      pixels, start, row, column, features)  # fmt: skip
    if relu:
        for k in range(16):
            pixel = pixels[start + k // 4 * row + k % 4 * column :][:features]
            for f in range(features):
                pixel[f] = 0 if pixel[f] <= 0 else pixel[f]
    if not whole:  # of a tile at the border, the pixels inside
        for i in range(min(4, H - y)):
            for j in range(min(4, W - x)):
                for f in range(features):
                    out[n, y + i, x + j, first + f] = patch[i, j, f]


@kernel
def _points_to_picture(algorithm, values, kernels, bias, out, first, count, grid_y, grid_x, pieces, tiles_per_task,
                       relu):  # fmt: skip
    """M = V U for `count` tiles, and out = A^T M A + bias; a task takes some tiles and PANEL features."""
    _, H, W, F = out.shape
    width = min(F, PANEL)
    panels = (F + width - 1) // width
    for task in prange((count + tiles_per_task - 1) // tiles_per_task * panels):
        begin, start = task // panels * tiles_per_task, task % panels * width
        tiles, features = min(tiles_per_task, count - begin), min(width, F - start)
        # One tile more than needed: planes a power of 2 apart would push each other out of the cache.
        products = np.empty((len(values), tiles_per_task + 1, width), out.dtype)
        patch = np.empty((4, 4, width), out.dtype)
        _multiply_kernels(algorithm, values, begin, tiles, kernels, start, features, bias, products, grid_x, pieces)
        for t in range(tiles):
            tile = first + begin + t
            n, y, x = tile // (grid_y * grid_x), tile // grid_x % grid_y * 4, tile % grid_x * 4
            if y < H and x < W:
                _store_tile(algorithm, products, t, out, n, y, x, start, features, patch, relu)


@kernel
def _multiply_gradients(values, dvalues, gradient, count, grid_x, pieces, accumulate):
    """dU = V^T dM, summed over `count` tiles, for each point and piece: gradient (pieces * pieces, points, C, F)."""
    points, planes, C = values.shape
    F, dplanes = dvalues.shape[2], dvalues.shape[1]
    values_flat, dvalues_flat, gradient_flat = values.reshape(-1), dvalues.reshape(-1), gradient.reshape(-1)
    panels = (C + 47) // 48
    for task in prange(points * pieces * pieces * panels):
        piece, point, c = task // (points * panels), task // panels % points, task % panels * 48
        tile = piece // pieces * grid_x + piece % pieces
        multiply(values_flat, (point * planes + tile) * C + c, 1, C, dvalues_flat, point * dplanes * F, F,
                 gradient_flat, ((piece * points + point) * C + c) * F, F,
                 min(48, C - c), F, count, accumulate)  # fmt: skip


def algorithm_for(weight_shape, stride):
    """The name of the algorithm made for this kernel, or None: it must be square, 3x3 or more, with stride 1."""
    KH, KW = weight_shape[:2]
    if KH != KW or KH < 3 or tuple(stride) != (1, 1):
        return None
    return "winograd_f4x3" if KH == 3 else "winograd_f4x4"


class Tiles:
    """The grid of tiles over an output (N, H, W), and how many of them are in hand at a time."""

    def __init__(self, name, out_shape, K, pads=((0, 0), (0, 0))):
        self.algorithm = ALGORITHMS[name]
        self.pieces = -(-K // self.algorithm.taps)  # of the kernel, in each direction
        self.points = self.algorithm.side**2
        self.place = pads[0][0], pads[1][0]  # zeros before the picture; behind it there are as many as needed
        N, H, W, _ = out_shape
        # Tiles below one another, and side by side. The further pieces of a kernel look at tiles below and to the
        # right, for which the grid has space; in the order of the grid they are at most `halo` tiles further on.
        self.y, self.x = (-(-n // 4) + self.pieces - 1 for n in (H, W))
        self.total = N * self.y * self.x
        self.halo = (self.pieces - 1) * (self.x + 1)

    def blocks(self, bytes_per_tile, budget):
        """(first, count) of each block: as many tiles at a time as fit the budget, in whole tasks of 48 or 96."""
        size = max(TILES, budget // bytes_per_tile // 96 * 96)
        return [(first, min(size, self.total - first)) for first in range(0, self.total, size)]

    def allocate(self, blocks, channels, dtype, halo=0):
        """Memory for the values of a block's tiles and of the `halo` tiles after it."""
        return empty((self.points, blocks[0][1] + halo + 1, channels), dtype)

    def to_points(self, picture, values, first, count, *, is_gradient=False):
        """Transform `count` tiles of a picture, or of a gradient."""
        place = (0, 0) if is_gradient else self.place
        _picture_to_points(self.algorithm, picture, values, first, count, self.y, self.x, *place, is_gradient)


def forward(name, x, weight, bias, out, pads, relu, budget=4 << 20):
    """x (N, H, W, C) convolved with weight (K, K, C, F), plus bias (F,), into out (N, H', W', F); contiguous.

    name: of the algorithm. relu: through a ReLU. budget: bytes for V, to stay in the processor's cache.
    """
    C, F = weight.shape[2:]
    tiles = Tiles(name, out.shape, len(weight), pads)
    kernels = empty((tiles.pieces**2, tiles.points, C, F), x.dtype)
    zeros = (0, tiles.algorithm.taps * tiles.pieces - len(weight))  # at its end, to cut it into whole pieces
    whole = np.pad(weight, (zeros, zeros, (0, 0), (0, 0))) if any(zeros) else np.ascontiguousarray(weight)
    _transform_kernel(tiles.algorithm, whole, kernels, tiles.pieces, True)
    blocks = tiles.blocks(tiles.points * C * x.itemsize, budget)
    values, tiles_per_task = tiles.allocate(blocks, C, x.dtype, tiles.halo), 48 if C + F <= 512 else 96
    for first, count in blocks:
        tiles.to_points(x, values, first, count + tiles.halo)
        _points_to_picture(tiles.algorithm, values, kernels, bias, out, first, count, tiles.y, tiles.x, tiles.pieces,
                           tiles_per_task, relu)  # fmt: skip


def weight_gradient(name, x, dout, dweight, pads, budget=12 << 20):
    """dout (N, H', W', F) and the forward's x -> dweight (K, K, C, F); contiguous. name: of the algorithm."""
    K, _, C, F = dweight.shape
    tiles = Tiles(name, dout.shape, K, pads)
    gradient = empty((tiles.pieces**2, tiles.points, C, F), x.dtype)
    blocks = tiles.blocks(tiles.points * (C + F) * x.itemsize, budget)
    values, dvalues = tiles.allocate(blocks, C, x.dtype, tiles.halo), tiles.allocate(blocks, F, x.dtype)
    for first, count in blocks:
        tiles.to_points(x, values, first, count + tiles.halo)
        tiles.to_points(dout, dvalues, first, count, is_gradient=True)
        _multiply_gradients(values, dvalues, gradient, count, tiles.x, tiles.pieces, first > 0)
    whole = empty((tiles.algorithm.taps * tiles.pieces,) * 2 + (C, F), x.dtype)
    _transform_kernel(tiles.algorithm, whole, gradient, tiles.pieces, False)
    dweight[...] = whole[:K, :K]
