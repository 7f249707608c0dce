"""Writing PNG files row by row, for pictures that are too large for memory."""

import struct
import zlib
from typing import BinaryIO

import numpy as np

from .image_bytes import MARK

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class PngRows:
    """A PNG file that is written from top to bottom (PNG specification, third edition, sections 5 and 9 to 11).

    Args:
        file: a binary file at its beginning, which must be seekable, because the height is written at the end.
        width: the number of pixels in each row.
        colors: (256, 3) uint8, the colours of a palette picture; None for an RGB picture.
    """

    def __init__(self, file: BinaryIO, width: int, colors: np.ndarray | None = None) -> None:
        self.file, self.width, self.colors, self.height = file, width, colors, 0
        self._compressor = zlib.compressobj(4)  # level 6 takes twice as long for files that are 5 % smaller
        self._write_header()
        self._chunk(b"tEXt", "\0".join(MARK).encode())
        if colors is not None:
            self._chunk(b"PLTE", colors.astype(np.uint8).tobytes())

    def write(self, rows: np.ndarray) -> None:
        """Append rows: (n, width) uint8 for a palette picture, (n, width, 3) uint8 for an RGB picture."""
        n, filtered = len(rows), np.ascontiguousarray(rows)
        if n == 0:
            return
        if self.colors is None:  # filter 1: store the differences from the pixels on the left, which compress better
            filtered = filtered.copy()
            filtered[:, 1:] -= rows[:, :-1]
        kinds = np.full((n, 1), self.colors is None, np.uint8)
        self._chunk(b"IDAT", self._compressor.compress(np.hstack([kinds, filtered.reshape(n, -1)]).tobytes()))
        self.height += n

    def close(self) -> None:
        """Complete the file. The caller closes it."""
        self._chunk(b"IDAT", self._compressor.flush())
        self._chunk(b"IEND", b"")
        self.file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        self.file.write(_SIGNATURE)
        color_type = 2 if self.colors is None else 3
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, 8, color_type, 0, 0, 0))

    def _chunk(self, kind: bytes, data: bytes) -> None:
        if data or kind != b"IDAT":
            self.file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
