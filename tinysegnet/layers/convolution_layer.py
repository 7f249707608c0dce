"""The base class of the three convolutions: a weight, a bias, and the position of the kernel on the picture."""

from typing import Any, ClassVar, Literal

import numpy as np

from ..ops.windows import place
from .layer import Layer
from .layer_trace import Windows


class ConvolutionLayer(Layer):
    """The base of the three convolutions, with a weight (K, K, ...) and one bias per output channel."""

    keeps = "input"
    large: ClassVar[Literal["in", "out"]] = "in"  # see `Windows`
    stride = 1
    padding: Any = "same"

    def __init__(self, weight: np.ndarray, out_channels: int, bias: bool) -> None:
        super().__init__()
        self.params["weight"] = weight
        if bias:
            self.params["bias"] = np.zeros(out_channels, weight.dtype)

    def _backward(self, dout, cache, tape, input_gradient):
        return self._assign(self._ops(tape).backward(dout, cache, input_gradient=input_gradient))

    def windows(self, size, output_size):
        kernel, larger = self.params["weight"].shape[:2], size if self.large == "in" else output_size
        strides, pads, _ = place(self.name, larger, kernel, self.stride, self.padding)
        return Windows(kernel, tuple(strides), (pads[0][0], pads[1][0]), self.large)

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape[:3])) * self.params["weight"].size
