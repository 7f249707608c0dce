"""Depthwise convolution."""

from typing import Any

import numpy as np

from .convolution_layer import ConvolutionLayer
from .layer import he_normal


class DepthwiseConv2d(ConvolutionLayer):
    """A convolution of each channel with its own kernel, stride 1, "same" padding.

    Args:
        channels: the number of channels of input and output.
        kernel_size: rows and columns of the kernel. The weight is (K, K, 1, channels).
        rng: draws the initial weight; None: zeros that take no memory.
    """

    op = "depthwise_conv2d"

    def __init__(self, channels: int, kernel_size: int, *, bias: bool = True, rng: np.random.Generator | None,
                 dtype: Any = np.float32) -> None:  # fmt: skip
        weight = he_normal(rng, (kernel_size, kernel_size, 1, channels), kernel_size**2, dtype)
        super().__init__(weight, channels, bias)

    def _forward(self, x, tape):
        return self._ops(tape).forward(x, self.params["weight"], self.params.get("bias"))
