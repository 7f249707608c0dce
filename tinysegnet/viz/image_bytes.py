"""The files that `predict` writes: label maps as palette PNGs, PNGs row by row, and animations of overlays."""

import base64
import io
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..data.palette import Palette
from ..files import COMMENT, MARK
from .frame_composer import FrameComposer

LONGEST, SHORTEST = 640, 160  # pixels; maximum of a frame's longer side, minimum of either side
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def index_picture(labels: np.ndarray, palette: Palette) -> Image.Image:
    """Return labels (H, W) uint8 as a palette picture: its values are class numbers, and viewers show their colours."""
    picture = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    picture.putpalette(palette.lookup_table().tobytes())  # changes the mode to P and keeps the values
    return picture


def picture_bytes(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """Encode the picture in this format, with Pillow's options."""
    if format == "PNG":  # level 6, Pillow's default, takes more than twice as long and makes an overlay 3 % smaller
        mark = PngInfo()
        mark.add_text(*MARK)
        options = {"compress_level": 4, "pnginfo": mark, **options}
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def data_uri(kind: str, data: bytes) -> str:
    """Return the file of a picture as an address for HTML; its kind is "png", "jpeg" or "svg+xml"."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


class Animation:
    """Overlays of many pictures as one GIF that repeats forever; all frames have the first picture's shape.

    count: the maximum number of pictures. Frames have 256 colours, so that each takes less than 1 MB of memory.
    """

    def __init__(self, palette: Palette, count: int) -> None:
        self.palette, self.count = palette, count
        self.frames: list[Image.Image] = []
        self._composer: FrameComposer | None = None

    def add(self, image: np.ndarray, labels: np.ndarray, name: str, number: int) -> None:
        """Append the overlay of picture `number` of `count`: image (H, W, 3), labels (H, W)."""
        if self._composer is None:
            self._composer = FrameComposer(self.palette, _frame_size(*labels.shape), captions=True)
        frame = self._composer.frame(image, labels, (name, f"{number} / {self.count}"))
        # This method keeps rare colours, such as those in the legend.
        self.frames.append(frame.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))

    def to_bytes(self) -> bytes:
        """Return the GIF file. It lasts half a minute if frames of 0.1 to 0.7 seconds allow this."""
        pause = min(max(30_000 // len(self.frames), 100), 700)  # milliseconds
        first, *others = self.frames
        return picture_bytes(first, "GIF", save_all=True, append_images=others, duration=pause, loop=0,
                             comment=COMMENT)  # fmt: skip


def _frame_size(H: int, W: int) -> tuple[int, int]:
    """Return (H, W) of the overlays: the proportions of the first picture, and 320 to 640 pixels on the longer side."""
    factor = min(max(1.0, LONGEST / 2 / max(H, W)), LONGEST / max(H, W))
    return max(SHORTEST, round(H * factor)), max(SHORTEST, round(W * factor))


class PngRows:
    """A PNG file that is written from top to bottom, for pictures that are too large for memory.

    Source: PNG specification, third edition, sections 5 and 9 to 11.

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
