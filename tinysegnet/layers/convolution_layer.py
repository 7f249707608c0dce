"""The base class of the three convolutions: a weight, a bias, and the position of the kernel on the picture."""

from typing import Any, Literal

import numpy as np

from ..ops.windows import place
from .layer import Layer
from .layer_trace import Windows


class ConvolutionLayer(Layer):
    """The base of the three convolutions, with a weight (K, K, ...) and one bias per output channel."""

    keeps = "input"
    stride = 1
    padding: Any = "same"

    def __init__(self, weight: np.ndarray, out_channels: int, bias: bool) -> None:
        super().__init__()
        self.params["weight"] = weight
        if bias:
            self.params["bias"] = np.zeros(out_channels, weight.dtype)

    def _backward(self, dout, cache, tape, input_gradient):
        return self._assign(self._ops(tape).backward(dout, cache, input_gradient=input_gradient))

    def _details(self, x, out, tape):
        return {"windows": self._windows(x.shape[1:3], "in")}

    def _windows(self, size: tuple[int, ...], large: Literal["in", "out"]) -> Windows:
        stride, before = self._place(size)
        return Windows(self.params["weight"].shape[:2], stride, before, large)

    def _place(self, size: tuple[int, ...]) -> Any:
        """Return (strides, zeros before the picture) along both axes, for the `size` (H, W) of the larger side."""
        strides, pads, _ = place(self.name, size, self.params["weight"].shape[:2], self.stride, self.padding)
        return tuple(strides), (pads[0][0], pads[1][0])

    def receptive_interval(self, axis, interval, size, output_size):
        K, (strides, before) = self.params["weight"].shape[axis], self._place(size)
        begin = -before[axis]
        return interval[0] * strides[axis] + begin, interval[1] * strides[axis] + begin + K - 1

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape[:3])) * self.params["weight"].size
