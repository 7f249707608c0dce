"""The builder with which every architecture builds its layers, and the first layers, which have no parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import BatchNorm2d, Conv2d, DepthwiseConv2d, Layer, LocalResponseNorm, Normalize, ReLU

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of RGB in 0..1
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of RGB in 0..255

#: functions that create a network's first layer for a dtype, by name
PREPROCESSING: dict[str, Callable[[Any], Layer]] = {
    # about -2..2, for training from random weights
    "scaled": lambda dtype: Normalize(127.5, 64, dtype=dtype),
    # 0..1
    "unit": lambda dtype: Normalize(0, 255, dtype=dtype),
    # as in the SegNet-Basic model file: the brightness of each pixel is compressed
    "local_response": lambda dtype: LocalResponseNorm(),
    # as in the SegNet model file: unscaled values in the order blue, green, red
    "bgr": lambda dtype: Normalize(0, 1, bgr=True, dtype=dtype),
    # as for torchvision's VGG16
    "imagenet": lambda dtype: Normalize(255 * IMAGENET_MEAN, 255 * IMAGENET_STD, dtype=dtype),
    # as for the VGG16 of Caffe and Keras: in the order blue, green, red, with the mean subtracted
    "caffe": lambda dtype: Normalize(CAFFE_MEAN, 1, bgr=True, dtype=dtype),
}

Widths = tuple[tuple[int, ...], ...]


class LayerBuilder:
    """A builder that adds layers one after the other. `channels` is the number of channels of the last layer.

    If rng is None, the weights are zeros that take no memory.
    """

    def __init__(self, rng: np.random.Generator | None, dtype: Any, preprocessing: str) -> None:
        self.layers: dict[str, Layer] = {"input": PREPROCESSING[preprocessing](dtype)}
        self.channels = 3
        self.init: dict[str, Any] = {"rng": rng, "dtype": dtype}

    def add(self, name: str, layer: Layer) -> Any:
        self.layers[name] = layer
        return layer

    def convolution(self, name: str, channels: int, kernel_size: int, *, bias: bool = True) -> None:
        self.add(name, Conv2d(self.channels, channels, kernel_size, bias=bias, **self.init))
        self.channels = channels

    def stage(self, name: str, widths: tuple[int, ...], kernel_size: int, *, bias: bool, relu: bool,
              depthwise: bool = False) -> None:  # fmt: skip
        """Add a convolution, a batch norm and, if wanted, a ReLU for each number of channels."""
        for i, width in enumerate(widths, start=1):
            if depthwise:
                self.add(f"{name}.conv{i}", DepthwiseConv2d(width, kernel_size, bias=bias, **self.init))
            else:
                self.convolution(f"{name}.conv{i}", width, kernel_size, bias=bias)
            self.add(f"{name}.bn{i}", BatchNorm2d(width, dtype=self.init["dtype"]))
            if relu:
                self.add(f"{name}.relu{i}", ReLU())


def narrowed(stages: Widths, width: float) -> Widths:
    """Multiply all numbers of channels by `width`, with 1 as the minimum."""
    return tuple(tuple(max(1, round(channels * width)) for channels in stage) for stage in stages)
