"""The innermost loops of `gemm.multiply` and of depthwise convolution, written with the vectors in `simd`.

`tiles[v - 1](...)` multiplies a tile of at most ROWS rows and v vectors of columns:

    acc[r][v] = out[r, v] if accumulate else 0
    for k in range(inner):
        for v: b_k[v] = b[k, v]                         # one row of b, v vectors
        for r: for v: acc[r][v] += a[r, k] * b_k[v] # one number of a times each vector
    out[r, v] = acc[r][v]

`channel_tile`, for depthwise convolution, processes one vector of channels. Its a[r, k] is one number per channel.

The edges need no extra code. Rows past the last one repeat the last row, so they compute the same numbers and store
them in the same place. Columns past the last one are masked off in loads and stores.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import I64, Vectors

ROWS, CHANNEL_ROWS = 6, 8


def _make_tile(vectors: int, most_rows: int = ROWS, per_channel: bool = False):
    @intrinsic
    def tile(
        typingctx, a, a_start, a_row, a_step, b, b_start, b_row, out, out_start, out_row, rows, cols, inner, accumulate
    ):
        def codegen(context, builder, signature, args):
            def pointer(position):
                array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
                return builder.gep(array.data, [args[position + 1]])

            (a_row, a_step), b_row, (out_row, rows, cols, inner, accumulate) = args[2:4], args[6], args[9:14]
            tile = Vectors(builder, signature.args[7].dtype)
            mask = [None] * (vectors - 1) + [tile.first(builder.sub(cols, I64((vectors - 1) * tile.count)))]
            last = builder.sub(rows, I64(1))
            row = [builder.select(builder.icmp_signed("<", I64(r), last), I64(r), last) for r in range(most_rows)]
            a_rows = [builder.gep(pointer(0), [builder.mul(r, a_row)]) for r in row]
            out_rows = [builder.gep(pointer(7), [builder.mul(r, out_row)]) for r in row]
            b_pointer = pointer(4)

            def at(pointer, v):
                return builder.gep(pointer, [I64(v * tile.count)])

            grid = [(r, v) for r in range(most_rows) for v in range(vectors)]
            sums = {place: cgutils.alloca_once(builder, tile.vector) for place in grid}
            with builder.if_else(accumulate) as (add, overwrite):
                with add:
                    for r, v in grid:
                        builder.store(tile.load(at(out_rows[r], v), mask[v]), sums[r, v])
                with overwrite:
                    for place in grid:
                        builder.store(tile.zero, sums[place])
            with cgutils.for_range(builder, inner) as loop:
                b_k = builder.gep(b_pointer, [builder.mul(loop.index, b_row)])
                b_vectors = [tile.load(at(b_k, v), mask[v]) for v in range(vectors)]
                step = builder.mul(loop.index, a_step)
                for r in range(most_rows):
                    place = builder.gep(a_rows[r], [step])
                    number = tile.load(place, mask[0]) if per_channel else tile.splat(builder.load(place))
                    for v in range(vectors):
                        total = builder.load(sums[r, v])
                        builder.store(tile.multiply_add(number, b_vectors[v], total), sums[r, v])
            for r, v in grid:
                tile.store(builder.load(sums[r, v]), at(out_rows[r], v), mask[v])
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, size, size, size, b, size, size, out, size, size, size, size, size, types.boolean), codegen

    return tile


tiles = tuple(_make_tile(vectors) for vectors in (1, 2, 3, 4))
channel_tile = _make_tile(1, CHANNEL_ROWS, per_channel=True)
