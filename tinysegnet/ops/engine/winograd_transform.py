"""Winograd's algorithms, their matrices A, B and G, and their transforms, out = matrix @ d @ matrix^T per channel.

`d` is a p x p grid of pixels and `out` a q x q grid, each pixel a run of channels; the matrix is q x p. Every vector of
channels is loaded once and goes through both products in registers; zeros and ones of the matrix cost nothing, and rows
that differ in signs only, as those of the points a and -a do, share their work (`factors`).

`winograd_transform(matrices)` makes the function
    (algorithm,  source, start, row, column,  target, start, row, column,  channels)
where pixel (i, j) of the grid begins at `start + i * row + j * column` of a flat array. `matrices` has the matrix of
each algorithm, by its class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...runtime import JIT

__all__ = ["ALGORITHMS", "MATRICES", "WinogradF4x3", "WinogradF4x4", "winograd_transform"]


class WinogradF4x3(NamedTuple):
    """4 outputs of 3 kernel taps from 6 points along each axis: 0, 1, -1, 2, -2 and infinity."""

    taps: int = 3
    side: int = 6


class WinogradF4x4(NamedTuple):
    """4 outputs of 4 kernel taps from 7 points along each axis: 1, -1, 2, -2, 1/2, -1/2 and infinity."""

    taps: int = 4
    side: int = 7


# Kernels are given the algorithm. Its class is part of its type, so numba compiles each kernel once per algorithm, and
# each transform knows its matrix.
ALGORITHMS: dict[str, WinogradF4x3 | WinogradF4x4] = {"winograd_f4x3": WinogradF4x3(), "winograd_f4x4": WinogradF4x4()}


def transforms(points, taps):
    """A, B, G for 4 outputs and a kernel of `taps` numbers: one point less than taps + 3, infinity is the last.

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


MATRICES = {
    WinogradF4x3: transforms((1.0, -1.0, 2.0, -2.0, 0.0), taps=3),
    WinogradF4x4: transforms((1.0, -1.0, 2.0, -2.0, 0.5, -0.5), taps=4),
}


def transform_numpy(matrices):
    """The definition, on views of the flat arrays. Also serves where numba does not compile."""

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
    """-> matrices whose product is the matrix, the last to be applied first, with fewer multiplications together.

    Rows r and s = +-r, number by number: (r + s) / 2 and (r - s) / 2 have few numbers left, r and s are their sum and
    difference. Columns alike, by the transposed.
    """
    if _paired(matrix):
        outer, inner = np.eye(len(matrix)), matrix.copy()
        for k in _paired(matrix):
            inner[k], inner[k + 1] = (matrix[k] + matrix[k + 1]) / 2, (matrix[k] - matrix[k + 1]) / 2
            outer[k, k + 1], outer[k + 1, k], outer[k + 1, k + 1] = 1, 1, -1
        return [outer, inner]
    return [factor.T for factor in reversed(factors(matrix.T))] if _paired(matrix.T) else [matrix]


def _paired(matrix):
    """Numbers k of the rows that the next one repeats with other signs."""
    found = []
    for k in range(len(matrix) - 1):
        alike = np.array_equal(abs(matrix[k]), abs(matrix[k + 1])) and np.count_nonzero(matrix[k]) > 1
        if alike and k - 1 not in found:
            found.append(k)
    return found


def transform_numba(matrices):
    """As instructions, with the algorithm's matrix unrolled into them."""
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
                place = builder.add(start, builder.add(builder.mul(row, I64(i)), builder.mul(column, I64(j))))
                return builder.gep(array.data, [builder.add(place, channel)])

            def combine(row, values):
                """Sum of row[k] * values[k], those with factor 1 first: they need no multiplication to begin with."""
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


winograd_transform = transform_numba if JIT else transform_numpy
