"""Pictures of all formats, channels and bits give the same upright RGB values, or a one-line error with a remedy."""

import builtins
import io
import sys
import zlib

import numpy as np
import pytest
from folder_samples import H, W, label_map, picture, save
from hostile_samples import chunk, encoded, header, png, tiff
from PIL import Image

from tinysegnet.data import read_image, read_labels
from tinysegnet.errors import DataError

LOSSLESS = {  # the format of Pillow and the options for saving
    "png": ("PNG", {}), "tif": ("TIFF", {}), "lzw.tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate.TIF": ("TIFF", {"compression": "tiff_adobe_deflate"}), "bmp": ("BMP", {}),
    "webp": ("WEBP", {"lossless": True}), "named.jpg": ("WEBP", {"lossless": True}),
}  # fmt: skip
ORIENTED = {"PNG": {}, "JPEG": {"quality": 95}, "TIFF": {}, "WEBP": {"quality": 95}, "AVIF": {"quality": 95}}
TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
         7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip


def stored(upright, orientation):
    """Return the pixels and the EXIF data of a picture that viewers turn upright."""
    image, exif = Image.fromarray(upright), Image.Exif()
    exif[0x0112] = orientation
    return (image if orientation == 1 else image.transpose(Image.Transpose[TURNS[orientation]])), exif


def marked():
    """A picture with a light square at the top left."""
    seen = np.zeros((16, 32, 3), np.uint8)
    seen[:8, :8] = 250
    return seen


def heif():
    return pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_same_pixels(tmp_path, name):
    kind, options = LOSSLESS[name]
    save(tmp_path / f"x.{name}", picture(), format=kind, **options)
    np.testing.assert_array_equal(read_image(tmp_path / f"x.{name}"), picture())


@pytest.mark.parametrize("kind", ["GIF", "JPEG", "AVIF"])
def test_lossy_formats_give_nearly_the_same_pixels(tmp_path, kind):
    save(tmp_path / "x.png", marked(), format=kind)
    assert np.abs(read_image(tmp_path / "x.png").astype(int) - marked()).mean() < 3


