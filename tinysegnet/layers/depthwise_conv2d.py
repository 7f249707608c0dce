"""Depthwise convolution."""

from typing import Any

import numpy as np

from .convolution_layer import ConvolutionLayer
from .layer import he_normal


class DepthwiseConv2d(ConvolutionLayer):
    """A depthwise convolution: each channel has its own kernel. The stride is 1, and the padding is "same".

    Args:
        channels: the number of input and output channels.
        kernel_size: height and width of the kernel. The weight has shape (K, K, 1, channels).
        rng: the generator of the initial weight, or None for zeros that take no memory.
    """

    op = "depthwise_conv2d"

    def __init__(self, channels: int, kernel_size: int, *, bias: bool = True, rng: np.random.Generator | None,
                 dtype: Any = np.float32) -> None:  # fmt: skip
        weight = he_normal(rng, (kernel_size, kernel_size, 1, channels), kernel_size**2, dtype)
        super().__init__(weight, channels, bias)

    def _forward(self, x, tape):
        return self._ops(tape).forward(x, self.params["weight"], self.params.get("bias"))
