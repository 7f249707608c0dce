"""Pictures and label maps that were crafted to do harm.

Every reader must reject the files in REFUSED and accept those in HARMLESS. EITHER may be rejected or accepted.
"""

import struct
import zipfile
import zlib
from io import BytesIO

from folder_samples import H, W, label_map, picture
from hostile_samples import (
    BOMB,
    INDEXED,
    PALETTE,
    RGB,
    SIGNATURE,
    bmp,
    chunk,
    chunks_of,
    encoded,
    exif,
    gif,
    grey,
    header,
    indexed,
    jpeg,
    patched,
    png,
    rows,
    segment,
    tiff,
    tiff_of_pages,
    tiled,
    webp_canvas,
    with_segment,
    without,
)
from PIL import Image

ORIENTATION, X_RESOLUTION, EXIF_IFD = 0x0112, 0x011A, 0x8769
APP1, APP2, SOF0, SOF2, SOF9, DHT, DQT, DRI = 0xE1, 0xE2, 0xC0, 0xC2, 0xC9, 0xC4, 0xDB, 0xDD

SOUND = encoded(picture())
JPEG = jpeg()
PROGRESSIVE = jpeg(progressive=True)
TIFF = encoded(picture(), "TIFF", compression="tiff_lzw")
WEBP = encoded(picture(), "WEBP", lossless=True)
AVIF = encoded(picture(), "AVIF")


def at(kind, offset):
    """The valid PNG, cut off `offset` bytes after the name of a chunk."""
    return SOUND[: SOUND.index(kind) + 4 + offset]


def many_scans(count, side=6000):
    """A small progressive JPEG whose last scan, which covers all pixels, is repeated `count` times."""
    data = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def zipped():
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.png", SOUND)
    return buffer.getvalue()


def in_other_formats():
    image = Image.fromarray(label_map())
    for kind in ("ICO", "PPM", "PDF", "TGA", "JPEG2000", "SGI"):
        yield f"{kind} named .png", encoded(image, kind)


