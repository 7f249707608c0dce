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
    dx is the convolution of dout with the kernel turned by 180 degrees, its channels exchanged: the forward again.
      (Its literal transpose, B (dM U^T) B^T, would add up tiles that overlap, and threads would meet there.)

The price is rounding: 2 to the fifth power magnifies it. `tinysegnet bench` shows how far results are off, beside those
of PyTorch's direct sums; tests/ops/test_winograd.py bounds it.
"""

from __future__ import annotations

import numpy as np

from ...runtime import empty, kernel, prange
from .gemm import multiply
from .winograd_transform import sandwich

__all__ = ["Tiles", "forward", "serves", "weight_gradient"]


def transforms(points, taps):
    """A, B, G for 4 outputs and a kernel of `taps` numbers: one point less than taps + 3, infinity is the last.

    A and G evaluate polynomials at the points, a_i^k; at infinity that is the highest coefficient. B interpolates: its
    column i is the polynomial that vanishes at all points but point i, where it is N_i; G's rows are divided by that.
    """
    last = len(points)
    A, B, G = np.zeros((last + 1, 4)), np.zeros((last + 1, last + 1)), np.zeros((last + 1, taps))
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        A[i], B[:last, i] = np.power(point, range(4)), np.poly(others)[::-1]
        G[i] = np.power(point, range(taps)) / np.prod(np.subtract(point, others))
    A[last, -1], B[:, last], G[last, -1] = 1, np.poly(points)[::-1], 1
    return A, B, G


# Kernels are given the finite points, as a tuple: its length is part of its type, so each is compiled for 3 or 4 taps.
POINTS3, POINTS4 = (1.0, -1.0, 2.0, -2.0, 0.0), (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
A3, B3, G3 = transforms(POINTS3, taps=3)
A4, B4, G4 = transforms(POINTS4, taps=4)

# A value at the points (1, 1) alone comes out as a constant on the whole tile, as A[ONE] is all ones: so goes the bias.
ONE = 0
PANEL = 128  # features of a task: wide layers have few tiles, and so still many tasks
TILES = 192  # in hand at a time, at least; so that there are tasks for many threads

picture_to_points3, picture_to_points4 = sandwich(B3.T), sandwich(B4.T)
gradient_to_points3, gradient_to_points4 = sandwich(A3), sandwich(A4)
points_to_picture3, points_to_picture4 = sandwich(A3.T), sandwich(A4.T)
kernel_to_points3, kernel_to_points4 = sandwich(G3), sandwich(G4)
points_to_kernel3, points_to_kernel4 = sandwich(G3.T), sandwich(G4.T)


@kernel
def _kernel_to_points(weight, values, finite, pieces):
    """U = G g G^T: weight (K, K, C, F) -> values (pieces * pieces, points, C, F), K = taps * pieces."""
    K, _, C, F = weight.shape
    source, target, side = weight.reshape(-1), values.reshape(-1), len(finite) + 1
    taps = K // pieces
    for task in prange(pieces * pieces * C):
        piece, c = task // C, task % C
        start = ((piece // pieces * K + piece % pieces) * taps * C + c) * F
        goal = (piece * side * side * C + c) * F
        if len(finite) == 5:
            kernel_to_points3(source, start, K * C * F, C * F, target, goal, side * C * F, C * F, F)
        else:
            kernel_to_points4(source, start, K * C * F, C * F, target, goal, side * C * F, C * F, F)


@kernel
def _points_to_kernel(values, dweight, finite, pieces):
    """dweight = G^T dU G: values (pieces * pieces, points, C, F) -> dweight (K, K, C, F)."""
    K, _, C, F = dweight.shape
    source, target, side = values.reshape(-1), dweight.reshape(-1), len(finite) + 1
    taps = K // pieces
    for task in prange(pieces * pieces * C):
        piece, c = task // C, task % C
        start = (piece * side * side * C + c) * F
        goal = ((piece // pieces * K + piece % pieces) * taps * C + c) * F
        if len(finite) == 5:
            points_to_kernel3(source, start, side * C * F, C * F, target, goal, K * C * F, C * F, F)
        else:
            points_to_kernel4(source, start, side * C * F, C * F, target, goal, K * C * F, C * F, F)


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
def _picture_to_points(picture, values, first, count, grid_y, grid_x, top, left, finite, is_gradient):
    """V = B^T d B (or dM = A dout A^T) of the tiles first, first + 1, ...: values (points, >= count, C).

    Tiles lie 4 pixels apart on a grid whose first one begins `top` and `left` pixels before the picture.
    """
    N, H, W, C = picture.shape
    side = 4 if is_gradient else len(finite) + 1
    source, target, plane = picture.reshape(-1), values.reshape(-1), values.shape[1] * C
    row = (len(finite) + 1) * plane
    for group in prange((count + 7) // 8):
        patch = np.zeros((side, side, C), picture.dtype)
        patch_flat = patch.reshape(-1)
        for t in range(group * 8, min(group * 8 + 8, count)):
            n, y = (first + t) // (grid_y * grid_x), (first + t) // grid_x % grid_y * 4 - top
            x = (first + t) % grid_x * 4 - left
            if n < N and min(x, y) >= 0 and y + side <= H and x + side <= W:
                pixels, start, pixel_row = source, ((n * H + y) * W + x) * C, W * C
            else:
                _cut(picture, min(n, N - 1), y if n < N else H, x, side, patch)
                pixels, start, pixel_row = patch_flat, 0, side * C
            if len(finite) == 5 and is_gradient:
                gradient_to_points3(pixels, start, pixel_row, C, target, t * C, row, plane, C)
            elif len(finite) == 5:
                picture_to_points3(pixels, start, pixel_row, C, target, t * C, row, plane, C)
            elif is_gradient:
                gradient_to_points4(pixels, start, pixel_row, C, target, t * C, row, plane, C)
            else:
                picture_to_points4(pixels, start, pixel_row, C, target, t * C, row, plane, C)


@kernel(inline=True)
def _multiply_kernels(values, first, tiles, kernels, start, features, bias, products, grid_x, pieces):
    """M = V U of `tiles` tiles from the first on, for some features from start on; the bias goes to the points (1, 1).

    products: (points, > tiles, >= features)
    """
    (points, planes, C), (room, width), F = values.shape, products.shape[1:], kernels.shape[3]
    one = ONE * (6 if points == 36 else 7) + ONE
    for t in range(tiles):
        for f in range(features):
            products[one, t, f] = bias[start + f]
    for point in range(points):
        for piece in range(pieces * pieces):
            tile = first + piece // pieces * grid_x + piece % pieces
            multiply(values.reshape(-1), (point * planes + tile) * C, C, 1,
                     kernels.reshape(-1), (piece * points + point) * C * F + start, F,
                     products.reshape(-1), point * room * width, width,
                     tiles, features, C, piece > 0 or point == one)  # fmt: skip


@kernel(inline=True)
def _rectify(pixels, start, row, column, features):
    """ReLU on 4x4 pixels."""
    for i in range(4):
        for j in range(4):
            pixel = pixels[start + i * row + j * column :][:features]
            for f in range(features):
                pixel[f] = 0 if pixel[f] <= 0 else pixel[f]


@kernel(inline=True)
def _store_tile(products, t, out, n, y, x, first, features, patch, finite, relu):
    """out = A^T M A for the tile whose first pixel is (y, x) of picture n, and some features."""
    _, H, W, F = out.shape
    width, whole = products.shape[2], y + 4 <= H and x + 4 <= W
    plane = products.shape[1] * width
    pixels, start, row, column = patch.reshape(-1), 0, 4 * width, width
    if whole:
        pixels, start, row, column = out.reshape(-1), ((n * H + y) * W + x) * F + first, W * F, F
    if len(finite) == 5:
        points_to_picture3(products.reshape(-1), t * width, 6 * plane, plane, pixels, start, row, column, features)
    else:
        points_to_picture4(products.reshape(-1), t * width, 7 * plane, plane, pixels, start, row, column, features)
    if relu:
        _rectify(pixels, start, row, column, features)
    if not whole:
        for i in range(min(4, H - y)):
            for j in range(min(4, W - x)):
                for f in range(features):
                    out[n, y + i, x + j, first + f] = patch[i, j, f]


@kernel
def _points_to_picture(values, kernels, bias, out, first, count, grid_y, grid_x, pieces, tiles_per_task, finite, relu):
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
        _multiply_kernels(values, begin, tiles, kernels, start, features, bias, products, grid_x, pieces)
        for t in range(tiles):
            tile = first + begin + t
            n, y, x = tile // (grid_y * grid_x), tile // grid_x % grid_y * 4, tile % grid_x * 4
            if y < H and x < W:
                _store_tile(products, t, out, n, y, x, start, features, patch, finite, relu)


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


def serves(weight_shape, stride):
    """Whether a convolution can be computed so: a square kernel of 3x3 or more that moves pixel by pixel."""
    return weight_shape[0] == weight_shape[1] >= 3 and tuple(stride) == (1, 1)


def cut_kernel(K):
    """-> taps of a piece, number of pieces in each direction."""
    return (3, 1) if K == 3 else (4, -(-K // 4))


class Tiles:
    """The grid of tiles over an output (N, H, W), and how many of them are in hand at a time."""

    def __init__(self, out_shape, K, pads=((0, 0), (0, 0))):
        self.taps, self.pieces = cut_kernel(K)
        self.finite = POINTS3 if self.taps == 3 else POINTS4
        self.points = (self.taps + 3) ** 2
        self.place = pads[0][0], pads[1][0]  # zeros before the picture; behind it there are as many as needed
        N, H, W, _ = out_shape
        # further pieces of a kernel look at tiles below and to the right: the grid has room for them
        self.y, self.x = (-(-n // 4) + self.pieces - 1 for n in (H, W))
        self.total = N * self.y * self.x
        self.reach = (self.pieces - 1) * (self.x + 1)

    def blocks(self, bytes_per_tile, budget):
        """(first, count): so many tiles at a time as fit the budget."""
        size = max(TILES, budget // bytes_per_tile // 96 * 96)
        return [(first, min(size, self.total - first)) for first in range(0, self.total, size)]

    def room(self, blocks, channels, dtype, reach=0):
        return empty((self.points, blocks[0][1] + reach + 1, channels), dtype)

    def to_points(self, picture, values, first, count, *, is_gradient=False):
        place = (0, 0) if is_gradient else self.place
        _picture_to_points(picture, values, first, count, self.y, self.x, *place, self.finite, is_gradient)


def _whole_pieces(weight):
    """The kernel with zeros at its end, so that it can be cut into pieces; contiguous."""
    taps, pieces = cut_kernel(len(weight))
    zeros = (0, taps * pieces - len(weight))
    return np.pad(weight, (zeros, zeros, (0, 0), (0, 0))) if any(zeros) else np.ascontiguousarray(weight)


def forward(x, weight, bias, out, stride, pads, relu, budget=4 << 20):
    """x (N, H, W, C) convolved with weight (K, K, C, F), plus bias (F,), into out (N, H', W', F); contiguous.

    relu: through a ReLU. budget: bytes for V, to stay in the cache.
    """
    C, F = weight.shape[2:]
    tiles = Tiles(out.shape, len(weight), pads)
    kernels = empty((tiles.pieces**2, tiles.points, C, F), x.dtype)
    _kernel_to_points(_whole_pieces(weight), kernels, tiles.finite, tiles.pieces)
    blocks = tiles.blocks(tiles.points * C * x.itemsize, budget)
    values, tiles_per_task = tiles.room(blocks, C, x.dtype, tiles.reach), 48 if C + F <= 512 else 96
    for first, count in blocks:
        tiles.to_points(x, values, first, count + tiles.reach)
        _points_to_picture(
            values, kernels, bias, out, first, count, tiles.y, tiles.x, tiles.pieces, tiles_per_task, tiles.finite, relu
        )


def weight_gradient(x, dout, dweight, stride, pads, budget=12 << 20):
    """dout (N, H', W', F) and the forward's x -> dweight (K, K, C, F); contiguous."""
    K, _, C, F = dweight.shape
    tiles = Tiles(dout.shape, K, pads)
    gradient = empty((tiles.pieces**2, tiles.points, C, F), x.dtype)
    blocks = tiles.blocks(tiles.points * (C + F) * x.itemsize, budget)
    values, dvalues = tiles.room(blocks, C, x.dtype, tiles.reach), tiles.room(blocks, F, x.dtype)
    for first, count in blocks:
        tiles.to_points(x, values, first, count + tiles.reach)
        tiles.to_points(dout, dvalues, first, count, is_gradient=True)
        _multiply_gradients(values, dvalues, gradient, count, tiles.x, tiles.pieces, first > 0)
    whole = empty((tiles.taps * tiles.pieces,) * 2 + (C, F), x.dtype)
    _points_to_kernel(gradient, whole, tiles.finite, tiles.pieces)
    dweight[...] = whole[:K, :K]
