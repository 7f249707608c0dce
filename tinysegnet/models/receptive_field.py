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
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingError
from ..layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Dropout,
    MaxPool2d,
    MaxUnpool2d,
    SkipAdd,
    SkipSource,
    Upsample,
)
from ..ops.windows import place

if TYPE_CHECKING:
    from .network import Network

__all__ = ["Box", "influence", "receptive_field"]

Interval = tuple[int, int]  # first and last, both belong to it


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


def receptive_field(model: Network, layer_name: str, at: tuple[int, int], size: tuple[int, int]) -> Box:
    """The pixels of a picture of `size` (H, W) that pixel `at` (row, column) of a layer's output can depend on.

    Batch norm is taken as at test time, with fixed statistics. Raises SettingError for a layer or a pixel that is not.
    """
    shapes = _shapes_up_to(model, layer_name, size)
    _demand_pixel(layer_name, at, shapes[-1][3])
    axes = [_along(axis, shapes, at[axis - 1]) for axis in (1, 2)]
    (top, bottom), (left, right) = axes
    return Box(top, left, bottom + 1, right + 1)


def influence(
    model: Network, layer_name: str, at: tuple[int, int], image: np.ndarray, *, channel: int | None = None
) -> np.ndarray:
    """How strongly pixel `at` of a layer's output reacts to each pixel of the picture: (H, W), of sum 1 if any does.

    The size of the gradient, the three colours' added up, at test time: fixed statistics, no dropout. image: (H, W, 3),
    RGB in 0..255. channel: of the layer's output; default the largest one at that place. Raises as `receptive_field`.
    """
    shapes = _shapes_up_to(model, layer_name, image.shape[:2])
    _demand_pixel(layer_name, at, shapes[-1][3])
    layers = list(copy.deepcopy(model).layers.values())[: len(shapes)]  # a copy: its gradients stay its own
    x: Any = np.asarray(image, model.dtype)[None]
    for layer in layers:
        x = layer.forward(x, training=not isinstance(layer, Dropout | BatchNorm2d))
    dout = np.zeros_like(x)
    dout[0, at[0], at[1], int(x[0, at[0], at[1]].argmax()) if channel is None else channel] = 1
    for layer in reversed(layers):
        dout = _gradient_at_test(layer, dout)
    strength = np.abs(dout[0]).sum(-1)
    return strength / strength.sum() if strength.any() else strength


def _gradient_at_test(layer: Any, dout: np.ndarray) -> Any:
    """The layer's backward where statistics are fixed and nothing is dropped."""
    if isinstance(layer, Dropout):
        return dout
    if isinstance(layer, BatchNorm2d):
        var = layer.buffers["running_var"]
        return dout * (layer.params["gamma"] / np.sqrt(var + var.dtype.type(layer.eps)))
    if isinstance(layer, SkipSource) and layer.dkept is None:  # its SkipAdd comes after the named layer
        layer.dkept = np.zeros_like(layer.kept)
    return layer.backward(dout)


def _shapes_up_to(model: Network, layer_name: str, size: tuple[int, int]) -> list[tuple[str, Any, Any, Any]]:
    """(name, layer, input shape, output shape) of every layer up to the named one."""
    if layer_name not in model.layers:
        raise SettingError(f"no layer named {layer_name!r} (expected one of {', '.join(model.layers)})")
    shapes = []
    for entry in model.output_shapes((1, *size, 3)):
        shapes.append(entry)
        if entry[0] == layer_name:
            break
    return shapes


def _demand_pixel(layer_name: str, at: tuple[int, int], shape: tuple[int, ...]) -> None:
    if not (0 <= at[0] < shape[1] and 0 <= at[1] < shape[2]):
        raise SettingError(f"at: {tuple(at)} is outside the output of {layer_name}, {shape[1]} x {shape[2]}")


def _along(axis: int, shapes: list[tuple[str, Any, Any, Any]], pixel: int) -> Interval:
    """The interval of one axis, walked back from the last layer to the picture."""
    interval = pixel, pixel
    aside: dict[Any, Interval] = {}  # what later layers want of a pool's input, or of a tap's
    for _, layer, before, after in reversed(shapes):
        if isinstance(layer, MaxUnpool2d):
            stride = layer.pool.stride
            windows = interval[0] // stride, interval[1] // stride
            aside[layer.pool] = windows[0] * stride, windows[1] * stride + layer.pool.kernel_size - 1
        if isinstance(layer, SkipAdd):
            aside[layer.tap] = interval
        interval = _through(layer, axis, interval, before, after)
        if layer in aside:
            extra = aside[layer]
            if isinstance(layer, SkipSource) and layer.through is not None:
                extra = _through(layer.through, axis, extra, before, after)
            interval = min(interval[0], extra[0]), max(interval[1], extra[1])
        interval = max(interval[0], 0), min(interval[1], before[axis] - 1)
    return interval


def _through(layer: Any, axis: int, interval: Interval, before: Any, after: Any) -> Interval:
    """What an interval of a layer's output depends on in its input, cut nowhere yet."""
    first, last = interval
    if isinstance(layer, MaxUnpool2d):
        return first // layer.pool.stride, last // layer.pool.stride
    if isinstance(layer, MaxPool2d):
        return first * layer.stride, last * layer.stride + layer.kernel_size - 1
    if isinstance(layer, Conv2d | DepthwiseConv2d):
        stride, padding = getattr(layer, "stride", 1), getattr(layer, "padding", "same")
        K, (begin, s) = layer.params["weight"].shape[axis - 1], _place(before, layer, stride, padding, axis)
        return first * s - begin, last * s - begin + K - 1
    if isinstance(layer, ConvTranspose2d):
        # forward: input pixel q writes to q*s - before .. q*s - before + K - 1
        K, (begin, s) = layer.params["weight"].shape[axis - 1], _place(after, layer, layer.stride, "same", axis)
        return -((K - 1 - first - begin) // s), (last + begin) // s
    if isinstance(layer, Upsample):
        factor = layer.scale_factor
        if layer.mode == "nearest":
            return first // factor, last // factor
        low, high = ((n + 0.5) / factor - 0.5 for n in interval)
        return min(math.floor(low), before[axis] - 1), max(math.ceil(high), 0)
    return interval


def _place(shape: Any, layer: Any, stride: int, padding: Any, axis: int) -> tuple[int, int]:
    """Along the axis: zeros before the picture, and the stride."""
    strides, pads, _ = place("receptive_field", shape[1:3], layer.params["weight"].shape[:2], stride, padding)
    return pads[axis - 1][0], strides[axis - 1]
