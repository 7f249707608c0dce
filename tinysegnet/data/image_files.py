"""Picture and label files -> arrays. Bad bytes of any kind raise only `DataError`.

A photograph of any mode becomes RGB. The numbers of a label map are class numbers and pass through unchanged, so only
lossless PNG is accepted (JPEG at quality 95 changed three label pixels in four), and a palette file gives its indices,
not its colours.
"""

import os
import re
import warnings
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from ..errors import DataError
from ..files import UNKNOWN, is_special, kind_of

# A file of 100 bytes can claim to be 60000 x 60000: refused from its header, before memory is taken. A data set
# is many pictures, so its limit is lower; a single one may be a large photograph or scan (Pillow itself ends at 179).
MAX_PIXELS = 50_000_000
MAX_PIXELS_SINGLE = 175_000_000

# Decoding a progressive JPEG processes all pixels once per scan. Ten scans are usual, but 300 kB can hold thousands,
# which take minutes. All scans together may take as much work as the largest picture with the usual number.
_USUAL_SCANS = 12
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")  # marker, length, components

# Missing pixels at the end of a PNG may be read as zeros, so 80 bytes could become a picture of 38 Mpx.
_MAX_INFLATION = 1032  # bytes that deflate, the compression of PNG, can make of one

# Grey PNGs of 2 and 4 bits are widened to 0..255 by Pillow (1 -> 85, 1 -> 17), which is undone for class numbers.
_WIDENED = {"L;2": 85, "L;4": 17}

# EXIF orientation: how to rotate or mirror the stored pixels to see the picture as it was taken.
_ORIENTATION = 0x0112
_ROTATIONS = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip


def read_image(path: str | PathLike[str], *, upright: bool = False, max_pixels: int | None = None) -> np.ndarray:
    """The pixels of a PNG or JPEG file, recognised by its content; transparency is dropped.

    Args:
        upright: rotate it as its EXIF orientation says. By default the pixels come as stored, as label maps are
            drawn on them, and a rotated picture gives a UserWarning that names it.
        max_pixels: the limit, by default MAX_PIXELS; for single pictures give MAX_PIXELS_SINGLE.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        DataError: the file is missing, damaged, too large, or not a picture of 8 bits per channel.
    """
    image, raw_mode = _open(Path(path), ["PNG", "JPEG"], max_pixels or MAX_PIXELS)
    if _is_deep(image, raw_mode):
        raise DataError(f"{path}: 16-bit picture (expected 8 bits per channel). Convert it to 8 bits per channel first")
    rotation = _ROTATIONS.get(_orientation(image))
    if rotation is not None and upright:
        image = image.transpose(rotation)
    elif rotation is not None:
        warnings.warn(f"{path}: EXIF says that it is rotated; its pixels are taken as stored", stacklevel=2)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_label_pixels(path: str | PathLike[str]) -> np.ndarray:
    """The pixels of a PNG label map, exactly those in the file.

    Numbers (H, W) uint8, or uint16 of a 16-bit file, from 1-bit, grey and palette PNGs; colours (H, W, 3) uint8 from
    RGB ones, transparency dropped. A `LabelEncoding` says what they mean.
    """
    image, raw_mode = _open(Path(path), ["PNG"], MAX_PIXELS)
    if image.mode in ("RGB", "RGBA", "LA") and _is_deep(image, raw_mode):
        raise DataError(f"{path}: 16-bit colours (expected 8 bits per channel). Convert the label map")
    if image.mode in ("RGB", "RGBA"):
        return np.asarray(image)[..., :3]
    if image.mode == "LA":
        return np.asarray(image)[..., 0]
    if image.mode not in ("1", "L", "P", "I;16", "I"):
        raise DataError(f"{path}: label map of mode {image.mode} (expected class numbers or colours). Export it again")
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    values = np.asarray(image).astype(np.uint8, copy=False)
    return values // np.uint8(_WIDENED[raw_mode]) if raw_mode in _WIDENED else values


