"""The innermost loops of `gemm.multiply` and of depthwise convolution, written with the vectors in `simd`.

A tile has at most ROWS rows and at most MOST_VECTORS vectors of columns:

    acc[r][v] = out[r, v] if accumulate else 0
    for s in range(sections):
        for k in range(inner):
            for v: b_k[v] = b[s * inner + k, v]             # one row of b
            for r: for v: acc[r][v] += a[s, r, k] * b_k[v]  # one number of a times each vector
    out[r, v] = acc[r][v]

`channel_tile`, for depthwise convolution, processes one vector of channels. Its a[s, r, k] is one number per channel.

Rows past the last one repeat the last row, so they compute the same numbers and store them in the same place. The last
vector of an `edge_tile` ends at the last column, so it may overlap the vector before it. If the columns do not fill one
vector, its other lanes are masked off in loads and stores. Masked stores are slow on some processors, so other tiles
have no masks. A `whole_tile` has ROWS rows, and a `low_tile` at most LOW_ROWS.
"""

from functools import partial

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import I64, MOST_VECTORS, Vectors

ROWS, LOW_ROWS, CHANNEL_ROWS = 6, 4, 8


def _write_tile(context, builder, signature, args, vectors, most_rows, *, whole=False, edge=False,
                per_channel=False):  # fmt: skip
    """Write the instructions of a tile of `vectors` vectors and at most `most_rows` rows; a whole tile has as many."""

    def pointer(position):
        array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
        return builder.gep(array.data, [args[position + 1]])

    a_row, a_step, a_section = args[2:5]
    b_row, (out_row, rows, cols, sections, inner, accumulate) = args[7], args[10:]
    tile = Vectors(builder, signature.args[8].dtype)
    columns, row, mask = [I64(v * tile.count) for v in range(vectors)], [I64(r) for r in range(most_rows)], None
    if edge and vectors == 1:
        mask = tile.first(cols)
    elif edge:
        columns[-1] = builder.sub(cols, I64(tile.count))
    if not whole:
        last = builder.sub(rows, I64(1))
        row = [builder.select(builder.icmp_signed("<", r, last), r, last) for r in row]
    a_rows = [builder.gep(pointer(0), [builder.mul(r, a_row)]) for r in row]
    out_rows = [builder.gep(pointer(8), [builder.mul(r, out_row)]) for r in row]
    b_pointer = pointer(5)

    def at(pointer, v):
        return builder.gep(pointer, [columns[v]])

    grid = [(r, v) for r in range(most_rows) for v in range(vectors)]
    sums = {place: cgutils.alloca_once(builder, tile.vector) for place in grid}
    with builder.if_else(accumulate) as (add, overwrite):
        with add:
            for r, v in grid:
                builder.store(tile.load(at(out_rows[r], v), mask), sums[r, v])
        with overwrite:
            for place in grid:
                builder.store(tile.zero, sums[place])
    with cgutils.for_range(builder, sections) as section, cgutils.for_range(builder, inner) as loop:
        k = builder.add(builder.mul(section.index, inner), loop.index)
        b_k = builder.gep(b_pointer, [builder.mul(k, b_row)])
        b_vectors = [tile.load(at(b_k, v), mask) for v in range(vectors)]
        step = builder.add(builder.mul(section.index, a_section), builder.mul(loop.index, a_step))
        for r in range(most_rows):
            place = builder.gep(a_rows[r], [step])
            number = tile.load(place, mask) if per_channel else tile.splat(builder.load(place))
            for v in range(vectors):
                total = builder.load(sums[r, v])
                builder.store(tile.multiply_add(number, b_vectors[v], total), sums[r, v])
    for r, v in grid:
        tile.store(builder.load(sums[r, v]), at(out_rows[r], v), mask)


def _make_tile(write):
    """Return the function that computes a tile with the instructions of `write`."""

    @intrinsic
    def tile(typingctx, a, a_start, a_row, a_step, a_section, b, b_start, b_row, out, out_start, out_row,
             rows, cols, sections, inner, accumulate):  # fmt: skip
        def codegen(context, builder, signature, args):
            write(context, builder, signature, args)
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, *[size] * 4, b, *[size] * 2, out, *[size] * 6, types.boolean), codegen

    return tile


def _write_edge(context, builder, signature, args):
    """Write a tile for each number of vectors, and the choice among them."""
    cols, width = args[12], Vectors(builder, signature.args[8].dtype).count
    for vectors in range(1, MOST_VECTORS + 1):
        fits = builder.icmp_signed(">", cols, I64((vectors - 1) * width))
        if vectors < MOST_VECTORS:
            fits = builder.and_(fits, builder.icmp_signed("<=", cols, I64(vectors * width)))
        with builder.if_then(fits):
            _write_tile(context, builder, signature, args, vectors, ROWS, edge=True)


whole_tile = _make_tile(partial(_write_tile, vectors=MOST_VECTORS, most_rows=ROWS, whole=True))
low_tile = _make_tile(partial(_write_tile, vectors=MOST_VECTORS, most_rows=LOW_ROWS))
edge_tile = _make_tile(_write_edge)
channel_tile = _make_tile(partial(_write_tile, vectors=1, most_rows=CHANNEL_ROWS, edge=True, per_channel=True))
