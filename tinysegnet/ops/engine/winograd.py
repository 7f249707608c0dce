"""Convolution with a quarter of the multiplications: F(4x4, 3x3), F(6x6, 3x3) and F(4x4, 4x4) of Winograd.

The values at r + 3 points determine a product of polynomials with 4 and r coefficients: evaluate both factors (A, G),
multiply, and interpolate (B). The computation of 4 outputs from r + 3 pixels is the transpose of this product.
Therefore the matrices are transposed and applied in reverse order: B^T to the pixels and A^T to the result. This takes
r + 3 multiplications instead of 4 r. Along both axes, a 3x3 kernel takes 36 multiplications instead of 144. If d is
the (r+3) x (r+3) input pixels under a tile of 4x4 output pixels, and g is the weight (Lavin & Gray 2015):

    V = B^T d B            the transformed picture, for each tile and channel
    U = G g G^T            the transformed weight
    M = sum over c of  V_c * U_c          at each point a product of matrices, (tiles x C) @ (C x F)
    out = A^T M A          back to 4x4 pixels

The transforms are sums of a few pixels, and their share of the cost falls as the number of channels grows. A weight
larger than 3x3 is cut into pieces of 4x4: a 7x7 weight, padded to 8x8, becomes four. Piece (a, b) reads the picture 4a
rows and 4b columns further on, which is the V of another tile. So 16 outputs of a 7x7 convolution take 4 * 49 products.

Backward runs the same steps in reverse:

    forward:  M = V U      so:  dU = V^T dM  with  dM = A dout A^T,    and  dweight = G^T dU G
    dx is the convolution of dout with the weight rotated by 180 degrees and its channel axes swapped.
      (The literal transpose, B (dM U^T) B^T, would add tiles that overlap, so threads would write to the same pixel.)

F(6x6, 3x3) has 6 outputs per 8 pixels and axis: 64 multiplications per 36 outputs instead of 144 per 64, so 1.78
instead of 2.25 per output. Its V and M are smaller too, but its U is larger, which takes longer in wide layers with few
tiles (`cost_model`). Its three steps are one task per group of tiles, which stays in the processor's cache. So are
those of F(4x4, 3x3) and of the weight gradient in narrow layers.

The transforms amplify rounding errors: entries of A reach 2^3 along each axis, and 2^6 along both; in F(6x6, 3x3), 2^5
and 2^10, but its rounding error is only about twice as large. `tinysegnet bench` shows the error beside the error of
PyTorch's direct sums, and tests/ops/test_winograd.py checks bounds.
"""

import numpy as np

from ...runtime import empty, kernel, prange, threads
from .direct import add_chunks
from .gemm import multiply
from .winograd_tiles import multiply_tiles, store_tile, transform_group
from .winograd_transform import ALGORITHMS, MATRICES, make_transform
from .winograd_transform import algorithms_for as algorithms_for

transform_weight = make_transform({kind: G for kind, (A, B, G) in MATRICES.items()})
transform_weight_gradient = make_transform({kind: G.T for kind, (A, B, G) in MATRICES.items()})

GAP = 16  # numbers between tiles a power of 2 apart, which would evict each other from the processor's cache
PANEL = 128  # features per task: wide layers have few tiles, and splitting their features yields enough tasks
TILES = 192  # the minimum number of tiles per block, so that there are enough tasks for many threads
# Measured optima: the rows of dU per task; the tiles per task in layers with at most and with more than WIDE input and
# output channels together; the bytes of a block's V in forward, and of its V and dM in the weight gradient.
ROWS, TILES_PER_TASK, TILES_PER_WIDE_TASK, WIDE = 48, 48, 96, 512
FORWARD_BUDGET, GRADIENT_BUDGET = 4 << 20, 12 << 20
# Tiles per group in layers with at most and with more than NARROW input and output channels together. With larger
# groups, large weights are read less often.
GROUP, WIDE_GROUP, NARROW = 24, 96, 256
FUSED = 64 * 64  # the largest C * F for which the weight gradient is summed in groups
CHUNKS = 16  # of the tiles, each with its own sums


