"""Predicting a picture in tiles, with the same logits as for the whole picture and in bounded memory.

The network runs on overlapping crops of the picture. Near an edge where a crop was cut, the receptive fields extend
beyond the crop, so the logits there are wrong. A neighbouring crop provides them instead. The width of this margin is
the halo.

Crops begin at multiples of the network's stride, so their pooling windows are those of the whole picture. The distance
between a crop's end and the picture's end is such a multiple, too, so that this also applies to the mirrored picture.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError
from ..models import Network

TILE = 1024  #: the height and width of a crop in pixels, unless another one is chosen

Read = Callable[[int, int], np.ndarray]  # returns the rows from the first number to before the second, (h, W, 3) uint8


class Cut(NamedTuple):
    """A crop along one axis, the pixels start..stop of the picture, which provides the results of first..last."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def own(self) -> slice:
        """The part first..last, counted from the start of the crop."""
        return slice(self.first - self.start, self.last - self.start)


def alignment(model: Network) -> int:
    """Return the number of pixels of which the start of a crop must be a multiple: 128 for vgg16.

    This is four times the product of the pools' strides, because the fast convolutions compute squares of 4x4 values,
    and the same squares are rounded in the same way. Raises SettingError if a layer changes the size in another way.
    """
    scales, scale = [], Fraction(1)
    for _, layer, before, after in model.output_shapes((1, TILE, TILE, 3)):
        if windows := layer.windows(before[1:3], after[1:3]):
            scale *= Fraction(windows.stride[0]) ** (1 if windows.large == "in" else -1)
        scales.append(scale)
    step = 4 * math.lcm(model.size_multiple, *(scale.numerator for scale in scales))
    size = TILE * step
    for scale, (name, _, _, after) in zip(scales, model.output_shapes((1, size, size, 3)), strict=True):
        if after[1] * scale != size or after[2] * scale != size or scales[-1] != 1:
            raise SettingError(f"{model.config['name']} cannot predict in tiles, because {name} does not keep the size "
                               "or divide it by its stride. Give --no-tiles")  # fmt: skip
    return step


def halo(model: Network, length: int) -> int:
    """Return how many pixels at a cut edge of a crop depend on pixels beyond it, in a picture of this length.

    If the length is no multiple of the stride, the last windows are incomplete, and the halo differs by half a stride
    at most. Raises SettingError if it exceeds a tile.
    """
    step, last = alignment(model), list(model.layers)[-1]
    cut = -(-TILE // step) * step
    size = 2 * cut + length % step

    def reaches(pixel: int) -> tuple[bool, bool]:
        box = model.receptive_field(last, (pixel, pixel), (size, size))
        return box.top < cut, box.bottom > size - cut

    before = bisect_left(range(cut), True, key=lambda n: not reaches(cut + n)[0])
    after = bisect_left(range(cut), True, key=lambda n: not reaches(size - cut - 1 - n)[1])
    if max(before, after) == cut:
        raise SettingError(f"{model.config['name']} cannot predict in tiles, because {last} depends on pixels that are "
                           f"more than {TILE} away. Give --no-tiles")  # fmt: skip
    return max(before, after)


def cuts(model: Network, length: int, tile: int = TILE) -> list[Cut]:
    """Divide one axis of a picture into overlapping crops of equal length, at most `tile` pixels.

    Raises SettingError if the tile is too small for the halo, or if the network cannot predict in tiles.
    """
    if length <= tile:
        return [Cut(0, length, 0, length)]
    step, margin = alignment(model), halo(model, length)
    size = tile - (tile - length) % step
    advance = (size - 2 * margin) // step * step
    if advance <= 0:
        raise SettingError(f"tile: {tile} pixels are too few for the halo of {model.config['name']}, {margin} pixels. "
                           f"Choose {2 * margin + 2 * step} or more")  # fmt: skip
    starts = [*range(0, length - size, advance), length - size]
    edges = [0, *(start + margin for start in starts[1:]), length]
    return [Cut(start, start + size, *own) for start, own in zip(starts, pairwise(edges), strict=True)]


def tile_logits(
    model: Network, read: Read, size: tuple[int, int], *, tile: int = TILE, mirror: bool = False,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Iterator[tuple[Cut, Cut, np.ndarray, np.ndarray]]:  # fmt: skip
    """Predict a picture of `size` (H, W) in tiles, from left to right and from top to bottom.

    Args:
        read: a function that returns rows. Each call begins and ends further down than the one before.
        tile: the maximum height and width of a crop in pixels.
        mirror: average the logits of the picture and its mirror image.
        progress: a function that wraps the loop over the tiles.

    Yields:
        the cuts of rows and columns, the rows of the crop (h, W, 3), and the logits (h, w, K) that the crop provides.
    """
    model.check_size(size)
    rows, columns = (cuts(model, length, tile) for length in size)
    for row, column in progress([*product(rows, columns)]):
        if column is columns[0]:
            band = read(row.start, row.stop)
        logits = picture_logits(model, band[:, column.start : column.stop], mirror=mirror)
        yield row, column, band, logits[row.own, column.own]


def predict_bands(
    model: Network, read: Read, size: tuple[int, int], **options: Any
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the picture (h, W, 3) and its labels (h, W), both uint8, in bands from top to bottom.

    The arguments are those of `tile_logits`. The memory does not depend on the picture's height.
    """
    for row, column, band, logits in tile_logits(model, read, size, **options):
        if column.first == 0:
            labels = np.empty((row.last - row.first, size[1]), np.uint8)
        labels[:, column.first : column.last] = logits.argmax(axis=-1)
        if column.last == size[1]:
            yield band[row.own], labels


def rows_of(image: np.ndarray) -> Read:
    """Return the function that reads the rows of an array (H, W, 3)."""
    return lambda top, bottom: image[top:bottom]


def picture_logits(model: Network, image: np.ndarray, *, mirror: bool = False, tile: int | None = None) -> np.ndarray:
    """Return the logits (H, W, K) of a picture (H, W, 3) uint8 at its own size, computed in tiles if wanted."""
    if tile is not None:
        found = np.empty((*image.shape[:2], model.num_classes), model.dtype)
        for row, column, _, part in tile_logits(model, rows_of(image), image.shape[:2], tile=tile, mirror=mirror):
            found[row.first : row.last, column.first : column.last] = part
        return found
    x = image[None].astype(model.dtype)
    logits, *mirrored = class_logits(model.forward(np.concatenate([x, x[:, :, ::-1]]) if mirror else x))
    return (logits + mirrored[0][:, ::-1]) / 2 if mirror else logits


def class_logits(logits: np.ndarray) -> np.ndarray:
    """Return one logit per class (..., K). A single logit z becomes (0, z), because sigmoid(z) = softmax(0, z)[1]."""
    return logits if logits.shape[-1] > 1 else np.concatenate([np.zeros_like(logits), logits], axis=-1)
