"""The files that `predict` writes: label maps as palette PNGs, and the overlays of a folder as an animation."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..data.palette import Palette
from .frame_composer import FrameComposer

LONGEST, SHORTEST = 640, 160  # pixels; maximum of a frame's longer side, minimum of either side

#: a text in all PNG files that tinysegnet writes
MARK = "Software", "tinysegnet"


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
        return picture_bytes(first, "GIF", save_all=True, append_images=others, duration=pause, loop=0)


def _frame_size(H: int, W: int) -> tuple[int, int]:
    """Return (H, W) of the overlays: the proportions of the first picture, and 320 to 640 pixels on the longer side."""
    factor = min(max(1.0, LONGEST / 2 / max(H, W)), LONGEST / max(H, W))
    return max(SHORTEST, round(H * factor)), max(SHORTEST, round(W * factor))
