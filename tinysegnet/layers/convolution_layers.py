"""Convolution, transposed convolution and depthwise convolution, and their base class."""

import copy
from typing import Any, ClassVar, Literal

import numpy as np

from .. import ops
from ..ops.windows import place
from .batchnorm2d import BatchNorm2d
from .layer import Layer, he_normal
from .layer_trace import Windows
from .pixelwise_layers import ReLU


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


class ConvTranspose2d(ConvolutionLayer):
    """A transposed convolution, the adjoint of a Conv2d: every input pixel adds a scaled copy of the kernel.

    Args:
        in_channels, out_channels: the number of input and output channels.
        kernel_size: height and width of the kernel. The weight has shape (K, K, out_channels, in_channels).
        stride: the distance between neighbouring kernels, in output pixels.
        pool: the layer whose input size is restored. Without a pool, the output is `stride` times the input size.
        bilinear: whether to start with one bilinear kernel per channel (FCN, Long et al. 2015, section 3.3).
        rng: the generator of the initial weight, unless it is bilinear, or None for zeros that take no memory.
    """

    op = "conv_transpose2d"
    mixes_channels = True
    large = "out"

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, bias: bool = True,
                 pool: Layer | None = None, bilinear: bool = False, rng: np.random.Generator | None,
                 dtype: Any = np.float32) -> None:  # fmt: skip
        shape = (kernel_size, kernel_size, out_channels, in_channels)
        fan_in = max(1, kernel_size * kernel_size * in_channels // stride**2)  # the number of terms of one output value
        smooth = bilinear and rng is not None
        weight = bilinear_weight(shape, stride, dtype) if smooth else he_normal(rng, shape, fan_in, dtype)
        super().__init__(weight, out_channels, bias)
        self.stride, self.pool = stride, pool

    def _forward(self, x, tape):
        settings = {"stride": self.stride, "output_size": tape.size_before(self)}
        return self._ops(tape).forward(x, self.params["weight"], self.params.get("bias"), **settings)

    def output_shape(self, input_shape):
        N, *size, _ = input_shape
        K, _, features, _ = self.params["weight"].shape
        return (N, *ops.conv_transpose2d_output_size(size, K, stride=self.stride), features)


def bilinear_weight(shape: tuple[int, ...], stride: int, dtype: Any) -> np.ndarray:
    """Return a weight (K, K, F, C) whose transposed convolution enlarges each channel smoothly and on its own.

    The kernel is a triangle along each axis. The taps that contribute to one output pixel sum to 1, so constants stay
    constant except at the border. K = 2 * stride gives bilinear interpolation; a larger K smooths more.
    """
    K, _, F, C = shape
    triangle = 1 - np.abs(np.arange(K) - (K - 1) / 2) / ((K + 1) // 2)
    for phase in range(stride):
        triangle[phase::stride] /= triangle[phase::stride].sum()
    return (np.outer(triangle, triangle)[..., None, None] * np.eye(F, C)).astype(dtype)


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
