"""PNG and JPEG files built chunk by chunk, for files that no program would write."""

import io
import struct
import zlib

import numpy as np
from folder_samples import H, W, picture
from PIL import Image

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
