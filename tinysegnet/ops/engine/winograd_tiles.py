"""The three steps of Winograd's algorithms for some tiles, as helpers of the kernels in `winograd`.

V, M and dM are flat arrays. In them, tiles are `step` numbers apart and points are `plane` numbers apart. The channels
of a tile at a point are contiguous.
"""

import numpy as np

from ...runtime import kernel
from .gemm import multiply
from .winograd_transform import MATRICES, ONE, make_transform

transform_picture = make_transform({kind: B.T for kind, (A, B, G) in MATRICES.items()})
transform_product = make_transform({kind: A.T for kind, (A, B, G) in MATRICES.items()})
transform_gradient = make_transform({kind: A for kind, (A, B, G) in MATRICES.items()})


@kernel(inline=True)
def _cut(picture, n, top, left, side, patch):
    """Copy the side x side pixels at (top, left) of picture n into patch, with zeros outside the picture."""
    H, W, C = picture.shape[1:]
    for i in range(side):
        for j in range(side):
            inside = 0 <= top + i < H and 0 <= left + j < W
            for c in range(C):
                patch[i, j, c] = picture[n, top + i, left + j, c] if inside else 0


@kernel(inline=True)
def transform_group(algorithm, picture, target, start, step, plane, first, count, grid_y, grid_x, top, left,
                     is_gradient):  # fmt: skip
    """Compute V = B^T d B, or dM = A dout A^T, for `count` tiles from `first` on, in the flat array `target`.

    There, tiles are `step` numbers apart and points are `plane` apart. In the picture, tiles are `outputs` pixels apart
    on a grid that begins `top` and `left` pixels before the picture.
    """
    N, H, W, C = picture.shape
    outputs, side = algorithm.outputs, algorithm.outputs if is_gradient else algorithm.side
    source, row = picture.reshape(-1), algorithm.side * plane
    patch = np.empty((side, side, C), picture.dtype)
    patch_flat = patch.reshape(-1)
    for t in range(count):
        n, y = (first + t) // (grid_y * grid_x), (first + t) // grid_x % grid_y * outputs - top
        x = (first + t) % grid_x * outputs - left
        if n < N and min(x, y) >= 0 and y + side <= H and x + side <= W:
            pixels, place, pixel_row = source, ((n * H + y) * W + x) * C, W * C
        else:  # the tile extends past the picture; tiles of the halo after the last picture are all zeros
            _cut(picture, min(n, N - 1), y if n < N else H, x, side, patch)
            pixels, place, pixel_row = patch_flat, 0, side * C
        if is_gradient:
            transform_gradient(algorithm, pixels, place, pixel_row, C, target, start + t * step, row, plane, C)
        else:
            transform_picture(algorithm, pixels, place, pixel_row, C, target, start + t * step, row, plane, C)


@kernel(inline=True)
def multiply_tiles(algorithm, V, V_step, V_plane, first, tiles, U, start, features, bias, M, M_step, M_plane, grid_x,
                    pieces):  # fmt: skip
    """Compute M = V U for `tiles` tiles from `first` and `features` features from `start`, in flat arrays.

    In V and M, tiles are `_step` numbers apart and points are `_plane` apart. The bias is added to M at the point
    (1, 1), which contributes equally to all of out's tile, as A[ONE] is all ones.
    """
    points, C, F = U.shape[1:]
    one = ONE * algorithm.side + ONE
    for t in range(tiles):
        for f in range(features):
            M[one * M_plane + t * M_step + f] = bias[start + f]
    for point in range(points):
        for piece in range(pieces * pieces):
            tile = first + piece // pieces * grid_x + piece % pieces
            multiply(V, point * V_plane + tile * V_step, V_step, 1, 0,
                     U.reshape(-1), (piece * points + point) * C * F + start, F,
                     M, point * M_plane, M_step,
                     tiles, features, 1, C, piece > 0 or point == one)  # fmt: skip


@kernel(inline=True)
def store_tile(algorithm, M, place, plane, out, n, y, x, first, features, patch, relu):
    """Compute out = A^T M A for some features of the tile that begins at (y, x) of picture n."""
    _, H, W, F = out.shape
    outputs, width = algorithm.outputs, patch.shape[2]
    whole = y + outputs <= H and x + outputs <= W
    pixels, start, row, column = patch.reshape(-1), 0, outputs * width, width
    if whole:
        pixels, start, row, column = out.reshape(-1), ((n * H + y) * W + x) * F + first, W * F, F
    transform_product(algorithm, M, place, algorithm.side * plane, plane,
                      pixels, start, row, column, features)  # fmt: skip
    if relu:
        for k in range(outputs * outputs):
            pixel = pixels[start + k // outputs * row + k % outputs * column :][:features]
            for f in range(features):
                pixel[f] = 0 if pixel[f] <= 0 else pixel[f]
    if not whole:  # copy only the pixels inside the picture
        for i in range(min(outputs, H - y)):
            for j in range(min(outputs, W - x)):
                for f in range(features):
                    out[n, y + i, x + j, first + f] = patch[i, j, f]