def _is_deep(image: Image.Image, raw_mode: str) -> bool:
    return image.mode in ("F", "I") or image.mode.startswith("I;16") or ";16" in raw_mode


def _orientation(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings(action="ignore"):
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF raises errors of any kind; the pixels may be intact
        return 1


def _open(path: Path, formats: list[str], max_pixels: int) -> tuple[Image.Image, str]:
    expected = " or ".join(formats)
    if is_special(path):
        raise DataError(f"{path}: a pipe or a device (expected a file, {expected}). Save the picture as a file")
    if os.path.isdir(path):
        raise DataError(f"{path}: {kind_of(path)}, not a picture (expected {expected}). Name a file in it")
    try:
        # Pillow's warnings, such as those about large pictures or odd EXIF data, are checked as errors here.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=formats) as image:
            _check_claims(path, image, max_pixels)
            raw_mode = str(image.tile[0].args) if image.tile else image.mode
            image.load()
            image.info.pop("transparency", None)  # Pillow would convert it too, and warn
            return image, raw_mode
    except (DataError, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (expected {expected}). Correct the path, or put it there") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read (expected {expected}). Change its permissions") from None
    except UnidentifiedImageError:
        raise _unidentified(path, formats) from None
    except Image.DecompressionBombError as error:  # Pillow checks its own limit before ours
        count = re.search(r"\d+", str(error))
        _check_size(path, "", int(count[0]) if count else max_pixels + 1, max_pixels)
        raise DataError(f"{path}: too large (at most {max_pixels // 1_000_000} Mpx). Scale it down") from error
    except Exception as error:  # damaged bytes: OSError, SyntaxError, ValueError, zlib.error, ... come out of Pillow
        reason = f"cannot be decoded, {' '.join(str(error).split())}"
        raise DataError(f"{path}: damaged, {reason} (expected a whole {expected}). Replace it") from error


def _check_size(path: Path, shape: str, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        limit = max_pixels // 1_000_000
        raise DataError(f"{path}: claims {shape}{pixels / 1e6:.0f} Mpx (at most {limit}). Scale it down")


def _check_claims(path: Path, image: Image.Image, max_pixels: int) -> None:
    """Check what the header claims, before memory or time is spent."""
    (W, H), size = image.size, path.stat().st_size
    _check_size(path, f"{W} x {H} = ", W * H, max_pixels)
    if image.format == "PNG" and size * _MAX_INFLATION < W * H / 8:  # at one bit per pixel
        raise DataError(f"{path}: damaged, claims {W} x {H} pixels in {size} bytes (expected a whole PNG). Replace it")
    if image.info.get("progressive"):
        with open(path, "rb") as file:
            scans = sum(len(_SCAN.findall(block)) for block in iter(lambda: file.read(1 << 20), b""))
        most = _USUAL_SCANS * max_pixels // max(W * H, 1)
        if scans > most:
            raise DataError(f"{path}: {scans} scans of a progressive JPEG (at most {most} of this size). Save it again")


def _unidentified(path: Path, formats: list[str]) -> DataError:
    """The error for bytes in none of the formats, with a reason for label maps as JPEG."""
    with open(path, "rb") as file:
        start = file.read(12)
    if start[:3] == b"\xff\xd8\xff" and "JPEG" not in formats:
        found = "a label map as JPEG, which changes class numbers"
        return DataError(f"{path}: {found} (expected PNG). Export it again from its source")
    expected = f"(expected {' or '.join(formats)}, by content, not by name)"
    kind = kind_of(path)
    if kind.endswith("picture") and kind not in ("a PNG picture", "a JPEG picture"):
        return DataError(f"{path}: {kind} {expected}. Save it as PNG")
    if kind != UNKNOWN:
        return DataError(f"{path}: {kind}, not a picture {expected}. Choose another file")
    return DataError(f"{path}: damaged, or no picture {expected}. Choose another file, or export it again")
