"""Label maps and pictures of every mode, and decompression bombs; see also test_hostile_pictures.py."""

import struct
import zlib

import numpy as np
import pytest
from folder_samples import H, W, label_map, save
from PIL import Image

import tinysegnet.data.image_files as pictures
from tinysegnet.data import CAMVID, Folder, Palette, read_image, read_labels
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


@pytest.mark.parametrize("at", [(2, 3), (0, 0), (H - 1, W - 1)])
@pytest.mark.parametrize("value", [12, 255, 256, 257, 256 + 11, 512, 65534])
def test_16_bit_labels_above_the_classes_are_rejected(tmp_path, value, at):
    labels = np.arange(H * W, dtype=np.uint16).reshape(H, W) % 12
    save(tmp_path / "x.png", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png", CAMVID), labels)
    labels[at] = value
    save(tmp_path / "x.png", labels)
    place = f"value {value} at row {at[0]}, column {at[1]}"
    with pytest.raises(DataError, match=rf"x\.png: {place} .*0\.\.10, void 11"):
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


# Transparency


def with_alpha(labels, colors, alpha, mode):
    """A label map in colours or grey values, with an alpha channel."""
    image = Image.fromarray(colors[labels] if mode == "RGBA" else labels)
    image.putalpha(Image.fromarray(alpha))
    assert image.mode == mode
    return image


COLORS = np.array([[0, 0, 0], [10, 20, 30], [40, 50, 60]], np.uint8)
PALETTE = Palette(("a", "b", "c"), tuple(tuple(color) for color in COLORS.tolist()))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("alpha", "count"), [(0, 1), (0, 20), (254, 5), (128, H * W)])
def test_transparent_pixels_are_refused_with_their_number(tmp_path, mode, kind, alpha, count):
    mask = np.full(H * W, 255, np.uint8)
    mask[:count] = alpha
    with_alpha(label_map(), COLORS, mask.reshape(H, W), mode).save(tmp_path / "x.png", kind)
    with pytest.raises(DataError, match=rf"x\.png: there are {count} transparent pixels.*row 0, column 0.* Fill"):
        read_labels(tmp_path / "x.png", PALETTE)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_alpha_channel_is_dropped(tmp_path, mode):
    with_alpha(label_map(), COLORS, np.full((H, W), 255, np.uint8), mode).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png", PALETTE), label_map())


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("levels", [(0, 255), (0, 128), (1, 2)])
def test_a_mask_in_the_alpha_channel_is_recognised(tmp_path, mode, number, levels):
    alpha = np.array(levels, np.uint8)[label_map(2)]
    with_alpha(np.full((H, W), number, np.uint8), COLORS, alpha, mode).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"x\.png: .*only.*transparency differs.* Save the alpha channel"):
        read_labels(tmp_path / "x.png", PALETTE)


def indexed(labels):
    image = Image.fromarray(labels)
    image.putpalette(COLORS.ravel().tolist())
    return image


TRANSPARENT = {  # the picture, the value that stands for number 1, and a value that does not occur
    "P": (indexed, b"\xff\0\xff", b"\xff\xff\xff\0"), "P, one number": (indexed, 1, 3),
    "P, nearly opaque": (indexed, b"\xff\xfe", b"\xff" * 3), "L": (Image.fromarray, 1, 200),
    "RGB": (lambda labels: Image.fromarray(COLORS[labels]), (10, 20, 30), (10, 20, 31)),
    "1": (lambda labels: Image.fromarray((labels == 1) * np.uint8(255)).convert("1"), 1, None),
    "I;16": (lambda labels: Image.fromarray(labels.astype(np.uint16)), 1, 65_000),
}  # fmt: skip


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_numbers_and_colours_declared_transparent_are_refused_where_they_occur(tmp_path, kind):
    make, used, unused = TRANSPARENT[kind]
    count = (label_map() == 1).sum()
    make(label_map()).save(tmp_path / "x.png", transparency=used)
    with pytest.raises(DataError, match=rf"x\.png: there are {count} transparent pixels.*row 0, column 1.* Fill"):
        read_labels(tmp_path / "x.png", PALETTE)
    if unused is not None:
        make(label_map()).save(tmp_path / "x.png", transparency=unused)
        np.testing.assert_array_equal(read_labels(tmp_path / "x.png", PALETTE), label_map())


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_transparent_grey_values_of_few_bits_are_compared_as_stored(tmp_path, bits):
    from hostile_samples import chunk, header, png

    pixels = chunk(b"IDAT", zlib.compress(b"\0\x40"))  # the first number is 0, 1 or 4 with 1, 2 or 4 bits
    first = 0x40 >> (8 - bits)
    for number, is_used in ((first, True), (first + 1, bits == 1)):
        content = png(header(1, 1, depth=bits), chunk(b"tRNS", struct.pack(">H", number)), pixels)
        (tmp_path / "x.png").write_bytes(content)
        if is_used and number == first:
            with pytest.raises(DataError, match="1 transparent pixels"):
                read_labels(tmp_path / "x.png")
        else:
            assert read_labels(tmp_path / "x.png") == first


# Orientation

TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
         7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip


def turned_folder(root, orientation, *, stored_labels, suffix="jpg"):
    """Write a folder of pictures that EXIF turns, with label maps of the upright pictures or of the stored pixels."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for k in range(3):
        upright = label_map(seed=k)
        turn = (
            (lambda image: image)
            if orientation == 1
            else lambda image: image.transpose(Image.Transpose[TURNS[orientation]])
        )
        for folder in ("images", "labels"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        turn(Image.fromarray(COLORS[upright] * 4)).save(root / "images" / f"{k}.{suffix}", exif=exif)
        labels = Image.fromarray(upright)
        (turn(labels) if stored_labels else labels).save(root / "labels" / f"{k}.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_label_maps_fit_pictures_with_an_orientation(tmp_path, orientation, suffix):
    turned_folder(tmp_path, orientation, stored_labels=False, suffix=suffix)
    for split in ("train", "val"):
        data = Folder(tmp_path, split)
        assert data.problems() == []
        for sample in data:
            if suffix != "webp":
                np.testing.assert_array_equal(sample.image, COLORS[sample.labels] * 4)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_label_maps_in_the_stored_orientation_are_refused_with_a_remedy(tmp_path, orientation):
    turned_folder(tmp_path, orientation, stored_labels=True)
    (problem,) = Folder(tmp_path, "val").problems()
    assert problem.startswith(f"{tmp_path / 'labels' / '2.png'}: ")
    for fact in (f"{H} x {W}", f"{W} x {H}", "upright", f"exiftool -Orientation= {tmp_path}/images/2.jpg"):
        assert fact in problem


def test_huge_pictures_are_rejected_by_their_header(tmp_path):
    from test_camvid import grey_png

    small = grey_png(np.zeros((1, 1), int), 8)
    for pixels, where, limit in ((30_000, "over 178 Mpx", 50), (8_000, "8000 x 8000 = 64 Mpx", 50)):
        header = b"IHDR" + struct.pack(">IIBBBBB", pixels, pixels, 8, 0, 0, 0, 0)
        forged = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
        (tmp_path / "bomb.png").write_bytes(forged)
        for read in (read_image, read_labels):
            with pytest.raises(DataError, match=rf"bomb\.png: claims {where}.*at most {limit}"):
                read(tmp_path / "bomb.png")
    with pytest.raises(DataError, match="damaged"):  # the limit for single pictures is higher
        read_image(tmp_path / "bomb.png", max_pixels=pictures.MAX_PIXELS_SINGLE)