REFUSED = {
    "empty": b"",
    "one byte": b"\x89",
    "text": b"nothing to see here\n" * 100,
    "zeros": bytes(10_000),
    "an SVG named .png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="6"/>',
    "a zip named .png": zipped(),
    **dict(in_other_formats()),
    "PNG: only the signature": SIGNATURE,
    "PNG: cut in the length of IHDR": SOUND[:10],
    "PNG: cut in IHDR": at(b"IHDR", 5),
    "PNG: cut in the CRC of IHDR": at(b"IHDR", 15),
    "PNG: cut after IHDR": at(b"IHDR", 17),
    "PNG: cut before the pixels": at(b"IDAT", 0),
    "PNG: cut in the pixels": at(b"IDAT", 60),
    "PNG: wrong CRC of IHDR": png(chunk(b"IHDR", chunks_of(SOUND)[0][1], crc=0), rows(3 * W)),
    "PNG: wrong CRC of a critical chunk": indexed(chunk(b"PLTE", bytes(9), crc=0)),
    "PNG: no IHDR": png(rows()),
    "PNG: a short IHDR": png(chunk(b"IHDR", bytes(5)), rows()),
    "PNG: width 0": grey(width=0),
    "PNG: height 0": grey(height=0),
    "PNG: width 2^31": grey(width=1 << 31),
    "PNG: 2^32 - 1 wide and high": grey(width=(1 << 32) - 1, height=(1 << 32) - 1),
    "PNG: 30000 x 30000": grey(width=30_000, height=30_000),
    "PNG: 7000 x 7000, almost all pixels missing": grey(width=7000, height=7000),
    "PNG: 9 x 4000000, nearly all missing": png(header(9, 4_000_000), rows()),
    "PNG: depth 3": grey(depth=3),
    "PNG: depth 0": grey(depth=0),
    "PNG: colour type 5": grey(color=5),
    "PNG: indexed with 16 bits": png(header(depth=16, color=INDEXED), PALETTE, rows(2 * W)),
    "PNG: filtering 9": grey(filtering=9),
    "PNG: no pixels": png(header()),
    "PNG: empty pixels": png(header(), chunk(b"IDAT")),
    "PNG: garbage as pixels": png(header(), chunk(b"IDAT", bytes(range(256)))),
    "PNG: only a checksum as pixels": png(header(), chunk(b"IDAT", b"\x78\x9c\x03\0\0\0\0\x01")),
    "PNG: rows of filter 9": png(header(), chunk(b"IDAT", zlib.compress(b"\x09" * (H * (W + 1))))),
    "PNG: a chunk of 2^31 - 1 bytes": png(header(), chunk(b"IDAT", length=(1 << 31) - 1), rows()),
    "PNG: a chunk of 2^32 - 1 bytes": png(header(), chunk(b"teXt", length=(1 << 32) - 1), rows()),
    "PNG: a bomb in a text": grey(chunk(b"zTXt", b"Comment\0\0" + BOMB)),
    "PNG: a bomb in an international text": grey(chunk(b"iTXt", b"Comment\0\x01\0\0\0" + BOMB)),
    "PNG: a bomb in a colour profile": grey(chunk(b"iCCP", b"profile\0\0" + BOMB)),
    "PNG: 100 texts of 1 MB": grey(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 100),
    "PNG: 16-bit colours, all black": png(header(depth=16, color=RGB), rows(6 * W)),
    "PNG: animated": encoded(Image.new("L", (W, H)), save_all=True, append_images=[Image.new("L", (W, H), 1)] * 20),
    "PNG: 2^31 frames": grey(chunk(b"acTL", struct.pack(">II", 1 << 31, 0))),
    "PNG: interlace 7": grey(interlace=7),
    "PNG: indexed, 300 colours": indexed(chunk(b"PLTE", bytes(900))),
    "PNG: grey, transparency of one byte": grey(chunk(b"tRNS", b"\1")),
    "TIFF: only the signature": tiff()[:4],
    "TIFF: cut in the directory": tiff()[:-70],
    "TIFF: cut in the pixels": TIFF[: len(TIFF) // 2],
    "TIFF: the directory is outside": b"II*\0" + b"\xff" * 4 + bytes(100),
    "TIFF: 60000 missing entries": b"II*\0" + struct.pack("<IH", 8, 60_000),
    "TIFF: no size": tiff(ImageWidth=None),
    "TIFF: width 0": tiff(ImageWidth=0),
    "TIFF: 30000 x 30000": tiff(ImageWidth=30_000, ImageLength=30_000, RowsPerStrip=30_000),
    "TIFF: 7000 x 7000, almost all pixels missing": tiff(ImageWidth=7000, ImageLength=7000, RowsPerStrip=7000),
    "TIFF: more rows than its strip": tiff(ImageLength=1_500_000),
    "TIFF: 7000 x 7000, compressed, nearly all missing": tiff(
        zlib.compress(bytes(100)), ImageWidth=7000, ImageLength=7000, RowsPerStrip=7000, Compression=8
    ),
    "TIFF: a compressed strip of 4 GB": tiff(zlib.compress(bytes(10)), StripByteCounts=(1 << 32) - 1, Compression=8),
    "TIFF: strips outside": tiff(StripOffsets=1 << 30),
    "TIFF: 2^32 - 1 strips": tiff(StripOffsets=(4, (1 << 32) - 1, 8)),
    "TIFF: a text of 4 GB as its size": tiff(ImageWidth=(2, (1 << 32) - 1, 8)),
    "TIFF: a tile of 20000 x 20000": tiled(20_000),
    "TIFF: a tile of 2^31 x 2^31": tiled(1 << 31),
    "TIFF: two pages": tiff_of_pages(2),
    "TIFF: 2000 pages": tiff_of_pages(2000),
    "TIFF: 20000 pages": tiff_of_pages(20_000),
    "TIFF: 3 bits": tiff(BitsPerSample=3),
    "TIFF: 64 bits": tiff(BitsPerSample=64),
    "TIFF: 65535 channels": tiff(SamplesPerPixel=65535),
    "TIFF: 2^31 channels": tiff(SamplesPerPixel=1 << 31),
    "TIFF: an unknown compression": tiff(Compression=12345),
    "TIFF: garbage as LZW": tiff(bytes(range(256)), Compression=5),
    "TIFF: garbage as JPEG": tiff(bytes(range(256)), Compression=7),
    "TIFF: a palette is missing": tiff(PhotometricInterpretation=3),
    "WebP: only the signature": WEBP[:12],
    "WebP: cut in the header": WEBP[:25],
    "WebP: cut in the pixels": WEBP[: len(WEBP) // 2],
    "WebP: 16383 x 16383": WEBP.replace(b"\x2f" + WEBP[21:24], b"\x2f\xfe\xbf\xff"),
    "WebP: a canvas of 8000 x 8000": webp_canvas(8000),
    "WebP: a canvas of 2^24 x 2^24": webp_canvas(1 << 24),
    "WebP: animated": encoded(Image.new("L", (W, H)), "WEBP", save_all=True, append_images=[Image.new("L", (W, H), 9)]),
    "BMP: only the signature": b"BM",
    "BMP: cut in the pixels": bmp()[:-20],
    "BMP: 30000 x 30000": bmp(30_000, 30_000),
    "BMP: 30000 x -30000": bmp(30_000, -30_000),
    "BMP: 2^31 - 1 wide": bmp((1 << 31) - 1, 1),
    "BMP: width -9": bmp(-W),
    "BMP: 7000 x 7000 of run lengths": bmp(7000, 7000, compression=1, pixels=b"\x01\x05\0\0" * 7000),
    "BMP: one row of 49 million, of jumps": bmp(49_000_000, 1, compression=1, pixels=b"\0\x02\xff\xff" * 9),
    "BMP: 3 bits": bmp(bits=3),
    "BMP: 2^32 - 1 colours": bmp(colors=(1 << 32) - 1),
    "GIF: only the signature": b"GIF89a",
    "GIF: no picture": gif(frames=0),
    "GIF: 65535 x 65535": gif(65535, 65535),
    "GIF: two frames": gif(frames=2),
    "GIF: 40000 frames": gif(frames=40_000),
    "GIF: 500000 frames": gif(frames=500_000),
    "AVIF: only the signature": b"\0\0\0\x1cftypavif",
    "AVIF: cut in the pixels": AVIF[:-50],
    "AVIF: animated": encoded(Image.new("L", (W, H)), "AVIF", save_all=True, append_images=[Image.new("L", (W, H), 9)]),
    "HEIC: only the signature": b"\0\0\0\x18ftypheic" + bytes(400),
    "HEIC: AVIF called HEIC": AVIF.replace(b"ftypavif", b"ftypheic"),
    "JPEG: only the signature": JPEG[:2],
    "JPEG: only 20 bytes": JPEG[:20],
    "JPEG: cut before the scan": JPEG[: JPEG.index(b"\xff\xda")],
    "JPEG: cut in the scan": JPEG[: -len(JPEG) // 4],
    "JPEG: no end": JPEG[:-2],
    "JPEG: no size": without(JPEG, SOF0),
    "JPEG: no quantisation": without(JPEG, DQT),
    "JPEG: 0 lines": patched(JPEG, SOF0, 1, struct.pack(">H", 0)),
    "JPEG: 0 columns": patched(JPEG, SOF0, 3, struct.pack(">H", 0)),
    "JPEG: 65535 x 65535": patched(JPEG, SOF0, 1, b"\xff" * 4),
    "JPEG: 0 components": patched(JPEG, SOF0, 5, b"\0"),
    "JPEG: 12 bits": patched(JPEG, SOF0, 0, b"\x0c"),
    "JPEG: sampling 15 x 15": patched(JPEG, SOF0, 7, b"\xff"),
    "JPEG: an invalid Huffman table": patched(JPEG, DHT, 1, b"\xff" * 16),
    "JPEG: a segment of length 0": with_segment(JPEG, DRI, b"", length=0),
    "JPEG: a segment without an end": with_segment(JPEG, APP1, b"Exif\0\0", length=65535),
    "JPEG: 3000 scans of 36 Mpx": many_scans(3000),
}

AFTER_ONE_ENTRY = 8 + 2 + 12 + 4  # where `exif` puts zeros
EXIF = {
    "orientation 0": exif((ORIENTATION, 3, 1, 0)),
    "orientation 9": exif((ORIENTATION, 3, 1, 9)),
    "orientation 65535": exif((ORIENTATION, 3, 1, 65535)),
    "orientation as text": exif((ORIENTATION, 2, 4, int.from_bytes(b"six\0", "little"))),
    "orientation 0/0": exif((ORIENTATION, 5, 1, AFTER_ONE_ENTRY)),
    "orientation as 2^32 - 1 numbers": exif((ORIENTATION, 3, (1 << 32) - 1, 0)),
    "orientation of an unknown type": exif((ORIENTATION, 99, 1, 6)),
    "0/0 pixels per inch": exif((X_RESOLUTION, 5, 1, AFTER_ONE_ENTRY)),
    "a directory in itself": exif((EXIF_IFD, 4, 1, 8), next_ifd=8),
    "60000 missing entries": b"Exif\0\0II*\0" + struct.pack("<IH", 8, 60_000),
    "garbage": b"Exif\0\0" + bytes(range(256)) * 100,
}
HARMLESS = {
    "PNG": SOUND,
    "PNG: another file after its end": SOUND + zipped(),
    "PNG: 10000 empty chunks": grey(*[chunk(b"abCd")] * 10_000),
    "PNG: a bomb in its pixels": png(header(), chunk(b"IDAT", BOMB)),
    "PNG: interlaced": png(header(interlace=1), chunk(b"IDAT", zlib.compress(bytes(H * W + 20)))),
    "PNG: indexed, past the palette": png(
        header(color=INDEXED), chunk(b"PLTE", bytes(6)), chunk(b"IDAT", zlib.compress(b"\0\5\6\7\5\6\7\5\6\7" * H))
    ),
    "PNG: indexed, transparent": indexed(PALETTE, chunk(b"tRNS", bytes(12))),
    "PNG: indexed, 1000 transparent colours": indexed(PALETTE, chunk(b"tRNS", bytes(1000))),
    "PNG: grey, transparent 65535": grey(chunk(b"tRNS", b"\xff\xff")),
    "PNG: 16 Mpx of nothing": png(header(4000, 4000), rows(4000, 4000)),
    "PNG: 12 Mpx of a colour without a class": png(
        header(4000, 3000, color=RGB), chunk(b"IDAT", zlib.compress((b"\0" + b"\1\2\3" * 4000) * 3000))
    ),
    "TIFF": tiff(),
    "TIFF: a tile of 2000 x 2000": tiled(2000),
    "TIFF: 16 Mpx of nothing": tiff(
        zlib.compress(bytes(16_000_000)), ImageWidth=4000, ImageLength=4000, RowsPerStrip=4000, Compression=8
    ),
    "TIFF: a directory in itself": tiff(ExifOffset=8 + W * H),
    "BMP": bmp(),
    "BMP: from top to bottom": bmp(height=-H),
    "JPEG": JPEG,
    "JPEG: progressive": PROGRESSIVE,
    "JPEG: CMYK": encoded(Image.new("CMYK", (W, H)), "JPEG"),
    "JPEG: 1000 comments": JPEG[:2] + segment(0xFE, b"hello") * 1000 + JPEG[2:],
    "JPEG: a restart interval of 1": with_segment(JPEG, DRI, b"\0\1"),
    "JPEG: an invalid colour profile": with_segment(JPEG, APP2, b"ICC_PROFILE\0\xff\xff" + bytes(100)),
    **{f"JPEG: EXIF, {name}": with_segment(JPEG, APP1, body) for name, body in EXIF.items()},
    **{f"PNG: EXIF, {name}": grey(chunk(b"eXIf", body[6:])) for name, body in EXIF.items()},
}
EITHER = {
    "TIFF: a chain of pages that ends in itself": tiff(next_ifd=8 + W * H),
    "TIFF: the last bytes are missing": TIFF[:-4],
    "GIF: a screen of 3000 x 3000": gif(3000, 3000),
    "GIF: pixels of 0 bits": gif(pixels=b"\0\x02\x44\x01\0"),
    "GIF: pixels of 255 bits": gif(pixels=b"\xff\x02\x44\x01\0"),
    "GIF: empty pixels": gif(pixels=b"\x02\0"),
    "WebP: longer than its size": WEBP + bytes(100),
    "WebP: a canvas of 100 x 100": webp_canvas(100),
    "AVIF called mif1": AVIF.replace(b"ftypavif", b"ftypmif1"),
    "AVIF: longer than its boxes": AVIF + bytes(100),
    "PNG: one row is missing": png(header(), rows(count=H - 1)),
    "PNG: compression 9": grey(compression=9),
    "PNG: no end": png(header(), rows(), end=b""),
    "PNG: indexed, no palette": indexed(),
    "PNG: indexed, a palette of 10 bytes": indexed(chunk(b"PLTE", bytes(10))),
    "JPEG: no Huffman tables": without(JPEG, DHT),
    "JPEG: claims arithmetic coding": JPEG.replace(bytes([0xFF, SOF0]), bytes([0xFF, SOF9])),
    "JPEG: claims to be progressive": JPEG.replace(bytes([0xFF, SOF0]), bytes([0xFF, SOF2])),
}
