"""Reading the pixels of label files exactly as they are stored. Damaged files of any kind raise only `DataError`.

The numbers in a label map are class numbers and must not change. Therefore only PNG, BMP and lossless TIFF are read:
JPEG at quality 95 changed three label pixels in four, and programs that write GIF renumber the colours. A file with a
colour palette yields its indices and its palette.
"""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import DataError
from .image_files import MAX_PIXELS, UNSUPPORTED, is_deep, open_picture
from .palette import Color

_FORMATS = ["PNG", "BMP", "TIFF"]
_LOSSY = {"tiff_jpeg", "jpeg", "webp"}  # names of compressions in TIFF files

# Pillow scales grey values of 2 and 4 bits to 0..255: 1 becomes 85 or 17. For class numbers, this scaling is undone.
_WIDENED = {"L;2": 85, "L;2R": 85, "L;4": 17, "L;4R": 17}


class LabelPixels(NamedTuple):
    """The pixels of a label file. A `LabelEncoding` defines their meaning."""

    values: np.ndarray  # numbers (H, W) uint8 or, from 16-bit files, uint16; or colours (H, W, 3) uint8
    palette: np.ndarray | None = None  # (K, 3) uint8, the colour of each number, if the file has a colour palette
    bits: int = 8  # bits per stored value: 1, 2, 4, 8 or 16

    def shown_colors(self, numbers: list[int]) -> tuple[dict[int, Color], bool]:
        """Return the displayed colours of numbers in the file, and whether the colours come from a palette.

        A file whose palette is a grey ramp counts as grey. A palette that contains only black does not count as a ramp.
        """
        table = [] if self.palette is None else self.palette.tolist()
        if len(table) != 1 and table == [[grey] * 3 for grey in range(len(table))]:
            step = 255 // (2 ** min(self.bits, 8) - 1)
            return {number: (number * step,) * 3 for number in numbers}, False
        known = dict(enumerate(table))  # a damaged file may contain numbers without a colour
        return {number: tuple(known.get(number, (-1, -1, -1))) for number in numbers}, True


def read_label_pixels(path: str | PathLike[str]) -> LabelPixels:
    """Read a label map: numbers from 1-bit, grey and palette files, colours from RGB files.

    The label map is turned upright by its own EXIF orientation. Raises DataError for transparent pixels,
    whose class is unknown, and for files that are damaged, lossy or too large, or contain no class numbers.
    """
    path = Path(path)
    image, raw_mode = open_picture(path, _FORMATS, MAX_PIXELS)
    if image.info.get("compression") in _LOSSY or (image.mode == "L" and "I" in raw_mode):
        raise DataError(f"{path}: the TIFF is lossy or stores inverted values (0 is white). Export it as PNG.")
    if image.mode in ("RGB", "RGBA", "LA") and is_deep(image, raw_mode):
        raise DataError(f"{path}: the label map has 16 bits per channel. Convert it to 8 bits per channel.")
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I") and not image.mode.startswith("I;16"):
        raise DataError(f"{path}: Pillow's mode {image.mode} ({UNSUPPORTED}) is not supported. Export 8-bit PNG files.")
    values = np.asarray(image)
    if image.mode == "P":
        pixels = LabelPixels(values, np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3))
    elif image.mode in ("LA", "RGB", "RGBA"):
        pixels = LabelPixels(values[..., 0] if image.mode == "LA" else values[..., :3])
    elif raw_mode in _WIDENED:
        pixels = LabelPixels(values // _WIDENED[raw_mode], bits=int(raw_mode[2]))
    elif image.mode in ("1", "L"):
        pixels = LabelPixels(values.astype(np.uint8), bits=1 if image.mode == "1" else 8)
    elif values.min() >= 0 and values.max() <= 65535:
        # In 16-bit files, 65535 means what 255 means in 8-bit files: void, or the foreground of a mask.
        pixels = LabelPixels(np.where(values == 65535, 255, values).astype(np.uint16), bits=16)
    else:
        raise DataError(f"{path}: the values {values.min()}..{values.max()} are not class numbers. Correct them.")
    _check_opaque(path, image, pixels.values)
    return pixels


def _check_opaque(path: object, image: Image.Image, values: np.ndarray) -> None:
    """Raise DataError if a pixel is transparent according to its alpha value, its number or its colour."""
    key = image.info.get("transparency")
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() < alpha.max() and (values == values[0, 0]).all():
            wrong = "all pixels have one colour, and only their transparency differs"
            raise DataError(f"{path}: {wrong}. Save the alpha channel as a grey picture.")
        transparent = alpha < 255
    elif isinstance(key, bytes):  # the alpha values of numbers, up to the last one that is not opaque
        transparent = np.frombuffer(key.ljust(256, b"\xff"), np.uint8)[values] < 255
    elif key is None:
        return
    elif values.ndim == 3:
        transparent = (values == np.array(key)).all(-1)
    else:
        transparent = values == (bool(key) if image.mode == "1" else key)
    if transparent.any():
        row, column = np.argwhere(transparent)[0]
        wrong = f"there are {transparent.sum()} transparent pixels, such as the one at row {row}, column {column}"
        raise DataError(f"{path}: {wrong}. Fill them with the colour of their class or of void.")
