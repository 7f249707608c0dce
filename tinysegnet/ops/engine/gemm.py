"""A small matrix product whose sums stay in registers: the inner part of every convolution.

    out[r, c]  (+)=  sum over s, k of  a[s, r, k] * b[s, k, c]

`a`, `b` and `out` are windows into flat arrays. Each is given by its start and the distance between its rows, in
elements. The operands of a convolution are windows into a picture, so neighbouring rows of `a` may overlap. The inner
dimension has `sections` of `inner` numbers, one for each row of the convolution's kernel.

    a[s, r, k] is  a_flat[a_start + s * a_section + r * a_row + k * a_step]
    b[s, k, c] is  b_flat[b_start + (s * inner + k) * b_row + c]
    out[r, c]  is  out_flat[out_start + r * out_row + c]

The product is fast because a tile of 6 rows x 4 vectors of `out` (2 on AVX2) stays in registers during the loop over k.
Each step loads one row of `b` (4 vectors) and multiplies each vector by 6 numbers of `a`. These are 24 multiply-adds
for 10 loads, so arithmetic rather than memory limits the speed. Vectors are as wide as the processor's registers.
At the edge, the last two vectors overlap.
"""

import numpy as np

from ...runtime import JIT, kernel


def multiply_numpy(a, a_start, a_row, a_step, a_section, b, b_start, b_row, out, out_start, out_row,
                   rows, cols, sections, inner, accumulate):  # fmt: skip
    """Multiply views of the flat arrays by the definition. This version is used where numba does not compile."""
    window = np.lib.stride_tricks.as_strided
    size = a.itemsize
    product = (window(a[a_start:], (sections, rows, inner), (a_section * size, a_row * size, a_step * size))
               @ window(b[b_start:], (sections, inner, cols), (b_row * inner * size, b_row * size, size)))  # fmt: skip
    target = window(out[out_start:], (rows, cols), (out_row * size, size))
    target[...] = product.sum(0) + (target if accumulate else 0)


if not JIT:
    multiply = multiply_numpy
else:
    from .gemm_microkernel import LOW_ROWS, ROWS, edge_tile, low_tile, whole_tile
    from .simd import MOST_VECTORS, lanes

    @kernel(inline=True)
    def multiply(a, a_start, a_row, a_step, a_section, b, b_start, b_row, out, out_start, out_row,
                 rows, cols, sections, inner, accumulate):  # fmt: skip
        """Multiply in one thread. The parallel loop is in the caller."""
        width = MOST_VECTORS * lanes(out)
        for c in range(0, cols, width):
            r = 0
            while r < rows:
                rest, left = rows - r, min(width, cols - c)
                a_tile, b_tile, out_tile = a_start + r * a_row, b_start + c, out_start + r * out_row + c
                here = (a, a_tile, a_row, a_step, a_section, b, b_tile, b_row, out, out_tile, out_row,
                        rest, left, sections, inner, accumulate)  # fmt: skip
                if left < width or LOW_ROWS < rest < ROWS:
                    edge_tile(*here)
                    r += ROWS
                elif rest <= LOW_ROWS or ROWS < rest <= 2 * LOW_ROWS:
                    low_tile(*here)  # 8 rows are two low tiles
                    r += LOW_ROWS
                else:
                    whole_tile(*here)
                    r += ROWS
