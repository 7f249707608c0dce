"""Tests of matrix products in registers, for all numbers of rows and columns around a tile's, and of sums of chunks."""

import numpy as np
import pytest
from test_blocking import LANES, TILE_COLUMNS, TILE_ROWS, around

from tinysegnet import runtime
from tinysegnet.ops.engine import direct, gemm


@runtime.kernel
def product(a, a_row, a_step, a_section, b, out, rows, cols, sections, inner, accumulate):
    for _ in runtime.prange(1):
        gemm.multiply(a, 0, a_row, a_step, a_section, b, 0, cols + 1, out, 0, cols + 1,
                      rows, cols, sections, inner, accumulate)  # fmt: skip


@pytest.mark.parametrize("rows", range(1, 3 * TILE_ROWS))
def test_products_of_every_shape_agree_with_the_definition(rows):
    rng = np.random.default_rng(rows)
    for cols in around(*range(LANES, 2 * TILE_COLUMNS + 1, LANES)):
        a, b, start = (rng.standard_normal(n) for n in (2 * 3 * rows, 6 * (cols + 1), rows * (cols + 1)))
        for a_row, a_step, accumulate in ((3, 1, False), (1, rows, True)):
            found, expected, shape = start.copy(), start.copy(), (rows, cols, 2, 3, accumulate)
            product(a, a_row, a_step, 3 * rows, b, found, *shape)
            gemm.multiply_numpy(a, 0, a_row, a_step, 3 * rows, b, 0, cols + 1, expected, 0, cols + 1, *shape)
            np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("numbers", around(direct.NUMBERS))
def test_sums_of_chunks_may_fill_several_tasks(numbers):
    partial, sums = np.random.default_rng(0).standard_normal((3, numbers)), np.empty(numbers)
    direct.add_chunks(partial, sums)
    np.testing.assert_array_equal(sums, partial[0] + partial[1] + partial[2])
