"""Vectors in numba, written as LLVM instructions because numba has no vector type.

They are as wide as the processor's registers: 64 bytes with AVX-512, 32 with AVX, and otherwise 16 (SSE, NEON).
"""

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I32, I64 = ir.IntType(32), ir.IntType(64)


def _features() -> set[str]:
    """Return the CPU features that numba compiles for: those in NUMBA_CPU_FEATURES, or else the processor's.

    With NUMBA_CPU_NAME=generic, numba sets CPU_FEATURES to an empty string.
    """
    if numba.config.CPU_FEATURES is not None:
        return {word[1:] for word in numba.config.CPU_FEATURES.split(",") if word.startswith("+")}
    return {name for name, present in llvmlite.binding.get_host_cpu_features().items() if present}


def _vector_bytes() -> int:
    return 64 if "avx512f" in _features() else 32 if "avx" in _features() else 16


# Vectors per row of a register tile. Six rows of 4 vectors take 24 registers: AVX-512 and NEON have 32, AVX has 16.
MOST_VECTORS = 2 if "avx" in _features() and "avx512f" not in _features() else 4


def _lanes(dtype: types.Float) -> int:
    return _vector_bytes() * 8 // dtype.bitwidth


@intrinsic
def lanes(typingctx, array):
    """Return how many elements of the array fit in a vector register."""
    return types.intp(array), lambda context, builder, signature, args: ir.Constant(I64, _lanes(array.dtype))


class Vectors:
    """A writer of instructions for vectors of `count` numbers. A mask selects the lanes that access memory."""

    def __init__(self, builder, dtype):
        self.builder, self.count = builder, _lanes(dtype)
        self.element = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
        self.vector = ir.VectorType(self.element, self.count)
        self.zero = ir.Constant(self.vector, None)
        self.align = ir.Constant(I32, dtype.bitwidth // 8)
        suffix = f"v{self.count}f{dtype.bitwidth}.p0"
        mask, pointer = ir.VectorType(ir.IntType(1), self.count), self.vector.as_pointer()
        self.masked_load = self._declare("load." + suffix, self.vector, [pointer, I32, mask, self.vector])
        self.masked_store = self._declare("store." + suffix, ir.VoidType(), [self.vector, pointer, I32, mask])

    def _declare(self, name, result, arguments):
        signature = ir.FunctionType(result, arguments)
        return cgutils.get_or_insert_function(self.builder.module, signature, "llvm.masked." + name)

    def splat(self, value, vector=None):
        """Return a vector with the same number in all lanes."""
        vector = vector or self.vector
        single = self.builder.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.count), None)
        return self.builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)

    def constant(self, value):
        """Return a vector with the same number, known at compile time, in all lanes."""
        return ir.Constant(self.vector, [ir.Constant(self.element, value)] * self.count)

    def first(self, number):
        """Return the mask of the first `number` lanes, or of all lanes if there are fewer."""
        lanes_of = ir.VectorType(I32, self.count)
        lane = ir.Constant(lanes_of, [I32(i) for i in range(self.count)])
        return self.builder.icmp_signed("<", lane, self.splat(self.builder.trunc(number, I32), lanes_of))

    def load(self, pointer, mask=None):
        """Load the vector that begins at the pointer. Lanes outside the mask are 0."""
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.align.constant)
        return self.builder.call(self.masked_load, [pointer, self.align, mask, self.zero])

    def store(self, value, pointer, mask=None):
        """Store the vector. Memory of lanes outside the mask is unchanged."""
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.align.constant)
        else:
            self.builder.call(self.masked_store, [value, pointer, self.align, mask])

    def multiply_add(self, a, b, total):
        """Return total + a * b. The flag "contract" allows one fused instruction."""
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))
