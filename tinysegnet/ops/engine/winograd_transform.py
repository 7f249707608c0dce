"""Winograd's algorithms, their matrices A, B and G, and their transforms, out = matrix @ d @ matrix^T per channel.

`d` is a p x p grid of pixels and `out` a q x q grid, each pixel a run of channels; the matrix is q x p. A vector of
channels is loaded once and goes through both products, with intermediate results in registers as far as they fit.
Zeros of the matrix cost nothing, ones no multiplication, and rows that differ in signs only, as those of the points a
and -a do, share their work (`factors`).

`make_transform(matrices)` makes the function
    (algorithm,  source, start, row, column,  target, start, row, column,  channels)
where pixel (i, j) of the grid begins at `start + i * row + j * column` of a flat array. `matrices` maps each kind of
algorithm, its class, to a matrix.
"""

from typing import NamedTuple

import numpy as np

from ...runtime import JIT


class WinogradF4x3(NamedTuple):
    """4 outputs of 3 kernel taps from 6 points along each axis: 1, -1, 2, -2, 0 and infinity."""

    taps: int = 3
    side: int = 6


class WinogradF4x4(NamedTuple):
    """4 outputs of 4 kernel taps from 7 points along each axis: 1, -1, 2, -2, 1/2, -1/2 and infinity."""

    taps: int = 4
    side: int = 7


# Compiled functions take the algorithm. Its class is part of its type, so numba compiles them once per algorithm, and
# each transform knows its matrix.
ALGORITHMS: dict[str, WinogradF4x3 | WinogradF4x4] = {"winograd_f4x3": WinogradF4x3(), "winograd_f4x4": WinogradF4x4()}


def winograd_matrices(points, taps):
    """A, B, G for 4 outputs and `taps` kernel taps: `points` has taps + 2 entries; infinity is added as the last.

    A and G evaluate polynomials at the points, a_i^k; at infinity that is the highest coefficient. B interpolates: its
    column i is the polynomial that vanishes at all points but point i, where it is N_i; G's rows are divided by that.
    """
    last = len(points)
    A, B, G = np.zeros((last + 1, 4)), np.zeros((last + 1, last + 1)), np.zeros((last + 1, taps))
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        A[i], B[:last, i] = np.power(point, range(4)), np.poly(others)[::-1]
        G[i] = np.power(point, range(taps)) / np.prod(np.subtract(point, others))
    A[last, -1], B[:, last], G[last, -1] = 1, np.poly(points)[::-1], 1
    return A, B, G


COMMON_POINTS = (1.0, -1.0, 2.0, -2.0)  # the order matters: `_paired` looks for a and -a side by side
ONE = COMMON_POINTS.index(1.0)  # the row of A that is all ones
MATRICES = {
    WinogradF4x3: winograd_matrices((*COMMON_POINTS, 0.0), taps=3),
    WinogradF4x4: winograd_matrices((*COMMON_POINTS, 0.5, -0.5), taps=4),
}


def make_transform_numpy(matrices):
    """By the definition, on views of the flat arrays; also used where numba does not compile."""

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
    """-> matrices whose product is the matrix, and which need fewer multiplications; the last is applied first.

    If row s equals row r up to signs, (r + s) / 2 and (r - s) / 2 have fewer nonzeros, and r and s are their sum and
    difference. Columns are treated the same way, on the transpose.
    """
    if _paired(matrix):
        outer, inner = np.eye(len(matrix)), matrix.copy()
        for k in _paired(matrix):
            inner[k], inner[k + 1] = (matrix[k] + matrix[k + 1]) / 2, (matrix[k] - matrix[k + 1]) / 2
            outer[k, k + 1], outer[k + 1, k], outer[k + 1, k + 1] = 1, 1, -1
        return [outer, inner]
    return [factor.T for factor in reversed(factors(matrix.T))] if _paired(matrix.T) else [matrix]


def _paired(matrix):
    """The k for which row k + 1 equals row k up to signs."""
    found = []
    for k in range(len(matrix) - 1):
        alike = np.array_equal(abs(matrix[k]), abs(matrix[k + 1])) and np.count_nonzero(matrix[k]) > 1
        if alike and k - 1 not in found:
            found.append(k)
    return found


def make_transform_numba(matrices):
    """As LLVM instructions, one for each nonzero entry of the factors of the algorithm's matrix."""
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
                """Pointer to a channel of pixel (i, j) of the grid whose array is argument number `position`."""
                array = cgutils.create_struct_proxy(signature.args[position])(context, builder, args[position])
                start, row, column = args[position + 1 : position + 4]
                offset = builder.add(start, builder.add(builder.mul(row, I64(i)), builder.mul(column, I64(j))))
                return builder.gep(array.data, [builder.add(offset, channel)])

            def combine(row, values):
                """Sum of row[k] * values[k]; a factor of 1 comes first, so the sum begins without a multiplication."""
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
                """matrix @ values"""
                for factor in reversed(parts):
                    values = [combine(row, values) for row in factor]
                return values

            def transform(channel, mask):
                columns = []  # of matrix @ d
                for j in range(p):
                    columns.append(product([vectors.load(pixel(1, i, j, channel), mask) for i in range(p)]))
                for i in range(q):
                    for j, out in enumerate(product([column[i] for column in columns])):
                        vectors.store(out, pixel(5, i, j, channel), mask)

            channels = args[9]
            whole = builder.udiv(channels, I64(vectors.count))
            with cgutils.for_range(builder, whole) as loop:
                transform(builder.mul(loop.index, I64(vectors.count)), None)
            done = builder.mul(whole, I64(vectors.count))
            with builder.if_then(builder.icmp_unsigned("<", done, channels)):
                transform(done, vectors.first(builder.sub(channels, done)))
            return context.get_dummy_value()

        size = types.intp
        return types.void(algorithm, source, size, size, size, target, size, size, size, size), codegen

    return apply


make_transform = make_transform_numba if JIT else make_transform_numpy
