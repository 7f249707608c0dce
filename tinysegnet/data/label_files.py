"""Reading the pixels of label files exactly as they are stored. Damaged files of any kind raise only `DataError`.

The numbers in a label map are class numbers and must not change. Therefore only lossless PNG is accepted (JPEG at
quality 95 changed three label pixels in four), and a file with a colour palette yields its indices and its palette.
"""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .image_files import MAX_PIXELS, is_deep, open_picture

# Pillow scales grey PNGs of 2 and 4 bits to 0..255: 1 becomes 85 or 17. For class numbers, this scaling is undone.
_WIDENED = {"L;2": 85, "L;4": 17}


class LabelPixels(NamedTuple):
    """The pixels of a label file. A `LabelEncoding` defines their meaning."""

    values: np.ndarray  # numbers (H, W) uint8 or, from 16-bit files, uint16; or colours (H, W, 3) uint8
    palette: np.ndarray | None = None  # (K, 3) uint8, the colour of each number, if the file has a colour palette
    bits: int = 8  # per value as stored: 1, 2, 4, 8 or 16


def read_label_pixels(path: str | PathLike[str]) -> LabelPixels:
    """Read a PNG label map: numbers from 1-bit, grey and palette files, colours from RGB files."""
    image, raw_mode = open_picture(Path(path), ["PNG"], MAX_PIXELS)
    if image.mode in ("RGB", "RGBA", "LA") and is_deep(image, raw_mode):
        raise DataError(f"{path}: the label map has 16 bits per channel. Convert it to 8 bits per channel.")
    if image.mode in ("RGB", "RGBA"):
        return LabelPixels(np.asarray(image)[..., :3])
    if image.mode == "LA":
        return LabelPixels(np.asarray(image)[..., 0])
    if image.mode not in ("1", "L", "P", "I;16", "I"):
        raise DataError(f"{path}: mode {image.mode} is not supported. Export class numbers or RGB colours.")
    if image.mode.startswith("I"):
        return LabelPixels(np.asarray(image).astype(np.uint16), bits=16)
    values = np.asarray(image).astype(np.uint8, copy=False)
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return LabelPixels(values, palette)
    if raw_mode in _WIDENED:
        return LabelPixels(values // np.uint8(_WIDENED[raw_mode]), bits=int(raw_mode[-1]))
    return LabelPixels(values, bits=1 if image.mode == "1" else 8)