@pytest.mark.parametrize("kind", ORIENTED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_once(tmp_path, kind, orientation):
    image, exif = stored(marked(), orientation)
    image.save(tmp_path / "x", kind, exif=exif, **ORIENTED[kind])
    assert np.abs(read_image(tmp_path / "x").astype(int) - marked()).max() < 40


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_pictures_are_turned_upright_once(tmp_path, orientation):
    heif().register_heif_opener()
    image, exif = stored(np.kron(marked(), np.ones((4, 4, 1), np.uint8)), orientation)
    image.save(tmp_path / "x.HEIC", "HEIF", exif=exif.tobytes(), quality=95)
    found = read_image(tmp_path / "x.HEIC")
    assert found.shape == (64, 128, 3)
    assert found[:30, :30].min() > 200
    assert found[34:, 34:].max() < 50


@pytest.mark.parametrize(("brand", "kind"), [(b"heic", "HEIC"), (b"heix", "HEIC"), (b"mif1", "HEIC")])
def test_without_pillow_heif_the_error_says_how_to_install_it(tmp_path, monkeypatch, brand, kind):
    original = builtins.__import__

    def without_heif(name, *arguments, **options):
        if name.startswith("pillow_heif"):
            raise ImportError(name)
        return original(name, *arguments, **options)

    for name in [name for name in sys.modules if name.startswith("pillow_heif")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_heif)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (tmp_path / "x.jpg").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
    with pytest.raises(DataError, match=rf"x\.jpg: .*{kind} picture.*pip install .*pillow-heif"):
        read_image(tmp_path / "x.jpg")


# 16 bits per channel: the high byte of each value is used


def sixteen_bits(values, kind):
    """The bytes of a picture with 16 bits per channel, grey or RGB; Pillow cannot write 16-bit colours."""
    if values.ndim == 2:
        return encoded(Image.fromarray(values), kind)
    if kind == "TIFF":
        pixels = values.astype("<u2").tobytes()
        return tiff(pixels, BitsPerSample=16, PhotometricInterpretation=2, SamplesPerPixel=3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(header(depth=16, color=2), chunk(b"IDAT", zlib.compress(rows)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("top", [4096, 5000, 40_000, 65_535])
def test_the_high_byte_of_16_bit_values_is_used(tmp_path, kind, channels, top):
    values = np.random.default_rng(0).integers(0, top, (H, W, *channels)).astype(np.uint16)
    values[0, 0] = top
    (tmp_path / "x").write_bytes(sixteen_bits(values, kind))
    expected = (values >> 8).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "x"), expected if channels else np.stack([expected] * 3, -1))


def test_a_uniform_picture_may_be_compressed_more_than_a_png_can(tmp_path):
    Image.new("RGB", (2500, 2000), (9, 8, 7)).save(tmp_path / "x.webp", lossless=True)
    assert (tmp_path / "x.webp").stat().st_size < 2500 * 2000 / 8 / 1032  # deflate's limit for one bit per pixel
    assert (read_image(tmp_path / "x.webp")[::99, ::99] == (9, 8, 7)).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("top", [0, 31, 4095])
def test_dark_16_bit_pictures_are_refused(tmp_path, kind, channels, top):
    (tmp_path / "x.png").write_bytes(sixteen_bits(np.full((H, W, *channels), top, np.uint16), kind))
    with pytest.raises(DataError, match=r"x\.png: .*16-bit.*4096.* Scale"):
        read_image(tmp_path / "x.png")


REFUSED = {
    "floating-point": tiff(bytes(4 * H * W), BitsPerSample=32, SampleFormat=3),
    "32 bits": tiff(bytes(4 * H * W), BitsPerSample=32),
    "5 channels": tiff(bytes(5 * H * W), SamplesPerPixel=5, PhotometricInterpretation=2, ExtraSamples=(3, 2, 0)),
    "4 channels": tiff(bytes(4 * H * W), SamplesPerPixel=4, PhotometricInterpretation=2, ExtraSamples=0),
    "2 channels": tiff(bytes(2 * H * W), SamplesPerPixel=2, ExtraSamples=0),
    "channels": tiff(bytes(7 * H * W), SamplesPerPixel=7),
    "planes": tiff(bytes(6 * H * W), BitsPerSample=16, SamplesPerPixel=3, PhotometricInterpretation=2,
                   PlanarConfiguration=2, StripOffsets=8),
    "inverted": tiff(bytes(2 * H * W), BitsPerSample=16, PhotometricInterpretation=0),
}  # fmt: skip


@pytest.mark.parametrize("fact", REFUSED)
def test_pictures_with_other_channels_are_refused(tmp_path, fact):
    (tmp_path / "x.tif").write_bytes(REFUSED[fact])
    with pytest.raises(DataError, match=rf"x\.tif: .*{fact}.*\. Save"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
@pytest.mark.parametrize("count", [2, 7])
def test_several_frames_are_refused(tmp_path, kind, count):
    first, *others = [Image.fromarray(picture(k)) for k in range(count)]
    first.save(tmp_path / "x", kind, save_all=True, append_images=others)
    with pytest.raises(DataError, match=r"x: .*several frames.* Save"):
        read_image(tmp_path / "x")


def test_the_first_picture_of_a_jpeg_with_variants_is_read(tmp_path):
    first, second = (Image.fromarray(np.full((H, W, 3), value, np.uint8)) for value in (200, 10))
    first.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[second])
    assert read_image(tmp_path / "x.jpg").min() > 190


UNREADABLE = {
    "x.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "x.psd": (b"8BPS" + bytes(50), "Photoshop"), "x.cr2": (tiff(), "raw file"), "x.NEF": (tiff(), "raw file"),
    "x.dng": (tiff(), "raw file"), "x.jp2": (encoded(picture(), "JPEG2000"), "JPEG 2000"),
    "x.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_other_pictures_are_refused_by_their_kind(tmp_path, name):
    content, fact = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    for read in (read_image, read_labels):
        with pytest.raises(DataError, match=rf"{name}: .*{fact}.*PNG"):
            read(tmp_path / name)


# Label maps


@pytest.mark.parametrize("name", [name for name, (kind, _) in LOSSLESS.items() if kind != "WEBP"])
@pytest.mark.parametrize("count", [2, 11, 256])
def test_label_maps_in_lossless_formats_are_read_exactly(tmp_path, name, count):
    kind, options = LOSSLESS[name]
    save(tmp_path / f"x.{name}", label_map(count), format=kind, **options)
    np.testing.assert_array_equal(read_labels(tmp_path / f"x.{name}"), label_map(count))


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("WEBP", {"lossless": True}), ("GIF", {}), ("AVIF", {}),
                                               ("TIFF", {"compression": "jpeg"})])  # fmt: skip
def test_label_maps_in_formats_that_change_numbers_are_refused(tmp_path, kind, options):
    save(tmp_path / "x.png", label_map(11), format=kind, **options)
    with pytest.raises(DataError, match=r"x\.png: .*Export .*PNG"):
        read_labels(tmp_path / "x.png")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int16])
def test_tiff_label_maps_of_16_and_32_bits_are_read(tmp_path, dtype):
    bits, kind = 8 * dtype().itemsize, 1 if dtype == np.uint16 else 2
    pixels = label_map(9).astype(dtype).tobytes()
    (tmp_path / "x.tif").write_bytes(tiff(pixels, BitsPerSample=bits, SampleFormat=kind))
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), label_map(9))


@pytest.mark.parametrize("wrong", [-1, 65_536, 1 << 30])
def test_numbers_of_32_bits_that_are_no_classes_are_refused(tmp_path, wrong):
    values = label_map(9).astype(np.int32)
    values[2, 3] = wrong
    (tmp_path / "x.tif").write_bytes(tiff(values.tobytes(), BitsPerSample=32, SampleFormat=2))
    with pytest.raises(DataError, match=rf"x\.tif: .*{wrong}"):
        read_labels(tmp_path / "x.tif")


def test_inverted_and_floating_point_label_maps_are_refused(tmp_path):
    for content in (tiff(PhotometricInterpretation=0), REFUSED["floating-point"]):
        (tmp_path / "x.tif").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.tif: .*(inverted|floating)"):
            read_labels(tmp_path / "x.tif")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_label_maps_with_an_orientation_are_turned_upright(tmp_path, kind, orientation):
    image, exif = stored(label_map(7), orientation)
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), label_map(7))
