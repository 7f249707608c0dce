"""What the three convolutions have in common: a weight, a bias, and where a kernel lies on the picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.windows import place
from .layer import Layer

__all__ = ["Convolution"]


class Convolution(Layer):
    """Base of Conv2d, ConvTranspose2d and DepthwiseConv2d: weight (K, K, ...), and a bias per output channel."""

    keeps = "input"
    stride = 1
    padding: Any = "same"

    def _start(self, weight: np.ndarray, out_channels: int, bias: bool) -> None:
        self.params["weight"] = weight
        if bias:
            self.params["bias"] = np.zeros(out_channels, weight.dtype)

    def _assign(self, dweight: np.ndarray, dbias: np.ndarray | None) -> None:
        self.grads["weight"] = dweight
        if dbias is not None:
            self.grads["bias"] = dbias

    def _place(self, size: tuple[int, ...]) -> Any:
        """(strides, zeros before the picture) along rows and columns, for the larger of both sides' sizes (H, W)."""
        strides, pads, _ = place(self.name, size, self.params["weight"].shape[:2], self.stride, self.padding)
        return strides, (pads[0][0], pads[1][0])

    def receptive_interval(self, axis, interval, size, output_size):
        K, (strides, before) = self.params["weight"].shape[axis], self._place(size)
        begin = -before[axis]
        return interval[0] * strides[axis] + begin, interval[1] * strides[axis] + begin + K - 1

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape[:3])) * self.params["weight"].size
