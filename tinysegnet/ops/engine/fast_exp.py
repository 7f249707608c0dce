"""An exponential function for vectorised loops. The C library's exp would need one function call per number.

exp(x) = 2^n * exp(r),  n = x / log 2 rounded,  |r| <= log(2) / 2:   2^n is a shift, exp(r) is a short Taylor series
"""

import math

import numpy as np

from ...runtime import JIT

if not JIT:
    exp = np.exp
else:
    from llvmlite import ir
    from numba.extending import intrinsic

    ROUNDED_OFF = 2.3190468138462996e-17  # log(2) - math.log(2); for n = 1000, it sums to 100 units in the last place

    # the bits of the mantissa, the terms of the series, and the most negative x whose result is a normal number
    FORMATS = {32: (23, 8, -87.0), 64: (52, 14, -708.0)}

    @intrinsic
    def exp(typingctx, x):
        """Return exp(x) for x <= 0 in the dtype of x. Results below all normal numbers become 0. NaN stays NaN."""

        def codegen(context, builder, signature, args):
            bits = signature.args[0].bitwidth
            mantissa, terms, least = FORMATS[bits]
            number, integer = context.get_value_type(signature.args[0]), ir.IntType(bits)
            kind = np.dtype(f"f{bits // 8}").type

            def constant(value):
                return ir.Constant(number, float(kind(value)))

            def multiply_add(a, b, c):
                return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

            (x,) = args
            tiny = builder.fcmp_ordered("<", x, constant(least))
            inside = builder.select(tiny, constant(least), x)
            floor = builder.module.declare_intrinsic("llvm.floor", [number])
            n = builder.call(floor, [multiply_add(inside, constant(1 / math.log(2)), constant(0.5))])
            high = kind(math.log(2)).view(f"i{bits // 8}") >> mantissa // 2 << mantissa // 2
            high = float(high.view(kind))  # rounded to few digits, so that n * high is exact
            r = multiply_add(n, constant(-high), inside)
            r = multiply_add(n, constant(high - math.log(2) - ROUNDED_OFF), r)
            total = constant(1 / math.factorial(terms - 1))
            for k in range(terms - 2, -1, -1):
                total = multiply_add(total, r, constant(1 / math.factorial(k)))
            exponent = builder.add(builder.fptosi(n, integer), integer((1 << bits - mantissa - 2) - 1))
            power = builder.bitcast(builder.shl(exponent, integer(mantissa)), number)
            return builder.select(tiny, constant(0), builder.fmul(total, power))

        return x(x), codegen
