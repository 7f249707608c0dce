"""The softmax of one pixel, written with the vectors in `simd`, and the logarithms of many numbers.

The C library's exp and log would need one call per number.

exp(x) = 2^n * exp(r),  n = x / log 2 rounded,  |r| <= log(2) / 2:   2^n is a shift, exp(r) is a short Taylor series
log(x) = n * log 2 + log(m),  x = 2^n * m,  m near 1:   log(m) = 2 (s + s^3/3 + s^5/5 + ...),  s = (m - 1) / (m + 1)
"""

import math

import numpy as np

from ...runtime import JIT


def softmax_row_numpy(x, probs, start, K, room):
    """Compute probs = exp(x - largest) / total for the K numbers from `start`, and return largest and total.

    x and probs are flat arrays. `room` is how many numbers of probs after `start` may be written to: the vectors end
    after the K numbers, and the caller computes the next pixels later.
    """
    row = x[start : start + K]
    exps = np.exp(row - row.max())
    probs[start : start + K] = exps / exps.sum()
    return row.max(), exps.sum()


if not JIT:
    softmax_row, log = softmax_row_numpy, np.log
else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from .simd import I32, I64, Vectors

    ROUNDED_OFF = 2.3190468138462996e-17  # log(2) - math.log(2); for n = 1000, it sums to 100 units in the last place

    # the bits of the mantissa, the terms of the series, and the most negative x whose result is a normal number
    FORMATS = {32: (23, 8, -87.0), 64: (52, 14, -708.0)}

    def exp(vectors, x, bits):
        """Return exp(x) for a vector of x <= 0. Results below all normal numbers become 0. NaN stays NaN."""
        builder, (mantissa, terms, least) = vectors.builder, FORMATS[bits]
        integers = ir.VectorType(ir.IntType(bits), vectors.count)

        def constant(value):
            return vectors.constant(float(kind(value)))

        def integer(value):
            return ir.Constant(integers, [ir.Constant(integers.element, value)] * vectors.count)

        kind = np.dtype(f"f{bits // 8}").type
        tiny = builder.fcmp_ordered("<", x, constant(least))
        inside = builder.select(tiny, constant(least), x)
        of_vector = ir.FunctionType(vectors.vector, [vectors.vector])
        floor = cgutils.get_or_insert_function(builder.module, of_vector, f"llvm.floor.v{vectors.count}f{bits}")
        n = builder.call(floor, [vectors.multiply_add(inside, constant(1 / math.log(2)), constant(0.5))])
        high = kind(math.log(2)).view(f"i{bits // 8}") >> mantissa // 2 << mantissa // 2
        high = float(high.view(kind))  # rounded to few digits, so that n * high is exact
        r = vectors.multiply_add(n, constant(-high), inside)
        r = vectors.multiply_add(n, constant(high - math.log(2) - ROUNDED_OFF), r)
        total = constant(1 / math.factorial(terms - 1))
        for k in range(terms - 2, -1, -1):
            total = vectors.multiply_add(total, r, constant(1 / math.factorial(k)))
        exponent = builder.add(builder.fptosi(n, integers), integer((1 << bits - mantissa - 2) - 1))
        power = builder.bitcast(builder.shl(exponent, integer(mantissa)), vectors.vector)
        return builder.select(tiny, vectors.zero, builder.fmul(total, power))

    @intrinsic
    def log(typingctx, x):
        """Return log(x) for a normal number x > 0. NaN stays NaN. It has no branch, so loops over it use vectors."""

        def codegen(context, builder, signature, args):
            (x,), bits = args, signature.return_type.bitwidth
            mantissa, integer, kind = FORMATS[bits][0], ir.IntType(bits), np.dtype(f"f{bits // 8}").type

            def constant(value):
                return ir.Constant(x.type, float(kind(value)))

            least = ir.Constant(integer, int(kind(math.sqrt(0.5)).view(f"i{bits // 8}")))
            shift, pattern = ir.Constant(integer, mantissa), builder.bitcast(x, integer)
            n = builder.ashr(builder.sub(pattern, least), shift)
            m = builder.bitcast(builder.sub(pattern, builder.shl(n, shift)), x.type)  # from sqrt(1 / 2) to sqrt(2)
            s = builder.fdiv(builder.fsub(m, constant(1)), builder.fadd(m, constant(1)))
            series, square = constant(0), builder.fmul(s, s)
            for k in range({32: 5, 64: 12}[bits] - 1, -1, -1):
                product = builder.fmul(series, square, flags=("contract",))
                series = builder.fadd(product, constant(2 / (2 * k + 1)), flags=("contract",))
            whole = builder.fmul(builder.sitofp(n, x.type), constant(math.log(2)))
            result = builder.fadd(whole, builder.fmul(s, series))
            return builder.select(builder.fcmp_unordered("uno", x, x), x, result)

        return x(x), codegen

    def _in_all_lanes(vectors, vector, combine):
        """Combine all lanes in pairs, and return the result in all lanes."""
        step = vectors.count // 2
        while step:
            swapped = ir.Constant(ir.VectorType(I32, vectors.count), [I32(i ^ step) for i in range(vectors.count)])
            vector = combine(vector, vectors.builder.shuffle_vector(vector, vector, swapped))
            step //= 2
        return vector

    @intrinsic
    def softmax_row(typingctx, x, probs, start, K, room):
        """Do the same as `softmax_row_numpy`."""

        def codegen(context, builder, signature, args):
            def pointer(k):
                array = cgutils.create_struct_proxy(signature.args[k])(context, builder, args[k])
                return builder.gep(array.data, [args[2]])

            def larger(a, b):
                return builder.select(builder.fcmp_ordered(">", a, b), a, b)

            dtype, (K, room) = signature.args[0].dtype, args[3:]
            vectors, x, probs = Vectors(builder, dtype), pointer(0), pointer(1)
            whole = builder.udiv(K, I64(vectors.count))
            last = builder.mul(whole, I64(vectors.count))  # the start of the rest, which fills no vector
            mask, rest = vectors.first(builder.sub(K, last)), builder.icmp_signed("<", last, K)

            def at(array, position):
                return builder.gep(array, [position])

            def each(loop):
                return builder.mul(loop.index, I64(vectors.count))

            most, total, tail = (cgutils.alloca_once(builder, vectors.vector) for _ in range(3))
            builder.store(vectors.constant(-math.inf), most)
            builder.store(vectors.zero, total)
            with cgutils.for_range(builder, whole) as loop:
                builder.store(larger(vectors.load(at(x, each(loop))), builder.load(most)), most)
            with builder.if_then(rest):
                values = vectors.load(at(x, last), mask)
                builder.store(builder.select(mask, values, vectors.constant(-math.inf)), tail)
                builder.store(larger(builder.load(tail), builder.load(most)), most)
            largest = _in_all_lanes(vectors, builder.load(most), larger)
            with cgutils.for_range(builder, whole) as loop:
                value = exp(vectors, builder.fsub(vectors.load(at(x, each(loop))), largest), dtype.bitwidth)
                vectors.store(value, at(probs, each(loop)))
                builder.store(builder.fadd(builder.load(total), value), total)
            with builder.if_then(rest):
                value = exp(vectors, builder.fsub(builder.load(tail), largest), dtype.bitwidth)
                value = builder.select(mask, value, vectors.zero)
                builder.store(value, tail)
                builder.store(builder.fadd(builder.load(total), value), total)
            sum_of_all = _in_all_lanes(vectors, builder.load(total), builder.fadd)
            share = builder.fdiv(vectors.constant(1.0), sum_of_all)
            with cgutils.for_range(builder, whole) as loop:
                place = at(probs, each(loop))
                vectors.store(builder.fmul(vectors.load(place), share), place)
            with builder.if_then(rest):
                value = builder.fmul(builder.load(tail), share)
                enough = builder.icmp_signed("<=", builder.add(last, I64(vectors.count)), room)
                with builder.if_else(enough) as (plain, masked):  # a masked store is slow
                    with plain:
                        vectors.store(value, at(probs, last))
                    with masked:
                        vectors.store(value, at(probs, last), mask)
            results = [builder.extract_element(vector, I32(0)) for vector in (largest, sum_of_all)]
            return context.make_tuple(builder, signature.return_type, results)

        size = types.intp
        return types.UniTuple(x.dtype, 2)(x, probs, size, size, size), codegen
