"""The receptive field: the pixels of the picture on which a value inside a network can depend.

From the value, an interval of rows and an interval of columns grow backwards through the layers, by the `Windows` of
each layer. Unpooling also needs the windows in the pool's input, which set the indices. Each interval is clipped to the
layer's input. Through a 3x3 convolution, a pool and another 3x3 convolution, the field grows from 1 pixel to 3, 6 and 8
pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import SettingError, unknown_name
from ..layers import Interval, Layer
from .summary import LayerShapes, layer_shapes


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels. As in a slice, `bottom` and `right` are the first row and column outside the rectangle."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """The slices for cropping a picture, as in image[box.slices]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def receptive_field(layers: Mapping[str, Layer], layer_name: str, at: tuple[int, int], size: tuple[int, int]) -> Box:
    """Return the part of a picture of `size` (H, W) that can affect pixel `at` (row, column) of a layer's output.

    Batch norm has fixed statistics, as in inference. Raises SettingError if the layer or pixel does not exist.
    """
    if layer_name not in layers:
        raise SettingError(unknown_name("layer", layer_name, layers))
    shapes = list(layer_shapes(layers, (1, *size, 3)))[: list(layers).index(layer_name) + 1]
    _, H, W, _ = shapes[-1].after
    if not (0 <= at[0] < H and 0 <= at[1] < W):
        raise SettingError(f"at: {tuple(at)} is outside the output of {layer_name}, which is {H} x {W}")
    (top, bottom), (left, right) = (_along(axis, shapes, at[axis]) for axis in (0, 1))
    return Box(top, left, bottom + 1, right + 1)


def _along(axis: int, shapes: Sequence[LayerShapes], pixel: int) -> Interval:
    """Follow the interval along one axis from the last layer back to the picture."""
    interval = pixel, pixel
    aside: dict[Layer, Interval] = {}  # the intervals that later layers need from their source
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
