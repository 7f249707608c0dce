"""The pixels of the picture on which a number inside a network can depend.

From the number backwards, layer by layer, an interval of rows (and one of columns) grows:

    convolution        [a, b]  ->  [a*s - before,  b*s - before + K - 1]
    pooling            [a, b]  ->  [a*s,  b*s + K - 1]
    unpooling          [a, b]  ->  [a // s,  b // s], and in the pool's input the windows there: they set the indices
    bilinear           [a, b]  ->  the pixels that positions a and b lie between
    element by element [a, b]  ->  [a, b]

each clipped to the layer's input. Two 3x3 convolutions with a pool between them give 1 -> 3 -> 6 -> 8 pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import SettingError, unknown_name
from ..layers import Interval, Layer
from .shapes import LayerShapes, layer_shapes


@dataclass(frozen=True)
class Box:
    """Pixels of a picture: rows top..bottom and columns left..right, without bottom and right, as in a slice."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices to crop a picture: image[box.slices]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def receptive_field(layers: Mapping[str, Layer], layer_name: str, at: tuple[int, int], size: tuple[int, int]) -> Box:
    """The pixels of a picture of `size` (H, W) on which pixel `at` (row, column) of a layer's output can depend.

    Batch norm counts as in inference, with fixed statistics. Raises SettingError for a layer or pixel that does not
    exist.
    """
    if layer_name not in layers:
        raise SettingError(unknown_name("layer", layer_name, layers))
    shapes = list(layer_shapes(layers, (1, *size, 3)))[: list(layers).index(layer_name) + 1]
    _, H, W, _ = shapes[-1].after
    if not (0 <= at[0] < H and 0 <= at[1] < W):
        raise SettingError(f"at: {tuple(at)} is outside the output of {layer_name}, {H} x {W}")
    (top, bottom), (left, right) = (_along(axis, shapes, at[axis]) for axis in (0, 1))
    return Box(top, left, bottom + 1, right + 1)


def _along(axis: int, shapes: Sequence[LayerShapes], pixel: int) -> Interval:
    """The interval of one axis, walked back from the last layer to the picture."""
    interval = pixel, pixel
    aside: dict[Layer, Interval] = {}  # what later layers need from their source
    for _, layer, before, after in reversed(shapes):
        if layer.source is not None:
            aside[layer.source] = interval
        size = before[1:3]
        through = layer.receptive_interval(axis, interval, size, after[1:3])
        if layer in aside:
            extra = layer.skip_interval(axis, aside[layer], size)
            through = min(through[0], extra[0]), max(through[1], extra[1])
        interval = max(through[0], 0), min(through[1], size[axis] - 1)
    return interval
