"""Tests of matrix products in registers: every number of rows and columns around the sizes of a tile."""

import numpy as np
import pytest
from test_blocking import LANES, TILE_COLUMNS, TILE_ROWS, around

from tinysegnet import runtime
from tinysegnet.ops.engine import gemm


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
