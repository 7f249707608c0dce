"""Reading picture files as RGB. Damaged files of any kind raise only `DataError`."""

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

# A file of 100 bytes can claim to have 60000 x 60000 pixels, so the header is checked before memory is allocated. The
# limit for data sets is lower, because they contain many pictures. Pillow's own limit is 179 Mpx.
MAX_PIXELS = 50_000_000
MAX_PIXELS_SINGLE = 175_000_000

# Decoding a progressive JPEG processes all pixels once per scan. Ten scans are usual, but 300 kB can contain thousands,
# which take minutes. All scans together may cost at most as much as the largest picture with the usual number of scans.
_USUAL_SCANS = 12
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")  # marker, length, components

# Pillow may read missing pixels at the end of a PNG as zeros, so 80 bytes could become a picture of 38 Mpx.
_MAX_INFLATION = 1032  # the largest compression ratio of deflate, which PNG uses

# EXIF orientation: how to rotate or mirror the stored pixels so that the picture is upright.
_ORIENTATION = 0x0112
_ROTATIONS = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip


def read_image(path: str | PathLike[str], *, upright: bool = False, max_pixels: int | None = None) -> np.ndarray:
    """Read a PNG or JPEG file, recognised by its content. Transparency is dropped.

    Args:
        upright: rotate the picture according to its EXIF orientation. By default, the pixels are returned as stored,
            because label maps match the stored pixels, and a UserWarning names each rotated picture.
        max_pixels: the largest number of pixels, by default MAX_PIXELS; use MAX_PIXELS_SINGLE for single pictures.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        DataError: the file is missing, damaged or too large, or is not a picture with 8 bits per channel.
    """
    image, raw_mode = open_picture(Path(path), ["PNG", "JPEG"], max_pixels or MAX_PIXELS)
    if is_deep(image, raw_mode):
        raise DataError(f"{path}: the picture has 16 bits per channel. Convert it to 8 bits per channel first.")
    rotation = _ROTATIONS.get(_orientation(image))
    if rotation is not None and upright:
        image = image.transpose(rotation)
    elif rotation is not None:
        warnings.warn(f"{path}: the EXIF rotation is ignored; the pixels are used as stored", stacklevel=2)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def is_deep(image: Image.Image, raw_mode: str) -> bool:
    """Return whether a picture has more than 8 bits per channel."""
    return image.mode in ("F", "I") or image.mode.startswith("I;16") or ";16" in raw_mode


def _orientation(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings(action="ignore"):
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data raises errors of any kind, but the pixels may be intact
        return 1


def open_picture(path: Path, formats: list[str], max_pixels: int) -> tuple[Image.Image, str]:
    """Read a picture in one of Pillow's `formats`, and return it with the name of its raw mode. Raises DataError."""
    expected = " or ".join(formats)
    if is_special(path):
        raise DataError(f"{path}: a pipe or a device. Save the picture as a {expected} file.")
    if os.path.isdir(path):
        raise DataError(f"{path}: {kind_of(path)}, not a picture. Choose a file in it.")
    try:
        # Pillow's warnings about large pictures and malformed EXIF data are not needed, because both are checked here.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=formats) as image:
            _check_claims(path, image, max_pixels)
            raw_mode = str(image.tile[0].args) if image.tile else image.mode
            image.load()
            image.info.pop("transparency", None)  # otherwise Pillow warns when it converts the picture
            return image, raw_mode
    except (DataError, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Correct the path, or put a {expected} file there.") from None
    except PermissionError:
        raise DataError(f"{path}: permission denied. Change the permissions of the file.") from None
    except UnidentifiedImageError:
        raise _unidentified(path, formats) from None
    except Image.DecompressionBombError as error:  # Pillow's own limit is checked before ours
        count = re.search(r"\d+", str(error))
        _check_size(path, "", int(count[0]) if count else max_pixels + 1, max_pixels)
        raise DataError(f"{path}: the picture is larger than {max_pixels // 1_000_000} Mpx. Scale it down.") from error
    except Exception as error:  # for damaged bytes, Pillow raises OSError, SyntaxError, ValueError, zlib.error, ...
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path}: damaged: {reason}. Replace the file.") from error


def _check_size(path: Path, shape: str, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        limit = max_pixels // 1_000_000
        raise DataError(f"{path}: claims {shape}{pixels / 1e6:.0f} Mpx; at most {limit} are allowed. Scale it down.")


def _check_claims(path: Path, image: Image.Image, max_pixels: int) -> None:
    """Check the size and the scans that the file claims before they cost memory or time."""
    (W, H), size = image.size, path.stat().st_size
    _check_size(path, f"{W} x {H} = ", W * H, max_pixels)
    if image.format == "PNG" and size * _MAX_INFLATION < W * H / 8:  # a pixel takes at least one bit
        raise DataError(f"{path}: damaged: it claims {W} x {H} pixels in {size} bytes. Replace the file.")
    if image.info.get("progressive"):
        with open(path, "rb") as file:
            scans = sum(len(_SCAN.findall(block)) for block in iter(lambda: file.read(1 << 20), b""))
        most = _USUAL_SCANS * max_pixels // max(W * H, 1)
        if scans > most:
            raise DataError(f"{path}: the JPEG has {scans} scans; at most {most} are allowed. Save it again.")


def _unidentified(path: Path, formats: list[str]) -> DataError:
    """Return an error that describes a file in none of the formats."""
    with open(path, "rb") as file:
        start = file.read(12)
    if start[:3] == b"\xff\xd8\xff" and "JPEG" not in formats:
        return DataError(f"{path}: the label map is a JPEG, which changes class numbers. Export it again as PNG.")
    kind = kind_of(path)
    if kind.endswith("picture") and kind not in ("a PNG picture", "a JPEG picture"):
        return DataError(f"{path}: the file contains {kind}. Save it as PNG; changing its name is not enough.")
    if kind != UNKNOWN:
        return DataError(f"{path}: {kind}, not a picture. Choose a {' or '.join(formats)} file.")
    return DataError(f"{path}: the file is not a {' or '.join(formats)} picture, or it is damaged. Export it again.")
