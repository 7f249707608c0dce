"""Picture and label files -> arrays. Whatever the bytes on disk are, the only error is a `DataError`.

A photograph is for looking at: any mode becomes RGB. A label map is for counting: its numbers are class
numbers and pass through untouched, so only lossless PNG is accepted (JPEG at quality 95 changed three
label pixels in four) and palette files give their indices, never their colours.
"""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError
from .palette import Palette

__all__ = ["check_labels", "read_image", "read_labels"]

MAX_PIXELS = 50_000_000  # a file of 100 bytes can claim to be 60000 x 60000: refused before memory is taken

# Grey PNGs of 2 and 4 bits are widened to 0..255 by Pillow (1 -> 85, 1 -> 17): undone for class numbers.
_WIDENED = {"L;2": 85, "L;4": 17}


def read_image(path: str | PathLike[str], *, upright: bool = False) -> np.ndarray:
    """A PNG or JPEG file, recognised by its content -> (H, W, 3) uint8, RGB; transparency is dropped.

    upright: turn the picture as its EXIF data say that the camera was held. Not for pictures with label maps, whose
    pixels must stay where the labels are.
    """
    image, _ = _open(Path(path), ["PNG", "JPEG"])
    image = _turned_upright(image) if upright else image
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        raise DataError(f"{path}: 16-bit picture (expected 8 bits per channel). Convert it")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_labels(path: str | PathLike[str]) -> np.ndarray:
    """An index PNG (grey or palette) -> (H, W) uint8 class numbers, exactly those in the file."""
    image, raw_mode = _open(Path(path), ["PNG"])
    if image.mode not in ("1", "L", "P"):
        raise DataError(
            f"{path}: label map of mode {image.mode} (expected one class number per pixel: grey or palette PNG)."
            " Colour label maps are not supported, convert the colours to class numbers"
        )
    labels = np.asarray(image).astype(np.uint8, copy=False)
    return labels // np.uint8(_WIDENED[raw_mode]) if raw_mode in _WIDENED else labels


def check_labels(labels: np.ndarray, palette: Palette, where: object) -> None:
    """Raise DataError naming `where`, value and position unless every label is a class of the palette or void."""
    bad = labels >= palette.num_classes
    if palette.ignore_label is not None:
        bad &= labels != palette.ignore_label
    if bad.any():
        row, column = np.argwhere(bad)[0]
        void = "" if palette.ignore_label is None else f", void {palette.ignore_label}"
        raise DataError(
            f"{where}: value {labels[row, column]} at row {row}, column {column}"
            f" (allowed 0..{palette.num_classes - 1}{void}). Correct the label map"
        )


def _open(path: Path, formats: list[str]) -> tuple[Image.Image, str]:
    """The decoded picture and the pixel format that its file had."""
    expected = " or ".join(formats)
    try:
        # Pillow warns of oversized pictures, odd EXIF data and the like; what matters is an error here.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=formats) as image:
            _check_size(path, image.size)
            raw_mode = str(image.tile[0].args) if image.tile else image.mode
            image.load()
            return image, raw_mode
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file (expected {expected}). Put it there or take it out of the list"
        ) from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: damaged, or not {expected} (told by content, not by name). Export it again") from None
    except Exception as error:  # damaged bytes: OSError, SyntaxError, ValueError, zlib.error, ... come out of Pillow
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be decoded, {reason} (expected a whole {expected}). Replace it") from error


def _turned_upright(image: Image.Image) -> Image.Image:
    """The picture turned by its EXIF orientation; damaged EXIF data cost the turn, not the picture."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return ImageOps.exif_transpose(image)
    except Exception:  # whatever bytes call themselves EXIF: struct.error, SyntaxError, ValueError, ...
        return image


def _check_size(path: Path, size: tuple[int, int]) -> None:
    W, H = size
    if W * H > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise DataError(f"{path}: claims {W} x {H} = {W * H / 1e6:.0f} Mpx (at most {limit}). Scale it down")