@kernel
def _transform_weight(algorithm, weight, U, pieces, backward):
    """Compute U = G g G^T, (pieces * pieces, points, C, F), from weight (K, K, C, F), where K = taps * pieces.

    With `backward`, compute dweight = G^T dU G from the gradient of U.
    """
    K, _, C, F = weight.shape
    weight_flat, U_flat, side = weight.reshape(-1), U.reshape(-1), algorithm.side
    taps = K // pieces
    for task in prange(pieces * pieces * C):
        piece, c = task // C, task % C
        tap = ((piece // pieces * K + piece % pieces) * taps * C + c) * F
        point = (piece * side * side * C + c) * F
        if backward:
            transform_weight_gradient(algorithm, U_flat, point, side * C * F, C * F,
                                      weight_flat, tap, K * C * F, C * F, F)  # fmt: skip
        else:
            transform_weight(algorithm, weight_flat, tap, K * C * F, C * F, U_flat, point, side * C * F, C * F, F)


@kernel
def _transform_tiles(algorithm, picture, transformed, first, count, grid_y, grid_x, top, left, is_gradient):
    """Transform `count` tiles from `first` on, as in `transform_group`. A task transforms 8 tiles."""
    planes, C = transformed.shape[1:]
    for group in prange((count + 7) // 8):
        begin = group * 8
        transform_group(algorithm, picture, transformed.reshape(-1), begin * C, C, planes * C, first + begin,
                         min(8, count - begin), grid_y, grid_x, top, left, is_gradient)  # fmt: skip


@kernel
def _compute_output(algorithm, V, U, bias, out, first, count, grid_y, grid_x, pieces, tiles_per_task, relu):
    """Compute M = V U and out = A^T M A + bias. A task processes `tiles_per_task` tiles and PANEL features."""
    (_, H, W, F), outputs = out.shape, algorithm.outputs
    width = min(F, PANEL)
    panels = (F + width - 1) // width
    for task in prange((count + tiles_per_task - 1) // tiles_per_task * panels):
        begin, start = task // panels * tiles_per_task, task % panels * width
        tiles, features = min(tiles_per_task, count - begin), min(width, F - start)
        # One extra tile, because planes a power of 2 apart would evict each other from the processor's cache.
        plane = (tiles_per_task + 1) * width
        M = np.empty(len(V) * plane, out.dtype)
        patch = np.empty((outputs, outputs, width), out.dtype)
        C = V.shape[2]
        multiply_tiles(algorithm, V.reshape(-1), C, V.shape[1] * C, begin, tiles, U, start, features, bias,
                        M, width, plane, grid_x, pieces)  # fmt: skip
        for t in range(tiles):
            tile = first + begin + t
            n, y, x = tile // (grid_y * grid_x), tile // grid_x % grid_y * outputs, tile % grid_x * outputs
            if y < H and x < W:  # extra tiles of the grid have no output
                store_tile(algorithm, M, t * width, plane, out, n, y, x, start, features, patch, relu)


@kernel
def _convolve_in_groups(algorithm, x, U, bias, out, grid_y, grid_x, top, left, groups, relu):
    """Compute V, M and out for one group of tiles per task. Its V and M stay in the cache of the core."""
    F, C, outputs = out.shape[3], x.shape[3], algorithm.outputs
    total, width = len(out) * grid_y * grid_x, min(F, PANEL)
    size = (total + groups - 1) // groups
    for group in prange(groups):
        first = group * size
        tiles = min(size, total - first)
        V_step, M_step = len(U[0]) * C + GAP, len(U[0]) * width + GAP
        V = np.empty(size * V_step, out.dtype)
        M = np.empty(size * M_step, out.dtype)
        patch = np.empty((outputs, outputs, width), out.dtype)
        transform_group(algorithm, x, V, 0, V_step, C, first, tiles, grid_y, grid_x, top, left, False)
        for start in range(0, F, width):
            features = min(width, F - start)
            multiply_tiles(algorithm, V, V_step, C, 0, tiles, U, start, features, bias, M, M_step, width, grid_x, 1)
            for t in range(tiles):
                tile = first + t
                n, y, x_ = tile // (grid_y * grid_x), tile // grid_x % grid_y * outputs, tile % grid_x * outputs
                store_tile(algorithm, M, t * M_step, width, out, n, y, x_, start, features, patch, relu)


@kernel
def _transformed_weight_gradient(V, dM, dU, count, grid_x, pieces, accumulate):
    """Compute dU = V^T dM, summed over `count` tiles, for each point and piece: (pieces * pieces, points, C, F)."""
    (points, planes, C), (dplanes, F) = V.shape, dM.shape[1:]
    V_flat, dM_flat, dU_flat = V.reshape(-1), dM.reshape(-1), dU.reshape(-1)
    panels = (C + ROWS - 1) // ROWS
    for task in prange(points * pieces * pieces * panels):
        piece, point, c = task // (points * panels), task // panels % points, task % panels * ROWS
        tile = piece // pieces * grid_x + piece % pieces
        multiply(V_flat, (point * planes + tile) * C + c, 1, C, 0, dM_flat, point * dplanes * F, F,
                 dU_flat, ((piece * points + point) * C + c) * F, F,
                 min(ROWS, C - c), F, 1, count, accumulate)  # fmt: skip


@kernel
def _weight_gradient_in_groups(algorithm, x, dout, partial, grid_y, grid_x, top, left, groups):
    """Compute the sums of dU, (chunks, points, C, F), for one chunk of groups per task.

    Chunks depend on shapes only, so the result does not depend on the number of threads.
    """
    chunks, points, C, F = partial.shape
    total, sums = len(dout) * grid_y * grid_x, partial.reshape(-1)
    size = (total + groups - 1) // groups
    for chunk in prange(chunks):
        V_step, dM_step, begin = points * C + GAP, points * F + GAP, chunk * groups // chunks
        V, dM = np.empty(size * V_step, x.dtype), np.empty(size * dM_step, x.dtype)
        for group in range(begin, (chunk + 1) * groups // chunks):
            first = group * size
            tiles = max(min(size, total - first), 0)
            transform_group(algorithm, x, V, 0, V_step, C, first, tiles, grid_y, grid_x, top, left, False)
            transform_group(algorithm, dout, dM, 0, dM_step, F, first, tiles, grid_y, grid_x, 0, 0, True)
            for point in range(points):
                multiply(V, point * C, 1, V_step, 0, dM, point * F, dM_step,
                         sums, (chunk * points + point) * C * F, F, C, F, 1, tiles, group > begin)  # fmt: skip


class Tiles:
    """The grid of tiles over an output (N, H, W), and the blocks of tiles that are computed together."""

    def __init__(self, name, out_shape, K, pads=((0, 0), (0, 0))):
        self.algorithm = ALGORITHMS[name]
        self.pieces = -(-K // self.algorithm.taps)  # pieces of the weight along each axis
        self.num_points = self.algorithm.side**2
        self.before = pads[0][0], pads[1][0]  # zeros before the picture; those after it follow from out_shape
        N, H, W, _ = out_shape
        # All pieces of a weight but the first read tiles below or to the right, for which the grid has pieces - 1 extra
        # rows and columns. In grid order, these tiles follow at a distance of at most `halo`.
        self.grid_y, self.grid_x = (-(-n // self.algorithm.outputs) + self.pieces - 1 for n in (H, W))
        self.total = N * self.grid_y * self.grid_x
        self.halo = (self.pieces - 1) * (self.grid_x + 1)

    def groups(self, channels, tasks):
        """Return the number of groups of tiles, a multiple of `tasks` if possible. It does not change a forward."""
        size = GROUP if channels <= NARROW else WIDE_GROUP
        return min(self.total, -(-self.total // (size * tasks)) * tasks)

    def blocks(self, bytes_per_tile, budget):
        """Return (first, count) of each block: whole tasks within the budget, but at least TILES tiles."""
        size = max(TILES, budget // bytes_per_tile // TILES_PER_WIDE_TASK * TILES_PER_WIDE_TASK)
        return [(first, min(size, self.total - first)) for first in range(0, self.total, size)]

    def allocate(self, blocks, channels, dtype, halo=0):
        """Allocate memory for a block, the `halo` tiles after it, and one extra tile as in `_compute_output`."""
        return empty((self.num_points, blocks[0][1] + halo + 1, channels), dtype)

    def transform(self, picture, transformed, first, count, *, is_gradient=False):
        """Transform `count` tiles of a picture, or of a gradient."""
        before = (0, 0) if is_gradient else self.before
        grid = self.grid_y, self.grid_x
        _transform_tiles(self.algorithm, picture, transformed, first, count, *grid, *before, is_gradient)


def transformed(name, weight):
    """Return U (pieces * pieces, points, C, F) of weight (K, K, C, F)."""
    algorithm, K = ALGORITHMS[name], len(weight)
    pieces = -(-K // algorithm.taps)
    U = empty((pieces**2, algorithm.side**2, *weight.shape[2:]), weight.dtype)
    zeros = (0, algorithm.taps * pieces - K)  # after the weight, to complete its last piece
    whole = np.pad(weight, (zeros, zeros, (0, 0), (0, 0))) if any(zeros) else np.ascontiguousarray(weight)
    _transform_weight(algorithm, whole, U, pieces, False)
    return U


def forward(name, x, weight, bias, out, pads, relu, budget=FORWARD_BUDGET, U=None):
    """Convolve contiguous x (N, H, W, C) with weight (K, K, C, F), and add bias (F,), into out (N, H', W', F).

    name: the algorithm. relu: whether to apply ReLU to out. budget: the bytes of V. U: that of `transformed`.
    """
    C, F = weight.shape[2:]
    tiles, U = Tiles(name, out.shape, len(weight), pads), transformed(name, weight) if U is None else U
    if name == "winograd_f6x3" or (tiles.pieces == 1 and C + F <= NARROW):
        groups = tiles.groups(C + F, threads())
        _convolve_in_groups(tiles.algorithm, x, U, bias, out, tiles.grid_y, tiles.grid_x, *tiles.before, groups, relu)
        return
    blocks = tiles.blocks(tiles.num_points * C * x.itemsize, budget)
    V = tiles.allocate(blocks, C, x.dtype, tiles.halo)
    tiles_per_task = TILES_PER_TASK if C + F <= WIDE else TILES_PER_WIDE_TASK
    for first, count in blocks:
        tiles.transform(x, V, first, count + tiles.halo)
        _compute_output(tiles.algorithm, V, U, bias, out, first, count, tiles.grid_y, tiles.grid_x, tiles.pieces,
                        tiles_per_task, relu)  # fmt: skip


def weight_gradient(name, x, dout, dweight, pads, budget=GRADIENT_BUDGET):
    """Compute dweight (K, K, C, F) from contiguous dout (N, H', W', F) and the forward's x. name: the algorithm."""
    K, _, C, F = dweight.shape
    tiles = Tiles(name, dout.shape, K, pads)
    dU = empty((tiles.pieces**2, tiles.num_points, C, F), x.dtype)
    if tiles.pieces == 1 and C * F <= FUSED:
        chunks = min(CHUNKS, -(-tiles.total // GROUP))
        partial = empty((chunks, *dU.shape[1:]), x.dtype)
        _weight_gradient_in_groups(tiles.algorithm, x, dout, partial, tiles.grid_y, tiles.grid_x, *tiles.before,
                                   tiles.groups(C + F, chunks))  # fmt: skip
        add_chunks(partial.reshape(chunks, -1), dU.reshape(-1))
    else:
        blocks = tiles.blocks(tiles.num_points * (C + F) * x.itemsize, budget)
        V, dM = tiles.allocate(blocks, C, x.dtype, tiles.halo), tiles.allocate(blocks, F, x.dtype)
        for first, count in blocks:
            tiles.transform(x, V, first, count + tiles.halo)
            tiles.transform(dout, dM, first, count, is_gradient=True)
            _transformed_weight_gradient(V, dM, dU, count, tiles.grid_x, tiles.pieces, first > 0)
    whole = empty((tiles.algorithm.taps * tiles.pieces,) * 2 + (C, F), x.dtype)
    _transform_weight(tiles.algorithm, whole, dU, tiles.pieces, True)
    dweight[...] = whole[:K, :K]
