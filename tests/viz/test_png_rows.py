"""A PNG file that is written row by row has the pixels that were written."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tinysegnet.viz.image_bytes import PngRows


@given(width=st.integers(1, 40), heights=st.lists(st.integers(0, 9), min_size=1), in_colour=st.booleans())
def test_any_bands_of_rows_make_one_picture(width, heights, in_colour):
    rng = np.random.default_rng(width)
    table = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    shape = (max(1, sum(heights)), width, 3)[: 3 if in_colour else 2]
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    file = io.BytesIO()
    rows = PngRows(file, width, None if in_colour else table)
    for band in np.split(pixels, np.cumsum(heights)):
        rows.write(band)
    rows.close()
    with Image.open(file) as image:
        image.load()
        assert image.mode == ("RGB" if in_colour else "P")
        np.testing.assert_array_equal(np.asarray(image), pixels)
        if not in_colour:
            np.testing.assert_array_equal(np.reshape(image.getpalette(), (-1, 3)), table)


def test_rows_that_are_a_view_of_other_pixels_are_not_changed():
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    before = pixels.copy()
    PngRows(io.BytesIO(), 3).write(pixels[::2, 1:4])
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("size", [(1, 1), (300, 2)])
def test_libpng_accepts_the_file(size, tmp_path):
    pyvips = pytest.importorskip("pyvips")
    with open(tmp_path / "p.png", "xb") as file:
        rows = PngRows(file, size[1])
        rows.write(np.full((*size, 3), 7, np.uint8))
        rows.close()
    image = pyvips.Image.new_from_file(str(tmp_path / "p.png"), fail_on="warning")
    assert (image.height, image.width, image.max(), image.min()) == (*size, 7, 7)
