"""The innermost steps of `pool_2x2`, written with the vectors in `simd`.

Each processes one vector of channels of a window. If fewer channels than lanes are left, the others are masked off in
the pictures. `positions` needs no mask: it has room for a vector after its last entry, and the entries that are written
after the last channel belong to the next window, which is processed later.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import I64, Vectors, lanes

__all__ = ["lanes", "largest", "put", "take"]


class _Window:
    """The four pixels of a window, one vector of channels each, and the pooled pixel and its positions."""

    def __init__(self, vectors, mask, corners, pooled, positions):
        self.vectors, self.builder, self.mask = vectors, vectors.builder, mask
        self.corners, self.pooled = corners, pooled
        lane_bits = 32 if isinstance(vectors.element, ir.FloatType) else 64
        self.numbers = ir.VectorType(ir.IntType(lane_bits), vectors.count)  # a lane of the same size as a value
        self.bytes = ir.VectorType(ir.IntType(8), vectors.count)
        self.positions = self.builder.bitcast(positions, self.bytes.as_pointer())

    def position(self, k):
        return ir.Constant(self.numbers, [ir.Constant(self.numbers.element, k)] * self.vectors.count)

    def values(self):
        """Load the four pixels."""
        return [self.vectors.load(pointer, self.mask) for pointer in self.corners]

    def load_positions(self):
        return self.builder.zext(self.builder.load(self.positions, align=1), self.numbers)


def _largest(window):
    (value, *others), build = window.values(), window.builder
    winner = window.position(0)
    for k, other in enumerate(others, 1):
        # the next value wins if it is larger or the first NaN; an unordered comparison is true if there is a NaN
        wins = build.and_(build.fcmp_unordered(">", other, value), build.fcmp_ordered("ord", value, value))
        value, winner = build.select(wins, other, value), build.select(wins, window.position(k), winner)
    window.vectors.store(value, window.pooled, window.mask)
    build.store(build.trunc(winner, window.bytes), window.positions, align=1)


def _put(window):
    value, position = window.vectors.load(window.pooled, window.mask), window.load_positions()
    for k in (3, 2, 1, 0):  # the first of two equal pixels is stored last
        chosen = window.builder.icmp_unsigned("==", position, window.position(k))
        window.vectors.store(window.builder.select(chosen, value, window.vectors.zero), window.corners[k], window.mask)


def _take(window):
    (value, *others), position = window.values(), window.load_positions()
    for k, other in enumerate(others, 1):
        chosen = window.builder.icmp_unsigned("==", position, window.position(k))
        value = window.builder.select(chosen, other, value)
    window.vectors.store(value, window.pooled, window.mask)


def _on_vector(step):
    """Return a function for kernels that does this step for the next vector of the `count` channels that are left."""

    @intrinsic
    def apply(typingctx, picture, a, b, c, d, pooled, at, positions, place, count):
        def codegen(context, builder, signature, args):
            def pointer(array, start):
                data = cgutils.create_struct_proxy(signature.args[array])(context, builder, args[array]).data
                return builder.gep(data, [args[start]])

            vectors = Vectors(builder, signature.args[0].dtype)
            window = [pointer(0, k) for k in (1, 2, 3, 4)], pointer(5, 6), pointer(7, 8)
            with builder.if_else(builder.icmp_signed(">=", args[9], I64(vectors.count))) as (whole, rest):
                with whole:
                    step(_Window(vectors, None, *window))
                with rest:
                    step(_Window(vectors, vectors.first(args[9]), *window))
            return context.get_dummy_value()

        size = types.intp
        return types.void(picture, size, size, size, size, pooled, size, positions, size, size), codegen

    return apply


largest, put, take = map(_on_vector, (_largest, _put, _take))
