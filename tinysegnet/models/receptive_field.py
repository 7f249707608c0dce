"""Which pixels of the picture a number inside a network depends on: what it can see, and what it does look at.

From the number backwards, layer by layer, an interval of rows (and one of columns) grows:

    convolution        [a, b]  ->  [a*s - before,  b*s - before + K - 1]
    pooling            [a, b]  ->  [a*s,  b*s + K - 1]
    unpooling          [a, b]  ->  [a // s,  b // s]; and of what the pool saw, the windows there: they set the indices
    bilinear           [a, b]  ->  the pixels that positions a and b lie between
    element by element [a, b]  ->  [a, b]

each cut at the borders of what the layer sees. Twice 3x3 and a pool between make 1 -> 3 -> 6 -> 8 pixels.

That is the box of what can have an influence. How much each pixel has is the gradient; most of it falls near the middle
(Luo et al. 2016, "Understanding the effective receptive field").
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import SettingError
from ..layers import Interval, Layer, Tape
from .shapes import LayerShapes, layer_shapes

__all__ = ["Box", "influence", "receptive_field"]


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
        """To cut it out of a picture: image[box.slices]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def receptive_field(layers: Mapping[str, Layer], layer_name: str, at: tuple[int, int], size: tuple[int, int]) -> Box:
    """The pixels of a picture that one pixel of a layer's output can depend on.

    Batch norm is taken as at test time, with fixed statistics.

    Args:
        layers: of a network, by name.
        layer_name, at: the layer, and (row, column) in its output.
        size: (H, W) of the picture.

    Raises:
        SettingError: for a layer or a pixel that does not exist.
    """
    shapes = _shapes_up_to(layers, layer_name, size)
    _check_pixel(layer_name, at, shapes[-1].after)
    (top, bottom), (left, right) = (_along(axis, shapes, at[axis]) for axis in (0, 1))
    return Box(top, left, bottom + 1, right + 1)


def influence(
    layers: Mapping[str, Layer], layer_name: str, at: tuple[int, int], image: np.ndarray, *, channel: int | None = None
) -> np.ndarray:
    """How strongly one pixel of a layer's output reacts to each pixel of the picture.

    It is the size of the gradient, added up over the three colours, at test time: fixed statistics, no dropout.

    Args:
        layers, layer_name, at: as for `receptive_field`.
        image: (H, W, 3), RGB in 0..255.
        channel: of the layer's output; default the largest one at that place.

    Returns:
        (H, W), of sum 1 if any pixel counts.

    Raises:
        SettingError: as `receptive_field`.
    """
    shapes = _shapes_up_to(layers, layer_name, image.shape[:2])
    _check_pixel(layer_name, at, shapes[-1].after)
    line = copy.deepcopy([entry.layer for entry in shapes])  # a copy: gradients are assigned to its layers
    tape = Tape(keep=True)
    x: Any = np.asarray(image, next(array.dtype for layer in layers.values() for array in layer.params.values()))[None]
    for layer in line:
        x = layer.forward(x, tape)
    dout = np.zeros_like(x)
    dout[0, at[0], at[1], int(x[0, at[0], at[1]].argmax()) if channel is None else channel] = 1
    for source, maps in tape.maps.items():  # their SkipAdd comes after the named layer
        tape.map_gradients[source] = np.zeros_like(maps)
    for layer in reversed(line):
        dout = layer.backward(dout, tape)
    strength = np.abs(dout[0]).sum(-1)
    return strength / strength.sum() if strength.any() else strength


def _shapes_up_to(layers: Mapping[str, Layer], layer_name: str, size: tuple[int, ...]) -> list[LayerShapes]:
    if layer_name not in layers:
        raise SettingError(f"no layer named {layer_name!r} (expected one of {', '.join(layers)})")
    return list(layer_shapes(layers, (1, *size, 3)))[: list(layers).index(layer_name) + 1]


def _check_pixel(layer_name: str, at: tuple[int, int], shape: tuple[int, ...]) -> None:
    if not (0 <= at[0] < shape[1] and 0 <= at[1] < shape[2]):
        raise SettingError(f"at: {tuple(at)} is outside the output of {layer_name}, {shape[1]} x {shape[2]}")


def _along(axis: int, shapes: Sequence[LayerShapes], pixel: int) -> Interval:
    """The interval of one axis, walked back from the last layer to the picture."""
    interval = pixel, pixel
    aside: dict[Layer, Interval] = {}  # what layers further down the line want of their source
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
