"""A small matrix product whose sums stay in registers: the inner part of every convolution.

    out[r, c]  (+)=  sum_k  a[r, k] * b[k, c]

`a`, `b` and `out` are windows into flat arrays. Each is given by its start and the distance between its rows, in
elements. The operands of a convolution are windows into a picture, so neighbouring rows of `a` may overlap.

    a[r, k]   is  a_flat[a_start + r * a_row + k * a_step]
    b[k, c]   is  b_flat[b_start + k * b_row + c]
    out[r, c] is  out_flat[out_start + r * out_row + c]

The product is fast because a tile of 6 rows x 4 vectors of `out` (2 on AVX2) stays in registers during the loop over k.
Each step loads one row of `b` (4 vectors) and multiplies each vector by 6 numbers of `a`. These are 24 multiply-adds
for 10 loads, so arithmetic rather than memory limits the speed. Vectors are as wide as the processor's registers.
Columns past the edge are masked off.
"""

import numpy as np

from ...runtime import JIT, kernel


def multiply_numpy(a, a_start, a_row, a_step, b, b_start, b_row, out, out_start, out_row, rows, cols, inner,
                   accumulate):  # fmt: skip
    """Multiply views of the flat arrays by the definition. This version is used where numba does not compile."""
    window = np.lib.stride_tricks.as_strided
    size = a.itemsize
    product = (window(a[a_start:], (rows, inner), (a_row * size, a_step * size))
               @ window(b[b_start:], (inner, cols), (b_row * size, size)))  # fmt: skip
    target = window(out[out_start:], (rows, cols), (out_row * size, size))
    target[...] = target + product if accumulate else product


if not JIT:
    multiply = multiply_numpy
else:
    from .gemm_microkernel import ROWS, tiles
    from .simd import MOST_VECTORS, lanes

    tile1, tile2, tile3, tile4 = tiles

    @kernel(inline=True)
    def multiply(a, a_start, a_row, a_step, b, b_start, b_row, out, out_start, out_row, rows, cols, inner, accumulate):
        """Multiply in one thread. The parallel loop is in the caller."""
        width = lanes(out)
        for c in range(0, cols, MOST_VECTORS * width):
            vectors = (min(MOST_VECTORS * width, cols - c) + width - 1) // width
            for r in range(0, rows, ROWS):
                a_tile, b_tile, out_tile = a_start + r * a_row, b_start + c, out_start + r * out_row + c
                here = (a, a_tile, a_row, a_step, b, b_tile, b_row, out, out_tile, out_row)
                extent = (rows - r, cols - c, inner, accumulate)
                if vectors == 4:
                    tile4(*here, *extent)
                elif vectors == 3:
                    tile3(*here, *extent)
                elif vectors == 2:
                    tile2(*here, *extent)
                else:
                    tile1(*here, *extent)
