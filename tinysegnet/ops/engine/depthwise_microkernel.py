"""The innermost loop of depthwise convolution, made of the vectors in `simd`.

`add_products(...)` adds, for up to ROWS rows and all channels, products of numbers of the same channel:

    for a vector of channels c:
        acc[r] = out[r, c]
        for k in range(inner):
            b_k = b[k, c]
            for r: acc[r] += a[r, k, c] * b_k           # one vector of b against all rows
        out[r, c] = acc[r]

Edges as in `gemm_microkernel`: rows past the last one repeat it, channels past the last one are masked off.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import I64, Vectors

__all__ = ["ROWS", "add_products"]

ROWS = 8


@intrinsic
def add_products(
    typingctx, a, a_start, a_row, a_step, b, b_start, b_step, out, out_start, out_row, rows, inner, channels
):
    """Windows into flat arrays as in `gemm`; rows is at most ROWS."""

    def codegen(context, builder, signature, args):
        def pointer(position):
            array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        a_row, a_step, b_step, out_row, rows, inner, channels = (args[i] for i in (2, 3, 6, 9, 10, 11, 12))
        vectors = Vectors(builder, signature.args[7].dtype)
        last = builder.sub(rows, I64(1))
        row = [builder.select(builder.icmp_signed("<", I64(r), last), I64(r), last) for r in range(ROWS)]
        a_rows = [builder.gep(pointer(0), [builder.mul(r, a_row)]) for r in row]
        out_rows = [builder.gep(pointer(7), [builder.mul(r, out_row)]) for r in row]
        b_pointer, sums = pointer(4), [cgutils.alloca_once(builder, vectors.vector) for _ in row]

        def add(channel, mask):
            for out_r, total in zip(out_rows, sums, strict=True):
                builder.store(vectors.load(builder.gep(out_r, [channel]), mask), total)
            with cgutils.for_range(builder, inner) as loop:
                step, b_place = (builder.add(builder.mul(loop.index, far), channel) for far in (a_step, b_step))
                b_k = vectors.load(builder.gep(b_pointer, [b_place]), mask)
                for a_r, total in zip(a_rows, sums, strict=True):
                    numbers = vectors.load(builder.gep(a_r, [step]), mask)
                    builder.store(vectors.multiply_add(numbers, b_k, builder.load(total)), total)
            for out_r, total in zip(out_rows, sums, strict=True):
                vectors.store(builder.load(total), builder.gep(out_r, [channel]), mask)

        whole = builder.udiv(channels, I64(vectors.count))
        with cgutils.for_range(builder, whole) as loop:
            add(builder.mul(loop.index, I64(vectors.count)), None)
        done = builder.mul(whole, I64(vectors.count))
        with builder.if_then(builder.icmp_unsigned("<", done, channels)):
            add(done, vectors.first(builder.sub(channels, done)))
        return context.get_dummy_value()

    size = types.intp
    return types.void(a, size, size, size, b, size, size, out, size, size, size, size, size), codegen
