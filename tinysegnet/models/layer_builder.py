"""The builder with which every architecture builds its layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import BatchNorm2d, Conv2d, DepthwiseConv2d, Layer, ReLU
from .preprocessing import PREPROCESSING

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
