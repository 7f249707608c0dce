"""How an architecture builds its layers, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..layers import BatchNorm2d, Conv2d, Layer, ReLU
from .preprocessing import PREPROCESSING

Widths = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class InitContext:
    """What layers are made with. rng None: weights of zeros that take no memory, where only shapes are wanted."""

    rng: np.random.Generator | None
    dtype: Any
    preprocessing: str


class Architecture(Protocol):
    """A description of a network, from which its layers are made.

    Attributes:
        preprocessing: its default, a name in `PREPROCESSING`.
        size_multiple: heights and widths of pictures must be multiples of it.
    """

    @property
    def preprocessing(self) -> str: ...

    @property
    def size_multiple(self) -> int: ...

    def scaled(self, width: float) -> Architecture:
        """The same with all widths times `width`, at least 1."""

    def layers(self, num_classes: int, context: InitContext) -> dict[str, Layer]:
        """The layers in order, by name: "encoder1.conv1", ..., "classifier"."""


class LayerBuilder:
    """The layers so far by name, the number of channels of the last one, and what layers with weights need."""

    def __init__(self, context: InitContext) -> None:
        self.layers: dict[str, Layer] = {"input": PREPROCESSING[context.preprocessing](context.dtype)}
        self.channels = 3
        self.init: dict[str, Any] = {"rng": context.rng, "dtype": context.dtype}

    def add(self, name: str, layer: Layer) -> Any:
        """-> the layer."""
        self.layers[name] = layer
        return layer

    def convolution(self, name: str, channels: int, kernel_size: int, *, bias: bool = True) -> None:
        """Add a convolution with this number of output channels."""
        self.add(name, self.branch_convolution(channels, kernel_size, bias=bias))
        self.channels = channels

    def branch_convolution(self, channels: int, kernel_size: int, *, bias: bool = True) -> Conv2d:
        """A convolution of the last layer's output, for a branch; it is not added."""
        return Conv2d(self.channels, channels, kernel_size, bias=bias, **self.init)

    def stage(self, name: str, widths: tuple[int, ...], kernel_size: int, *, bias: bool, relu: bool) -> None:
        """Add (conv -> batch norm -> ReLU if wanted) for each width."""
        for i, width in enumerate(widths, start=1):
            self.convolution(f"{name}.conv{i}", width, kernel_size, bias=bias)
            self.norm(f"{name}.bn{i}")
            if relu:
                self.add(f"{name}.relu{i}", ReLU())

    def norm(self, name: str) -> None:
        """Add a batch norm."""
        self.add(name, BatchNorm2d(self.channels, dtype=self.init["dtype"]))


def narrowed(stages: Widths, width: float) -> Widths:
    """All widths times `width`, at least 1."""
    return tuple(tuple(max(1, round(channels * width)) for channels in stage) for stage in stages)
