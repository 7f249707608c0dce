"""Convolution."""

import copy
from typing import Any

import numpy as np

from .. import ops
from .batchnorm2d import BatchNorm2d
from .convolution_layer import ConvolutionLayer
from .layer import he_normal
from .pixelwise_layers import ReLU


class Conv2d(ConvolutionLayer):
    """A convolution whose initial weight has standard deviation sqrt(2 / fan_in) (He et al. 2015, section 2.2).

    Args:
        in_channels, out_channels: the number of input and output channels.
        kernel_size: height and width of the kernel. The weight has shape (K, K, in_channels, out_channels).
        stride, padding: as for `ops.conv2d_forward`.
        rng: the generator of the initial weight, or None for zeros that take no memory.
    """

    op = "conv2d"
    mixes_channels = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, padding: Any = "same",
                 bias: bool = True, rng: np.random.Generator | None, dtype: Any = np.float32) -> None:  # fmt: skip
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        super().__init__(he_normal(rng, shape, kernel_size * kernel_size * in_channels, dtype), out_channels, bias)
        self.stride, self.padding = stride, padding

    def _forward(self, x, tape):
        settings = {"stride": self.stride, "padding": self.padding}
        return self._ops(tape).forward(x, self.params["weight"], self.params.get("bias"), **settings)

    def infer(self, x, following, tape):
        """Apply a following BatchNorm2d and ReLU within the convolution, but not their subclasses, which may differ."""
        if tape.definitions or tape.statistics is not None:
            return super().infer(x, following, tape)
        tape.sizes[self] = x.shape[1:3]
        kinds = [type(layer) for layer in following[:2]]
        norm = following[0] if kinds[:1] == [BatchNorm2d] else None
        absorbed = int(norm is not None)
        relu = kinds[absorbed : absorbed + 1] == [ReLU]
        scale, bias = (None, self.params.get("bias")) if norm is None else self.absorb(norm)
        settings = {"stride": self.stride, "padding": self.padding, "scale": scale, "relu": relu}
        return ops.conv2d_inference(x, self.params["weight"], bias, **settings), absorbed + relu

    def fold(self, following):
        """Return a new convolution with the batch norm folded into its weight and bias."""
        if type(following) is not BatchNorm2d:
            return None
        scale, bias = self.absorb(following)
        folded = copy.copy(self)
        folded.params, folded.grads = {"weight": self.params["weight"] * scale, "bias": bias}, {}
        return folded

    def absorb(self, norm: BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
        """Return scale (F,) and bias (F,): with weight * scale and this bias, the convolution includes the batch norm.

        out = gamma * (W x + b - mean) / std + beta    so: scale = gamma / std,  bias = beta + scale * (b - mean)
        """
        mean, var = norm.buffers["running_mean"], norm.buffers["running_var"]
        scale = norm.params["gamma"] / np.sqrt(var + var.dtype.type(norm.eps))
        return scale, norm.params["beta"] + scale * (self.params.get("bias", 0) - mean)

    def output_shape(self, input_shape):
        N, *size, _ = input_shape
        K, _, _, F = self.params["weight"].shape
        return (N, *ops.conv2d_output_size(size, K, stride=self.stride, padding=self.padding), F)

    def multiply_adds(self, input_shape):
        return super().multiply_adds(self.output_shape(input_shape))
