"""The limits of picture files: one case at each limit, and one beyond it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from folder_samples import H, W
from hostile_pictures import many_scans
from hostile_samples import bmp, header, png, rows, tiff
from PIL.ExifTags import Base as Tag

from tinysegnet.data import read_image
from tinysegnet.data.image_files import MAX_PIXELS_SINGLE, _check_tiff, is_deep
from tinysegnet.data.label_files import LabelPixels, read_label_pixels
from tinysegnet.errors import DataError


@pytest.fixture
def said(tmp_path):
    """Return a function that reads a picture with this content, and returns the message of the error, or ""."""

    def read(content, **options):
        (tmp_path / "x.png").write_bytes(content)
        try:
            read_image(tmp_path / "x.png", **options)
        except DataError as error:
            return str(error)
        return ""

    return read


@pytest.mark.parametrize(("limit", "options"), [(50, {}), (175, {"max_pixels": MAX_PIXELS_SINGLE})])
def test_pictures_may_have_50_and_single_ones_175_million_pixels(said, limit, options):
    assert "Mpx" not in said(png(header(limit * 1_000_000, 1)), **options)
    assert f"Mpx; at most {limit} are" in said(png(header(limit * 1_000_000 + 1, 1)), **options)


def test_a_png_may_be_compressed_to_a_1032nd_of_its_pixels(said):
    size = len(png(header(), rows()))
    assert "it claims" not in said(png(header(1032, 8 * size), rows()))
    assert "it claims" in said(png(header(1033, 8 * size), rows()))


@pytest.mark.parametrize(("max_pixels", "most"), [(64, 12), (100, 18), (200, 37)])
def test_a_jpeg_may_have_12_scans_of_the_most_pixels(said, max_pixels, most):
    usual = many_scans(0, side=8).count(b"\xff\xda")
    assert said(many_scans(most - usual, side=8), max_pixels=max_pixels) == ""
    refusal = said(many_scans(most + 1 - usual, side=8), max_pixels=max_pixels)
    assert f"{most + 1} scans; at most {most} are" in refusal


def test_tiles_at_the_edges_count_as_a_whole(said):
    tiled = tiff(ImageWidth=100, ImageLength=60, TileWidth=32, TileLength=16, RowsPerStrip=60) + bytes(128 * 64)
    assert "tiles of" not in said(tiled, max_pixels=128 * 64)
    assert "tiles of" in said(tiled, max_pixels=128 * 64 - 1)
    assert said(tiff(), max_pixels=W * H) == ""
    assert "tiles of" not in said(tiff(), max_pixels=W * H - 1)


def refusal(**tags):
    """Return the message about a TIFF of one pixel with these tags, or "". Pillow opens only some of them."""
    try:
        _check_tiff(Path("x.tif"), SimpleNamespace(tag_v2={Tag[name]: tags[name] for name in tags}, size=(1, 1)), 1)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("photometric", "colors"), [(0, 1), (1, 1), (2, 3), (5, 4), (6, 3), (8, 3)])
def test_a_tiff_may_have_its_colours_and_one_alpha_channel(photometric, colors):
    tags = {"PhotometricInterpretation": photometric}
    assert refusal(**tags) == ""
    for extra, alpha in (((), 0), ((0,), 0), ((1,), 1), ((2,), 1), ((3,), 0), ((1, 1), 0)):
        assert refusal(**tags, ExtraSamples=extra, SamplesPerPixel=colors + alpha) == ""
        more = refusal(**tags, ExtraSamples=extra, SamplesPerPixel=colors + alpha + 1)
        assert f"has {colors + alpha + 1} channels. Save" in more


def test_a_16_bit_tiff_is_refused_if_pillow_misreads_it():
    for bits in ((16,), (8, 16), (15,), (17,), (8,), ()):
        misread = "16-bit TIFF has inverted values" if 16 in bits else ""
        assert misread in refusal(BitsPerSample=bits) == refusal(BitsPerSample=bits, PhotometricInterpretation=0)
        for planar in (1, 2):
            tags = {"BitsPerSample": bits, "PlanarConfiguration": planar}
            assert refusal(**tags, PhotometricInterpretation=1) == ""
            assert bool(refusal(**tags, PhotometricInterpretation=2)) == (16 in bits and planar == 2)


@pytest.mark.parametrize(("mode", "raw_mode", "expected"), [
    ("I;16", "I;16B", True), ("RGB", "RGB;16B", True), ("RGB", "RGB", False), ("RGB", "BGR;16", False),
    ("L", "L", False),
])  # fmt: skip
def test_a_picture_is_deep_if_a_channel_and_not_a_pixel_has_16_bits(mode, raw_mode, expected):
    assert is_deep(SimpleNamespace(mode=mode), raw_mode) == expected


def test_only_bmp_files_with_runs_are_called_compressed(said):
    for bits, compression in ((8, 1), (4, 2)):
        assert "is compressed" in said(bmp(bits=bits, compression=compression))
    assert said(bmp()) == ""
    assert "is compressed" not in said(bmp(bits=32, compression=3))


@pytest.mark.parametrize(("order", "bits", "byte", "numbers"), [
    (1, 2, 0b00_01_10_11, [0, 1, 2, 3]), (2, 2, 0b11_01_10_00, [0, 1, 2, 3]),
    (1, 4, 0x5C, [5, 12]), (2, 4, 0x3A, [5, 12]),
])  # fmt: skip
def test_numbers_of_2_and_4_bits_are_read_in_either_order_of_bits(tmp_path, order, bits, byte, numbers):
    size = {"ImageWidth": len(numbers), "ImageLength": 1, "RowsPerStrip": 1}
    (tmp_path / "x.tif").write_bytes(tiff(bytes([byte]), **size, BitsPerSample=bits, FillOrder=order))
    found = read_label_pixels(tmp_path / "x.tif")
    assert (found.values.tolist(), found.values.dtype, found.bits) == ([numbers], np.uint8, bits)


@pytest.mark.parametrize(("bits", "number", "grey"), [(1, 1, 255), (2, 1, 85), (2, 3, 255), (4, 1, 17),
                                                      (4, 15, 255), (8, 1, 1), (16, 5, 5), (16, 300, 300)])  # fmt: skip
def test_numbers_of_any_bits_are_shown_as_greys(bits, number, grey):
    shown = {0: (0, 0, 0), number: (grey,) * 3}
    assert LabelPixels(np.zeros((1, 1)), None, bits).shown_colors(list(shown)) == (shown, False)


@pytest.mark.parametrize("count", [1, 3, 255])
def test_numbers_without_a_colour_in_the_palette_have_none(count):
    palette = np.full((count, 3), 9, np.uint8)
    shown = {count - 1: (9, 9, 9), count: (-1, -1, -1)}
    assert LabelPixels(np.zeros((1, 1)), palette).shown_colors(list(shown)) == (shown, True)
