"""The innermost loop of `matmul.multiply`, written as LLVM instructions because numba has no vector type.

`tiles[v - 1](...)` multiplies a tile of at most ROWS rows and v vectors of columns:

    acc[r][v] = out[r, v] if accumulate else 0
    for k in range(inner):
        for v: b_k[v] = b[k, v]                         # one row of b, v vectors
        for r: for v: acc[r][v] += a[r, k] * b_k[v]     # one number of a against all of them
    out[r, v] = acc[r][v]

Two edges, neither with code of its own. Rows past the last one repeat the last row: they compute the same numbers
and store them to the same place. Columns past the last one are masked off in loads and stores.
"""

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["ROWS", "lanes", "tiles"]

ROWS = 6
I32, I64 = ir.IntType(32), ir.IntType(64)


def _vector_bytes() -> int:
    """Width of a vector register here: AVX-512 64 bytes, AVX 32; 16 (SSE, NEON) is everywhere."""
    features = llvmlite.binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


def _lanes(dtype: types.Float) -> int:
    return _vector_bytes() * 8 // dtype.bitwidth


@intrinsic
def lanes(typingctx, array):
    """How many elements of the array fit one vector register."""
    return types.intp(array), lambda context, builder, signature, args: ir.Constant(I64, _lanes(array.dtype))


class _TileBuilder:
    """Writes the instructions for one tile of ROWS x `vectors`."""

    def __init__(self, builder, dtype, vectors, cols):
        self.builder, self.count = builder, _lanes(dtype)
        self.element = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.count)
        self.align = ir.Constant(I32, dtype.bitwidth // 8)
        self.last = vectors - 1
        self.mask = self._mask(cols)
        suffix = f"v{self.count}f{dtype.bitwidth}.p0"
        mask, pointer = ir.VectorType(ir.IntType(1), self.count), self.vector.as_pointer()
        self.masked_load = self._declare("load." + suffix, self.vector, [pointer, I32, mask, self.vector])
        self.masked_store = self._declare("store." + suffix, ir.VoidType(), [self.vector, pointer, I32, mask])

    def _declare(self, name, result, arguments):
        return cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(result, arguments), "llvm.masked." + name
        )

    def _splat(self, value, vector):
        single = self.builder.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.count), None)
        return self.builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)

    def _mask(self, cols):
        """Of the last vector: lane i is column last * lanes + i, on if that is less than cols."""
        columns = ir.VectorType(I32, self.count)
        lane = ir.Constant(columns, [I32(self.last * self.count + i) for i in range(self.count)])
        return self.builder.icmp_signed("<", lane, self._splat(self.builder.trunc(cols, I32), columns))

    def _at(self, pointer, v):
        return self.builder.bitcast(self.builder.gep(pointer, [I64(v * self.count)]), self.vector.as_pointer())

    def zero(self):
        return ir.Constant(self.vector, None)

    def load(self, pointer, v):
        if v == self.last:
            return self.builder.call(self.masked_load, [self._at(pointer, v), self.align, self.mask, self.zero()])
        return self.builder.load(self._at(pointer, v), align=self.align.constant)

    def store(self, value, pointer, v):
        if v == self.last:
            self.builder.call(self.masked_store, [value, self._at(pointer, v), self.align, self.mask])
        else:
            self.builder.store(value, self._at(pointer, v), align=self.align.constant)

    def multiply_add(self, number, vector, total):
        """total + number * vector; "contract" lets the processor do it in one instruction."""
        product = self.builder.fmul(self._splat(number, self.vector), vector, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))


def _make_tile(vectors: int):
    @intrinsic
    def tile(
        typingctx, a, a_start, a_row, a_step, b, b_start, b_row, out, out_start, out_row, rows, cols, inner, accumulate
    ):
        def codegen(context, builder, signature, args):
            def pointer(position):
                array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
                return builder.gep(array.data, [args[position + 1]])

            a_row, a_step, b_row, out_row, rows, cols, inner, accumulate = (
                args[i] for i in (2, 3, 6, 9, 10, 11, 12, 13)
            )
            tile = _TileBuilder(builder, signature.args[7].dtype, vectors, cols)
            last = builder.sub(rows, I64(1))
            row = [builder.select(builder.icmp_signed("<", I64(r), last), I64(r), last) for r in range(ROWS)]
            a_rows = [builder.gep(pointer(0), [builder.mul(r, a_row)]) for r in row]
            out_rows = [builder.gep(pointer(7), [builder.mul(r, out_row)]) for r in row]
            b_pointer = pointer(4)

            grid = [(r, v) for r in range(ROWS) for v in range(vectors)]
            sums = {at: cgutils.alloca_once(builder, tile.vector) for at in grid}
            with builder.if_else(accumulate) as (add, overwrite):
                with add:
                    for r, v in grid:
                        builder.store(tile.load(out_rows[r], v), sums[r, v])
                with overwrite:
                    for at in grid:
                        builder.store(tile.zero(), sums[at])
            with cgutils.for_range(builder, inner) as loop:
                b_k = builder.gep(b_pointer, [builder.mul(loop.index, b_row)])
                b_vectors = [tile.load(b_k, v) for v in range(vectors)]
                step = builder.mul(loop.index, a_step)
                for r in range(ROWS):
                    number = builder.load(builder.gep(a_rows[r], [step]))
                    for v in range(vectors):
                        total = builder.load(sums[r, v])
                        builder.store(tile.multiply_add(number, b_vectors[v], total), sums[r, v])
            for r, v in grid:
                tile.store(builder.load(sums[r, v]), out_rows[r], v)
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, size, size, size, b, size, size, out, size, size, size, size, size, types.boolean), codegen

    return tile


tiles = tuple(_make_tile(vectors) for vectors in (1, 2, 3, 4))
