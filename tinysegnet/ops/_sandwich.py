"""out = matrix @ d @ matrix^T for a small constant matrix, channel by channel: the transforms of Winograd's convolution.

`d` is a p x p grid of pixels and `out` a q x q grid, each pixel a run of channels; the matrix is q x p. Every vector of
channels is loaded once and goes through both products in registers; zeros and ones of the matrix cost nothing.

`sandwich(matrix)` makes the function
    (source, start, row, column,  target, start, row, column,  channels)
where pixel (i, j) of the grid begins at `start + i * row + j * column` of a flat array.
"""

from __future__ import annotations

import numpy as np

from ..backend import JIT

__all__ = ["sandwich"]


def sandwich_numpy(matrix):
    """The definition, on views of the flat arrays. Also serves where numba does not compile."""
    q, p = matrix.shape

    def apply(source, s_start, s_row, s_column, target, t_start, t_row, t_column, channels):
        def view(array, start, side, row, column):
            strides = tuple(array.itemsize * step for step in (row, column, 1))
            return np.lib.stride_tricks.as_strided(array[start:], (side, side, channels), strides)

        d, out = view(source, s_start, p, s_row, s_column), view(target, t_start, q, t_row, t_column)
        out[...] = np.einsum("ai,ijc,bj->abc", matrix, d, matrix)

    return apply


def sandwich_numba(matrix):
    """As instructions, with the matrix unrolled into them."""
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from ._vectors import I64, Vectors

    q, p = matrix.shape

    @intrinsic
    def apply(typingctx, source, s_start, s_row, s_column, target, t_start, t_row, t_column, channels):
        def codegen(context, builder, signature, args):
            vectors = Vectors(builder, signature.args[4].dtype)

            def pixel(position, i, j, channel):
                """Pointer to a channel of pixel (i, j) of the grid whose array is argument number `position`."""
                array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
                start, row, column = args[position + 1 : position + 4]
                place = builder.add(start, builder.add(builder.mul(row, I64(i)), builder.mul(column, I64(j))))
                return builder.gep(array.data, [builder.add(place, channel)])

            def combine(row, values):
                """Sum of row[k] * values[k]."""
                total = None
                for factor, value in zip(row.tolist(), values, strict=True):
                    if factor == 0:
                        continue
                    if total is None:
                        total = value if factor == 1 else builder.fmul(value, vectors.constant(factor))
                    elif abs(factor) == 1:
                        total = (builder.fadd if factor > 0 else builder.fsub)(total, value)
                    else:
                        total = vectors.multiply_add(value, vectors.constant(factor), total)
                return total

            def transform(channel, mask):
                half = []  # matrix @ d, column by column
                for j in range(p):
                    d = [vectors.load(pixel(0, i, j, channel), mask) for i in range(p)]
                    half.append([combine(row, d) for row in matrix])
                for i in range(q):
                    for j, row in enumerate(matrix):
                        out = combine(row, [column[i] for column in half])
                        vectors.store(out, pixel(4, i, j, channel), mask)

            channels = args[8]
            whole = builder.udiv(channels, I64(vectors.count))
            with cgutils.for_range(builder, whole) as loop:
                transform(builder.mul(loop.index, I64(vectors.count)), None)
            done = builder.mul(whole, I64(vectors.count))
            with builder.if_then(builder.icmp_unsigned("<", done, channels)):
                transform(done, vectors.first(builder.sub(channels, done)))
            return context.get_dummy_value()

        size = types.intp
        return types.void(source, size, size, size, target, size, size, size, size), codegen

    return apply


sandwich = sandwich_numba if JIT else sandwich_numpy
