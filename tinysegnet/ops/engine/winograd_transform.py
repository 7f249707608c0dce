"""Winograd's algorithms, their matrices A, B and G, and their transforms, out = matrix @ d @ matrix^T per channel.

The matrix is q x p, `d` is a p x p grid of pixels, and `out` is a q x q grid. The channels of a pixel are contiguous. A
vector of channels is loaded once for both products, and intermediate results stay in registers as far as possible.
Zeros in the matrix cost nothing, and ones cost no multiplication. Rows that differ only in signs, such as those of the
points a and -a, share their computations (`factors`).

`make_transform(matrices)` returns the function
    (algorithm,  source, start, row, column,  target, start, row, column,  channels)
where pixel (i, j) of the grid begins at `start + i * row + j * column` of a flat array. `matrices` maps the class of an
algorithm to its matrix.
"""

from typing import NamedTuple

import numpy as np

from ...runtime import JIT


class WinogradF4x3(NamedTuple):
    """The algorithm for 4 outputs and 3 kernel taps per axis, with the points 1, -1, 2, -2, 0 and infinity."""

    outputs: int = 4
    taps: int = 3
    side: int = 6


class WinogradF4x4(NamedTuple):
    """The algorithm for 4 outputs and 4 kernel taps per axis, with the points 1, -1, 2, -2, 1/2, -1/2 and infinity."""

    outputs: int = 4
    taps: int = 4
    side: int = 7


class WinogradF6x3(NamedTuple):
    """The algorithm for 6 outputs and 3 kernel taps per axis. Its points are those of F4x4 and 0."""

    outputs: int = 6
    taps: int = 3
    side: int = 8


# Compiled functions take the algorithm as an argument. The class of the algorithm is part of its type, so numba
# compiles them once per algorithm, with the matrix as a constant.
Algorithm = WinogradF4x3 | WinogradF4x4 | WinogradF6x3
ALGORITHMS: dict[str, Algorithm] = {"winograd_f4x3": WinogradF4x3(), "winograd_f6x3": WinogradF6x3(),
                                    "winograd_f4x4": WinogradF4x4()}  # fmt: skip


def algorithms_for(weight_shape, stride):
    """Return the algorithms for this weight: none unless it is square, at least 3x3, and the stride is 1."""
    KH, KW = weight_shape[:2]
    if KH != KW or KH < 3 or tuple(stride) != (1, 1):
        return ()
    return ("winograd_f4x3", "winograd_f6x3") if KH == 3 else ("winograd_f4x4",)


def winograd_matrices(points, outputs, taps):
    """Return A, B and G for an algorithm with these points and infinity, which are outputs + taps - 1 together.

    A and G evaluate polynomials at the points a_i. The value at infinity is the highest coefficient. B interpolates:
    its column i is the polynomial that is 0 at all points but a_i, where it is the divisor in row i of G.
    """
    last = len(points)
    A, B, G = np.zeros((last + 1, outputs)), np.zeros((last + 1, last + 1)), np.zeros((last + 1, taps))
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        A[i], B[:last, i] = np.power(point, range(outputs)), np.poly(others)[::-1]
        G[i] = np.power(point, range(taps)) / np.prod(np.subtract(point, others))
    A[last, -1], B[:, last], G[last, -1] = 1, np.poly(points)[::-1], 1
    return A, B, G


COMMON_POINTS = (1.0, -1.0, 2.0, -2.0)  # a and -a must be adjacent for `_paired`
ONE = COMMON_POINTS.index(1.0)  # the index of the row of A that is all ones
MATRICES = {
    WinogradF4x3: winograd_matrices((*COMMON_POINTS, 0.0), outputs=4, taps=3),
    WinogradF4x4: winograd_matrices((*COMMON_POINTS, 0.5, -0.5), outputs=4, taps=4),
    WinogradF6x3: winograd_matrices((*COMMON_POINTS, 0.5, -0.5, 0.0), outputs=6, taps=3),
}


def make_transform_numpy(matrices):
    """Return the transforms by their definition, on views of the flat arrays, for use where numba does not compile."""

    def apply(algorithm, source, s_start, s_row, s_column, target, t_start, t_row, t_column, channels):
        matrix = matrices[type(algorithm)]
        q, p = matrix.shape

        def view(array, start, side, row, column):
            strides = tuple(array.itemsize * step for step in (row, column, 1))
            return np.lib.stride_tricks.as_strided(array[start:], (side, side, channels), strides)

        d, out = view(source, s_start, p, s_row, s_column), view(target, t_start, q, t_row, t_column)
        out[...] = np.einsum("ai,ijc,bj->abc", matrix, d, matrix)

    return apply


