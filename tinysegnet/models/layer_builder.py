"""A network being laid out, layer after layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..layers import BatchNorm2d, Conv2d, Layer, ReLU
from .preprocessing import PREPROCESSING

Widths = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class InitContext:
    """What layers are made with. rng None: zeros without memory, of which only the shapes count."""

    rng: np.random.Generator | None
    dtype: Any
    preprocessing: str


class Architecture(Protocol):
    """A network in words, from which its layers are made.

    Attributes:
        preprocessing: its own, where no other is asked for: a name of `PREPROCESSING`.
        size_multiple: heights and widths of pictures must be multiples of it.
    """

    @property
    def preprocessing(self) -> str: ...

    @property
    def size_multiple(self) -> int: ...

    def scaled(self, width: float) -> Architecture:
        """The same with all widths times `width`, at least 1."""

    def layers(self, num_classes: int, context: InitContext) -> dict[str, Layer]:
        """The layers in a line, by name: "encoder1.conv1", ..., "classifier"."""


class LayerBuilder:
    """Layers by name, the channels that come out of the last one, and what layers with weights are made with."""

    def __init__(self, context: InitContext) -> None:
        self.layers: dict[str, Layer] = {"input": PREPROCESSING[context.preprocessing](context.dtype)}
        self.channels = 3
        self.init: dict[str, Any] = {"rng": context.rng, "dtype": context.dtype}

    def add(self, name: str, layer: Layer) -> Any:
        """-> the layer."""
        self.layers[name] = layer
        return layer

    def convolution(self, name: str, channels: int, kernel_size: int, *, bias: bool = True) -> None:
        """A convolution to so many channels."""
        self.add(name, self.branch_convolution(channels, kernel_size, bias=bias))
        self.channels = channels

    def branch_convolution(self, channels: int, kernel_size: int, *, bias: bool = True) -> Conv2d:
        """A convolution of what comes out of the last layer, for a branch."""
        return Conv2d(self.channels, channels, kernel_size, bias=bias, **self.init)

    def stage(self, name: str, widths: tuple[int, ...], kernel_size: int, *, bias: bool, relu: bool) -> None:
        """(conv -> batch norm -> ReLU where wanted) for each width."""
        for i, width in enumerate(widths, start=1):
            self.convolution(f"{name}.conv{i}", width, kernel_size, bias=bias)
            self.norm(f"{name}.bn{i}")
            if relu:
                self.add(f"{name}.relu{i}", ReLU())

    def norm(self, name: str) -> None:
        """A batch norm."""
        self.add(name, BatchNorm2d(self.channels, dtype=self.init["dtype"]))


def narrowed(stages: Widths, width: float) -> Widths:
    """All widths times `width`, at least 1."""
    return tuple(tuple(max(1, round(channels * width)) for channels in stage) for stage in stages)
