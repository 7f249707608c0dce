"""Label maps and pictures of every mode, and decompression bombs; see also test_hostile_pictures.py."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from folder_samples import H, W, label_map, save
from PIL import Image

import tinysegnet.data.image_files as pictures
from tinysegnet.data import CAMVID, Palette, read_image, read_labels
from tinysegnet.errors import DataError


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_label_maps_of_every_mode_are_read_exactly(tmp_path, mode):
    """The files contain the numbers 0 and 1 or, in colour modes, the colours of classes 0 and 1."""
    labels = (np.indices((H, W)).sum(0) % 2).astype(np.uint8)
    palette = Palette(("a", "b"), ((10, 20, 30), (40, 50, 60)))
    image = {
        "1": lambda: Image.fromarray(labels * 255).convert("1"),
        "LA": lambda: Image.fromarray(labels).convert("LA"),
        "I;16": lambda: Image.fromarray(labels.astype(np.uint16)),
        "RGB": lambda: Image.fromarray(palette.colorize(labels)),
        "RGBA": lambda: Image.fromarray(palette.colorize(labels)).convert("RGBA"),
    }.get(mode, lambda: Image.fromarray(labels))()
    if mode == "P":
        image.putpalette([200, 0, 0, 0, 200, 0])
    assert image.mode == mode
    image.save(tmp_path / "x.PNG")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.PNG", palette), labels)


def test_16_bit_labels_above_255_are_rejected(tmp_path):
    labels = np.zeros((H, W), np.uint16)
    labels[2, 3] = 256 + 1
    save(tmp_path / "x.png", labels)
    with pytest.raises(DataError, match=r"x\.png: value 257 at row 2, column 3 .*0\.\.10, void 11"):
        read_labels(tmp_path / "x.png", CAMVID)


def test_label_maps_with_unknown_colours_or_as_jpeg_are_rejected(tmp_path):
    colors = CAMVID.colorize(label_map(11))
    colors[4, 2] = 255, 0, 255
    save(tmp_path / "x.png", colors)
    with pytest.raises(DataError, match=r"x\.png: colour 255 0 255 at row 4, column 2"):
        read_labels(tmp_path / "x.png", CAMVID)
    save(tmp_path / "y.png", colors, format="JPEG")
    with pytest.raises(DataError, match=r"y\.png: .*JPEG"):
        read_labels(tmp_path / "y.png", CAMVID)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_on_request_and_else_reported(tmp_path, orientation, suffix):
    seen = np.zeros((16, 32, 3), np.uint8)
    seen[:8, :8] = 250  # in the upright picture, the light square is at the top left
    turns = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
             7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    stored = Image.fromarray(seen)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose[turns[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{suffix}"
    stored.save(path, exif=exif)
    upright = read_image(path, upright=True)
    assert np.abs(upright.astype(int) - seen).max() < 30
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_image(path).shape[:2] == stored.size[::-1]
    assert [str(path) in str(warning.message) for warning in caught] == [True] * (orientation > 1)


def test_huge_pictures_are_rejected_by_their_header(tmp_path):
    from test_camvid import grey_png

    small = grey_png(np.zeros((1, 1), int), 8)
    for pixels, where, limit in ((30_000, "900 Mpx", 50), (8_000, "8000 x 8000 = 64 Mpx", 50)):
        header = b"IHDR" + struct.pack(">IIBBBBB", pixels, pixels, 8, 0, 0, 0, 0)
        forged = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
        (tmp_path / "bomb.png").write_bytes(forged)
        for read in (read_image, read_labels):
            with pytest.raises(DataError, match=rf"bomb\.png: claims {where}.*at most {limit}"):
                read(tmp_path / "bomb.png")
    with pytest.raises(DataError, match="damaged"):  # the limit for single pictures is higher
        read_image(tmp_path / "bomb.png", max_pixels=pictures.MAX_PIXELS_SINGLE)
