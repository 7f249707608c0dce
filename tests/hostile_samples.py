"""Pictures of several formats built part by part, for files that no program would write."""

import io
import struct
import zlib

import numpy as np
from folder_samples import H, W, picture
from PIL import Image
from PIL.ExifTags import Base as Tag

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, INDEXED = 0, 2, 3  # colour types
BOMB = zlib.compress(bytes(100_000_000), 9)  # 100 kB


def chunk(kind, body=b"", *, length=None, crc=None):
    """One chunk. `length` and `crc` are false claims."""
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body) if length is None else length) + kind + body + struct.pack(">I", crc)


def header(width=W, height=H, depth=8, color=GREY, compression=0, filtering=0, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, compression, filtering, interlace))


def rows(bytes_per_row=W, count=H):
    """The pixels of a black picture, with a filter byte before each row."""
    return chunk(b"IDAT", zlib.compress(bytes(count * (1 + bytes_per_row))))


END = chunk(b"IEND")
PALETTE = chunk(b"PLTE", bytes(range(3 * 12)))


def png(*chunks, end=END):
    return SIGNATURE + b"".join(chunks) + end


def grey(*extra, **claims):
    """A black grey-level picture with more chunks between its header and its pixels."""
    return png(header(**claims), *extra, rows())


def indexed(*extra, color=INDEXED):
    return png(header(color=color), *extra, rows())


def encoded(image, kind="PNG", **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunks_of(data):
    """Return (kind, body) of all chunks of a PNG file, according to its lengths."""
    found, place = [], len(SIGNATURE)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


# JPEG


def jpeg(**options):
    return encoded(np.kron(picture(), np.ones((4, 4, 1), np.uint8)), "JPEG", **options)


def segment(marker, body=b"", *, length=None):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2 if length is None else length) + body


def without(data, *markers):
    """Return a JPEG file without the segments of these kinds before its scan."""
    kept, place = data[:2], 2
    while data[place + 1] != 0xDA:
        length = 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        kept += b"" if data[place + 1] in markers else data[place : place + length]
        place += length
    return kept + data[place:]


def with_segment(data, marker, body, **claims):
    """Return a JPEG file with one more segment at its start."""
    return data[:2] + segment(marker, body, **claims) + data[2:]


def patched(data, marker, offset, new):
    """Overwrite bytes of the first such segment of a JPEG file. The offset is relative to the end of its length."""
    place = data.index(bytes([0xFF, marker])) + 4 + offset
    return data[:place] + new + data[place + len(new) :]


def exif(*entries, next_ifd=0):
    """The body of an APP1 segment with one directory of entries (tag, type, count, value or offset)."""
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", next_ifd) + bytes(16)


def tiff(pixels=bytes(W * H), next_ifd=0, **claims):
    """A grey TIFF of one strip. `claims` replaces tags by numbers or (type, count, value), and None removes a tag."""
    tags = {"ImageWidth": W, "ImageLength": H, "BitsPerSample": 8, "Compression": 1, "PhotometricInterpretation": 1,
            "StripOffsets": 8, "SamplesPerPixel": 1, "RowsPerStrip": H, "StripByteCounts": len(pixels)}  # fmt: skip
    tags = {Tag[name].value: value for name, value in (tags | claims).items() if value is not None}
    entries = [(tag, *(value if isinstance(value, tuple) else (4, 1, value))) for tag, value in sorted(tags.items())]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory + struct.pack("<I", next_ifd)


def tiff_of_pages(count):
    """A chain of `count` directories that share their pixels."""
    page = tiff()
    directory = page[8 + W * H : -4]
    places = [8 + W * H + k * (len(directory) + 4) for k in range(1, count)]
    return page[: 8 + W * H] + b"".join(directory + struct.pack("<I", place) for place in [*places, 0])


def tiled(side, **claims):
    """A picture of one pixel in one compressed tile of zeros."""
    pixels = zlib.compress(bytes(min(side * side, 60_000_000)))
    return tiff(
        pixels, ImageWidth=1, ImageLength=1, Compression=8, TileWidth=side, TileLength=side, TileOffsets=8,
        TileByteCounts=len(pixels), StripOffsets=None, StripByteCounts=None, RowsPerStrip=None, **claims,
    )  # fmt: skip


def bmp(width=W, height=H, bits=8, compression=0, colors=0, pixels=bytes(12 * H)):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, colors, 0)
    start = 14 + len(header) + (1024 if bits == 8 else 0)
    palette = bytes(value for k in range(256) for value in (k, 0, k, 0)) if bits == 8 else b""
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels


def gif(width=W, height=H, frames=1, pixels=b"\x02\x02\x44\x01\0"):
    """Frames of one pixel in a larger screen."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + pixels
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


def webp_canvas(side):
    """An extended WebP whose canvas is larger than its picture."""
    inner = encoded(picture(), "WEBP", lossless=True)[12:]
    size = struct.pack("<I", side - 1)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size * 2 + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body
