"""Reading picture files as RGB. Damaged files of any kind raise only `DataError`."""

import contextlib
import math
import mmap
import os
import re
import sys
import warnings
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Tag
from PIL.Image import Transpose
from PIL.TiffImagePlugin import TiffImageFile

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

# Pillow may read missing pixels of a PNG or TIFF as zeros, so 80 bytes could become a picture of 38 Mpx.
_MAX_INFLATION = 1032  # the largest compression ratio of deflate, which PNG uses

# EXIF orientation: how to rotate or mirror the stored pixels so that the picture is upright.
_ROTATIONS = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip
_TURNED = ["PNG", "JPEG", "TIFF", "WEBP"]  # the formats with an orientation; HEIC and AVIF are turned on loading

_FORMATS = ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"]  # HEIC and AVIF are added if their decoders are installed
_NOT_FOR_LABELS = {"a JPEG picture", "a WebP picture", "a GIF picture", "a HEIC picture", "an AVIF picture"}
UNSUPPORTED = "F: floating-point numbers, I: 32 bits or signed"  #: for messages
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B", "I;16L"}

# A camera's raw file begins like a TIFF file, but only a small preview in it can be read.
RAW = {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"}


def read_image(path: str | PathLike[str], *, max_pixels: int | None = None) -> np.ndarray:
    """Read a picture in the format of its content, and turn it upright by its EXIF data. Transparency is dropped.

    The formats are PNG, JPEG, TIFF, WebP, BMP and GIF, and HEIC and AVIF if Pillow or pillow-heif supports them. A
    file with several frames is refused. If a picture has 16 bits per channel, the high byte of each value is used. A
    16-bit picture is refused if no value reaches 4096, because it would be almost black.

    Args:
        max_pixels: the maximum number of pixels, by default MAX_PIXELS. Use MAX_PIXELS_SINGLE for single pictures.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        DataError: the file is missing, damaged or too large, or is not a picture with 8 or 16 bits per channel.
    """
    path = Path(path)
    image, raw_mode = open_picture(path, _FORMATS, max_pixels or MAX_PIXELS)
    if image.mode not in _MODES:
        raise DataError(f"{path}: Pillow's mode {image.mode} ({UNSUPPORTED}) is not supported. Save it as 8-bit RGB.")
    deep = is_deep(image, raw_mode)
    image.info.pop("transparency", None)  # otherwise Pillow warns when it converts the picture
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if deep and pixels.max() < 16:  # the high byte of 4096
        wrong = "no value of this 16-bit picture reaches 4096 (perhaps it has 12 bits, or contains class numbers)"
        raise DataError(f"{path}: {wrong}. Scale the values to 0..65535, or convert the picture to 8 bits.")
    return pixels


def is_deep(image: Image.Image, raw_mode: str) -> bool:
    """Return whether a picture has 16 bits per channel."""
    return image.mode.startswith("I;16") or (";16" in raw_mode and raw_mode != "BGR;16")  # 16 bits per pixel


def _rotation(image: Image.Image) -> Transpose | None:
    try:
        return _ROTATIONS[image.getexif()[Tag.Orientation]]
    except Exception:  # most pictures are upright; damaged EXIF data raises errors of any kind
        return None


def rotation_of(path: Path) -> Transpose | None:
    """Return the rotation that turns the stored pixels of a picture upright, or None if they are upright."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=_TURNED) as image:
            return _rotation(image)
    except Exception:  # a damaged picture is reported when it is read
        return None


def _formats_of(file: BinaryIO, formats: list[str]) -> list[str]:
    """Return `formats` or, for a HEIC or AVIF picture, the installed ones of these two formats."""
    if file.read(8)[4:] != b"ftyp" or "JPEG" not in formats:
        return formats
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return [name for name in ("AVIF", "HEIF") if name in Image.OPEN]


def claimed_pixels(path: Path) -> int:
    """Return the number of pixels that a picture file claims to have, or 0 if it is not a picture.

    Above Pillow's limit of 179 Mpx, only a lower bound is known: MAX_PIXELS_SINGLE + 1.
    """
    if is_special(path):
        return 0
    try:
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            return math.prod(Image.open(file, formats=_formats_of(file, _FORMATS)).size)
    except Image.DecompressionBombError:
        return MAX_PIXELS_SINGLE + 1
    except Exception:  # it is reported when the picture is read
        return 0


def open_picture(path: Path, formats: list[str], max_pixels: int) -> tuple[Image.Image, str]:
    """Read a picture in one of Pillow's `formats`. Returns the upright picture and its raw mode."""
    if is_special(path):
        raise DataError(f"{path}: a pipe or a device. Save the picture as a PNG file.")
    if os.path.isdir(path):
        raise DataError(f"{path}: {kind_of(path)}, not a picture. Choose a file in it.")
    if path.suffix.lower() in RAW:
        raise DataError(f"{path}: this is a camera's raw file. Develop it with a raw converter, and save it as PNG.")
    try:
        # Pillow's warnings about large pictures and malformed EXIF data are not needed, because both are checked here.
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            # Pillow gets a file object, because it scrambles grey TIFFs that it opens by name and turns by 90 degrees.
            image = Image.open(file, formats=_formats_of(file, formats))
            _check_claims(path, image, max_pixels)
            arguments = image.tile[0].args if image.tile else image.mode
            raw_mode = arguments[0] if isinstance(arguments, tuple) else arguments
            image.load()
            is_turned = image.format in ("TIFF", "HEIF")  # Pillow and pillow-heif turn these when they load them
            rotation = None if is_turned else _rotation(image)
            return image if rotation is None else image.transpose(rotation), str(raw_mode)
    except (DataError, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Correct the path, or put a PNG file there.") from None
    except PermissionError:
        raise DataError(f"{path}: permission denied. Change the permissions of the file.") from None
    except UnidentifiedImageError:
        raise _unidentified(path, formats) from None
    except Image.DecompressionBombError:  # Pillow's own limit is checked before ours
        raise DataError(
            f"{path}: claims over 178 Mpx; at most {max_pixels // 1_000_000} are allowed. Scale it."
        ) from None
    except Exception as error:  # for damaged bytes, Pillow raises OSError, SyntaxError, ValueError, zlib.error, ...
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path}: damaged: {reason}. Replace the file.") from error


def _check_size(path: Path, shape: str, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        claim = f"{shape}{pixels / 1e6:.0f} Mpx; at most {max_pixels // 1_000_000} are allowed"
        raise DataError(f"{path}: claims {claim}. Scale it down.")


def _check_claims(path: Path, image: Image.Image, max_pixels: int) -> None:
    """Check the size, the frames and the scans that the file claims before they cost memory or time."""
    (W, H), size = image.size, path.stat().st_size
    _check_size(path, f"{W} x {H} = ", W * H, max_pixels)
    is_raw = image.format == "TIFF" and image.info.get("compression") == "raw"
    inflation = _MAX_INFLATION if image.format == "PNG" else 1
    if (image.format == "PNG" or is_raw) and size * inflation < W * H / 8:  # a pixel takes at least one bit
        raise DataError(f"{path}: damaged: it claims {W} x {H} pixels in {size} bytes. Replace the file.")
    if image.format == "BMP" and image.info.get("compression") in (1, 2):  # Pillow decodes it slowly in Python
        raise DataError(f"{path}: the BMP file is compressed. Save it as PNG.")
    if isinstance(image, TiffImageFile):
        _check_tiff(path, image, max_pixels)
    # A JPEG file may contain variants of its first picture (MPO).
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise DataError(f"{path}: the file contains several frames or pages. Save one of them as a separate file.")
    if image.info.get("progressive"):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            scans = len(_SCAN.findall(content))
        most = _USUAL_SCANS * max_pixels // (W * H)
        if scans > most:
            raise DataError(f"{path}: the JPEG has {scans} scans; at most {most} are allowed. Save it again.")


def _check_tiff(path: Path, image: TiffImageFile, max_pixels: int) -> None:
    """Check the size of a TIFF's tiles, and refuse channels and bit depths that Pillow misreads."""
    tags, (W, H) = image.tag_v2, image.size
    w, h = tags.get(Tag.TileWidth) or 1, tags.get(Tag.TileLength) or 1
    _check_size(path, "tiles of ", -(-W // w) * w * -(-H // h) * h, max_pixels)  # tiles at the edges are decoded whole
    photometric, is_deep = tags.get(Tag.PhotometricInterpretation, 0), 16 in tags.get(Tag.BitsPerSample, ())
    colors = {2: 3, 5: 4, 6: 3, 8: 3}.get(photometric, 1)  # RGB, CMYK, YCbCr, Lab; all others have one channel
    channels, alpha = tags.get(Tag.SamplesPerPixel, colors), tags.get(Tag.ExtraSamples) in ((1,), (2,))
    if channels > colors + alpha:
        raise DataError(f"{path}: the TIFF has {channels} channels. Save three colour channels, with alpha if needed.")
    if is_deep and (photometric == 0 or (colors != 1 and tags.get(Tag.PlanarConfiguration) == 2)):
        raise DataError(f"{path}: the 16-bit TIFF has inverted values or separate planes. Save it as PNG.")


def check_tiff_file(path: Path) -> None:
    """Raise DataError if a TIFF of any size is truncated, or has channels or bit depths that are not supported."""
    try:
        with warnings.catch_warnings(action="ignore"), TiffImageFile(path) as image:
            _check_tiff(path, image, sys.maxsize)
            for offsets, counts in ((Tag.StripOffsets, Tag.StripByteCounts), (Tag.TileOffsets, Tag.TileByteCounts)):
                ends = map(sum, zip(image.tag_v2.get(offsets, ()), image.tag_v2.get(counts, ()), strict=True))
                if max(ends, default=0) > path.stat().st_size:
                    raise DataError(f"{path}: damaged: the end of the file is missing. Replace the file.")
    except DataError:
        raise
    except Exception as error:  # see open_picture
        raise DataError(f"{path}: damaged or not supported: {error}. Save it as an 8-bit RGB file.") from error


def _unidentified(path: Path, formats: list[str]) -> DataError:
    """Return the error about a file that has none of the `formats`."""
    kind = kind_of(path)
    if kind in _NOT_FOR_LABELS and "JPEG" not in formats:
        return DataError(f"{path}: this is {kind}, but its format changes class numbers. Export the label map as PNG.")
    if {"a HEIC picture": "HEIF", "an AVIF picture": "AVIF"}.get(kind, "PNG") not in Image.OPEN:
        install = "pip install --upgrade pillow pillow-heif"
        return DataError(f"{path}: reading {kind} requires pillow-heif. Run {install}, or save it as PNG.")
    if " ".join(kind.split()[1:-1]).upper() in [*formats, "HEIC", "AVIF"]:
        return DataError(f"{path}: this is {kind} that is damaged or has unsupported channels. Save it as 8-bit PNG.")
    if kind.endswith(("picture", "drawing")):
        return DataError(f"{path}: the file contains {kind}. Save it as PNG; changing its name is not enough.")
    if kind != UNKNOWN:
        return DataError(f"{path}: {kind}, not a picture. Choose a PNG file.")
    return DataError(f"{path}: the file is not a picture in a known format, or it is damaged. Export it as PNG.")
