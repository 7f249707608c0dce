"""Picture files that are too large for memory: they are read, predicted and written in bands of rows."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from os import fsencode
from pathlib import Path
from typing import Any

import numpy as np

from .. import viz
from ..data import Palette
from ..data.image_files import check_tiff_file
from ..errors import DataError
from ..files import kind_of, new_file
from ..models import Network
from ..viz.image_bytes import PngRows
from ..viz.panels import scaled_legend
from .tiles import predict_bands

MAX_SIDE = 100_000  # pixels; bands are as wide as the picture
ROWS = 256  # are decoded and written at a time
SMALL = 2000  # pixels; the longer side of the small copy

_KINDS = ("a PNG picture", "a JPEG picture", "a TIFF picture", "a WebP picture")
_CHANNELS = {("b-w", 1), ("b-w", 2), ("srgb", 3), ("srgb", 4)}  # the second and the fourth are transparency


class LargePicture:
    """A picture file whose rows are read from top to bottom by libvips, upright and without transparency.

    A picture that is stored rotated is first decoded to a temporary file in the folder for such files, with 3 bytes per
    pixel.

    Attributes:
        size: the height and width of the upright picture in pixels.

    Raises DataError if the file cannot be read in bands, or pyvips is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path, kind = path, kind_of(path)
        if kind not in _KINDS:
            raise DataError(f"{path}: {kind} of this size is not supported. Save it as a PNG, JPEG, TIFF or WebP file.")
        if kind == "a TIFF picture":
            check_tiff_file(path)
        try:
            import pyvips
        except (ImportError, OSError):  # OSError: the library of this name is missing
            install = 'pip install "tinysegnet[large]"'
            raise DataError(f"{path}: reading a picture of this size requires pyvips. Run {install}") from None
        self._error = pyvips.Error
        try:
            image = self._open(pyvips, "sequential")
            self._check(image)
            if _field(image, "orientation", 1) != 1:
                image = self._open(pyvips, "random").autorot()
            self._region = pyvips.Region.new(image)
        except pyvips.Error as error:
            raise self._damaged(error) from error
        self.size, self._channels = (image.height, image.width), image.bands
        self._rows, self._top = np.empty((0, image.width, 3), np.uint8), 0

    def _open(self, pyvips: Any, access: str) -> Any:
        source = pyvips.Source.new_from_file(fsencode(self.path))  # libvips takes brackets in other paths for options
        return pyvips.Image.new_from_source(source, "", access=access, fail_on="truncated")

    def _check(self, image: Any) -> None:
        wrong = ""
        if max(image.width, image.height) > MAX_SIDE:
            wrong = f"{image.width} x {image.height} pixels; at most {MAX_SIDE} are allowed per side. Cut the picture."
        elif _field(image, "n-pages", 1) > 1:
            wrong = "the file contains several frames or pages. Save one of them as a separate file."
        elif _field(image, "interlaced", 0):
            wrong = "an interlaced or progressive file of this size takes too much memory. Save it as neither."
        elif image.format != "uchar" or (image.interpretation, image.bands) not in _CHANNELS:
            wrong = (f"{image.bands} channels of {image.format} in the colour space {image.interpretation} are not "
                     "supported in a picture of this size. Save it as 8-bit RGB.")  # fmt: skip
        if wrong:
            raise DataError(f"{self.path}: {wrong}")

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.path}: damaged: {' '.join(str(error).split()).rstrip('.')}. Replace the file.")

    def read(self, top: int, bottom: int) -> np.ndarray:
        """Return the rows from `top` to before `bottom`, (h, W, 3) uint8.

        Rows above `top` are forgotten. Each call must begin and end at least as far down as the one before.
        """
        pieces = [self._rows[top - self._top :]]
        for first in range(self._top + len(self._rows), bottom, ROWS):
            pieces.append(self._decode(first, min(first + ROWS, bottom)))
        self._rows, self._top = np.concatenate(pieces), top
        return self._rows

    def _decode(self, top: int, bottom: int) -> np.ndarray:
        try:
            pixels = self._region.fetch(0, top, self.size[1], bottom - top)
        except self._error as error:
            raise self._damaged(error) from error
        rows = np.frombuffer(pixels, np.uint8).reshape(bottom - top, self.size[1], self._channels)
        return rows[..., :3] if self._channels > 2 else rows[..., :1].repeat(3, axis=2)


def _field(image: Any, name: str, default: int) -> int:
    return image.get(name) if image.get_typeof(name) else default


def segment_large(
    picture: LargePicture, model: Network, palette: Palette, paths: Sequence[Path], *, mirror: bool = False,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Predict a large picture at its own size, and write the results while it is read.

    The files are the same as for other pictures, pixel by pixel. They replace older files when all are complete.

    Args:
        paths: the PNG files of the overlay with its legend, the colour map and the labels.
        mirror, progress: as for `tile_logits`.

    Returns:
        a small copy of the picture, (h, w, 3) uint8, and of its labels, (h, w), with every n-th pixel.

    Raises:
        DataError: the picture file is damaged.
        SettingError, ShapeError: the network cannot predict this picture in tiles.
    """
    (H, W), counts = picture.size, np.zeros(palette.num_classes + 1, np.int64)
    step, row = -(-max(H, W) // SMALL), 0
    small: list[tuple[np.ndarray, np.ndarray]] = []
    held = np.empty((0, W, 3), np.uint8), np.empty((0, W), np.uint8)
    with ExitStack() as stack:
        files = [stack.enter_context(open(stack.enter_context(new_file(path)), "xb")) for path in paths]
        overlay, colours = PngRows(files[0], W), PngRows(files[1], W)
        labels = PngRows(files[2], W, palette.lookup_table())
        for image, found in predict_bands(model, picture.read, (H, W), mirror=mirror, progress=progress):
            counts[:-1] += np.bincount(found.ravel(), minlength=palette.num_classes)
            small.append((image[-row % step :: step, ::step].copy(), found[-row % step :: step, ::step].copy()))
            row += len(found)
            for first in range(0, len(found), ROWS):
                pixels, classes = image[first : first + ROWS], found[first : first + ROWS]
                labels.write(classes)
                colours.write(palette.colorize(classes))
                # A boundary between classes also depends on the row below, so the last row waits for the next one.
                pixels, classes = np.concatenate([held[0], pixels]), np.concatenate([held[1], classes])
                overlay.write(viz.overlay(pixels, classes, palette)[:-1])
                held = pixels[-1:], classes[-1:]
        overlay.write(viz.overlay(*held, palette))
        overlay.write(scaled_legend(palette, W, counts=counts))
        for rows in (overlay, colours, labels):
            rows.close()
    images, found_classes = zip(*small, strict=True)
    return np.concatenate(images), np.concatenate(found_classes)