def factors(matrix):
    """Return factors of the matrix that need fewer multiplications than the matrix. The last factor is applied first.

    If row s equals row r up to signs, (r + s) / 2 and (r - s) / 2 have fewer nonzeros, and r and s are their sum and
    difference. Columns are factored in the same way, through the transpose.
    """
    if _paired(matrix):
        outer, inner = np.eye(len(matrix)), matrix.copy()
        for k in _paired(matrix):
            inner[k], inner[k + 1] = (matrix[k] + matrix[k + 1]) / 2, (matrix[k] - matrix[k + 1]) / 2
            outer[k, k + 1], outer[k + 1, k], outer[k + 1, k + 1] = 1, 1, -1
        return [outer, inner]
    return [factor.T for factor in reversed(factors(matrix.T))] if _paired(matrix.T) else [matrix]


def _paired(matrix):
    """Return the k for which row k + 1 equals row k up to signs."""
    found = []
    for k in range(len(matrix) - 1):
        alike = np.array_equal(abs(matrix[k]), abs(matrix[k + 1])) and np.count_nonzero(matrix[k]) > 1
        if alike and k - 1 not in found:
            found.append(k)
    return found


def make_transform_numba(matrices):
    """Return the transforms as LLVM instructions, one for each nonzero entry of the factors of the matrix."""
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from .simd import I64, Vectors

    @intrinsic
    def apply(typingctx, algorithm, source, s_start, s_row, s_column, target, t_start, t_row, t_column, channels):
        matrix = matrices[algorithm.instance_class]
        (q, p), parts = matrix.shape, factors(matrix)

        def codegen(context, builder, signature, args):
            vectors = Vectors(builder, signature.args[5].dtype)

            def pixel(position, i, j, channel):
                """Return a pointer to a channel of pixel (i, j) in the grid that is argument number `position`."""
                array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
                start, row, column = args[position + 1 : position + 4]
                offset = builder.add(start, builder.add(builder.mul(row, I64(i)), builder.mul(column, I64(j))))
                return builder.gep(array.data, [builder.add(offset, channel)])

            def combine(row, values):
                """Return the sum of row[k] * values[k], starting with a term whose factor is 1 if there is one."""
                total = None
                terms = zip(row.tolist(), values, strict=True)
                for factor, value in sorted((term for term in terms if term[0]), key=lambda term: term[0] != 1):
                    if total is None:
                        total = value if factor == 1 else builder.fmul(value, vectors.constant(factor))
                    elif abs(factor) == 1:
                        total = (builder.fadd if factor > 0 else builder.fsub)(total, value)
                    else:
                        total = vectors.multiply_add(value, vectors.constant(factor), total)
                return total

            def product(values):
                """Return matrix @ values."""
                for factor in reversed(parts):
                    values = [combine(row, values) for row in factor]
                return values

            def transform(channel, mask):
                columns = []  # the columns of matrix @ d
                for j in range(p):
                    columns.append(product([vectors.load(pixel(1, i, j, channel), mask) for i in range(p)]))
                for i in range(q):
                    for j, out in enumerate(product([column[i] for column in columns])):
                        vectors.store(out, pixel(5, i, j, channel), mask)

            channels, last = args[9], builder.sub(args[9], I64(vectors.count))
            with builder.if_else(builder.icmp_signed(">=", last, I64(0))) as (vector, part_of_a_vector):
                with vector:  # the last vector ends at the last channel, so it may overlap the vector before it
                    number = builder.udiv(builder.add(channels, I64(vectors.count - 1)), I64(vectors.count))
                    with cgutils.for_range(builder, number) as loop:
                        channel = builder.mul(loop.index, I64(vectors.count))
                        transform(builder.select(builder.icmp_signed("<", channel, last), channel, last), None)
                with part_of_a_vector:
                    transform(I64(0), vectors.first(channels))
            return context.get_dummy_value()

        size = types.intp
        return types.void(algorithm, source, size, size, size, target, size, size, size, size), codegen

    return apply


make_transform = make_transform_numba if JIT else make_transform_numpy
