"""What SegNet's relatives are made of: other ways up, maps that cross from the encoder, dropout, normalisation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .. import ops
from ..errors import StateError
from .layer import Layer, he_normal
from .segnet import Conv2d, MaxPool2d, MaxUnpool2d

__all__ = [
    "ConvTranspose2d",
    "DepthwiseConv2d",
    "Dropout",
    "FixedUnpool2d",
    "LocalResponseNorm",
    "SkipAdd",
    "SkipSource",
    "Upsample",
]  # fmt: skip


class LocalResponseNorm(Layer):
    """Every number divided by a power of the energy of the channels around it: SegNet-Basic's first layer.

    size: channels in a window. The defaults are those of the authors' model file; no parameters.
    """

    keeps = "input"

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.settings = {"size": size, "alpha": alpha, "beta": beta, "k": k}

    def _forward(self, x, *, training, sample):
        return ops.local_response_norm_forward(x, **self.settings)

    def _backward(self, dout, cache, input_gradient):
        return ops.local_response_norm_backward(dout, cache) if input_gradient else None


class ConvTranspose2d(Layer):
    """Transposed convolution, the adjoint of a Conv2d: every input pixel spreads a kernel. Weight (K, K, out, in).

    pool: the output has the size that it saw; without one, stride times the input's. bilinear: begin with a bilinear
    kernel for each channel (FCN, Long et al. 2015, section 3.3) instead of at random.
    """

    keeps = "input"

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, bias: bool = True,
                 pool: MaxPool2d | None = None, bilinear: bool = False, rng: np.random.Generator | None,
                 dtype: Any = np.float32) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.pool = stride, pool
        shape = (kernel_size, kernel_size, out_channels, in_channels)
        fan_in = max(1, kernel_size * kernel_size * in_channels // stride**2)  # the taps that meet in one output pixel
        begin_bilinear = bilinear and rng is not None
        self.params["weight"] = (
            bilinear_weight(shape, stride, dtype) if begin_bilinear else he_normal(rng, shape, fan_in, dtype)
        )
        if bias:
            self.params["bias"] = np.zeros(out_channels, dtype)

    def _forward(self, x, *, training, sample):
        size = None if self.pool is None else _size_before(self)
        return ops.conv_transpose2d_forward(
            x, self.params["weight"], self.params.get("bias"), stride=self.stride, output_size=size
        )

    def _backward(self, dout, cache, input_gradient):
        dx, self.grads["weight"], dbias = ops.conv_transpose2d_backward(dout, cache, input_gradient=input_gradient)
        if dbias is not None:
            self.grads["bias"] = dbias
        return dx

    def output_shape(self, input_shape):
        N, *size, _ = input_shape
        K, _, features, _ = self.params["weight"].shape
        return (N, *ops.conv_transpose2d_output_size(size, K, stride=self.stride), features)

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape[:3])) * self.params["weight"].size


def bilinear_weight(shape: tuple[int, ...], stride: int, dtype: Any) -> np.ndarray:
    """A weight (K, K, F, C) whose transposed convolution smoothly enlarges channel c to channel c.

    Along each axis a triangle; the taps that meet in one output pixel, every stride-th, sum to 1, so that constants
    stay constants but at the border. K = 2 * stride interpolates bilinearly; a larger K smooths more.
    """
    K, _, F, C = shape
    triangle = 1 - np.abs(np.arange(K) - (K - 1) / 2) / ((K + 1) // 2)
    for phase in range(stride):
        triangle[phase::stride] /= triangle[phase::stride].sum()
    return (np.outer(triangle, triangle)[..., None, None] * np.eye(F, C)).astype(dtype)


class DepthwiseConv2d(Layer):
    """A convolution of each channel with a kernel of its own: weight (K, K, 1, channels), stride 1, "same" padding."""

    keeps = "input"

    def __init__(self, channels: int, kernel_size: int, *, bias: bool = True, rng: np.random.Generator | None,
                 dtype: Any = np.float32) -> None:  # fmt: skip
        super().__init__()
        self.params["weight"] = he_normal(rng, (kernel_size, kernel_size, 1, channels), kernel_size**2, dtype)
        if bias:
            self.params["bias"] = np.zeros(channels, dtype)

    def _forward(self, x, *, training, sample):
        return ops.depthwise_conv2d_forward(x, self.params["weight"], self.params.get("bias"))

    def _backward(self, dout, cache, input_gradient):
        dx, self.grads["weight"], dbias = ops.depthwise_conv2d_backward(dout, cache, input_gradient=input_gradient)
        if dbias is not None:
            self.grads["bias"] = dbias
        return dx

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape[:3])) * self.params["weight"].size


class Upsample(Layer):
    """Larger by interpolation, without parameters. mode: "nearest" repeats pixels, "bilinear" mixes four.

    pool: the output has the size that it saw (45 of 23, not 46); without one, scale_factor times the input's.
    """

    def __init__(self, mode: Literal["nearest", "bilinear"], *, scale_factor: int = 2,
                 pool: MaxPool2d | None = None) -> None:  # fmt: skip
        super().__init__()
        self.mode, self.scale_factor, self.pool = mode, scale_factor, pool
        self._ops = {
            "nearest": (ops.upsample_nearest2d_forward, ops.upsample_nearest2d_backward),
            "bilinear": (ops.upsample_bilinear2d_forward, ops.upsample_bilinear2d_backward),
        }[mode]

    def _forward(self, x, *, training, sample):
        size = None if self.pool is None else _size_before(self)
        return self._ops[0](x, factor=self.scale_factor, output_size=size)

    def _backward(self, dout, cache, input_gradient):
        return self._ops[1](dout, cache)

    def output_shape(self, input_shape):
        N, H, W, C = input_shape
        return N, H * self.scale_factor, W * self.scale_factor, C


class FixedUnpool2d(MaxUnpool2d):
    """Unpooling to the same corner of every window, wherever the maximum was: "fixed and sparse" (section 3.1)."""

    def _indices(self):
        return np.zeros_like(super()._indices())


class Dropout(Layer):
    """Each number is 0 with probability `p`, the others grow by 1 / (1 - p): in training, and where `sample` is asked.

    generator: where the masks come from; a network's dropouts share one.
    """

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator) -> None:
        super().__init__()
        self.p, self.generator = p, generator

    def _forward(self, x, *, training, sample):
        if not (training or sample):
            return x, None
        kept = self.generator.random(x.shape, np.float32) >= self.p
        return ops.dropout_forward(x, kept, rate=self.p)

    def _backward(self, dout, cache, input_gradient):
        return ops.dropout_backward(dout, cache)


class SkipSource(Layer):
    """Passes its input on, and keeps it for an `SkipAdd` further down the line; backward adds the gradient from there.

    through: a convolution that makes the kept maps fewer first, as FCN does; its parameters are the tap's.
    """

    def __init__(self, through: Conv2d | None = None) -> None:
        super().__init__()
        self.through = through
        self.kept: Any = None
        self.dkept: Any = None
        if through is not None:
            self.params, self.grads, self.keeps = through.params, through.grads, through.keeps  # type: ignore[misc]

    def _forward(self, x, *, training, sample):
        self.kept = x if self.through is None else self.through.forward(x, training=training)
        return x, None

    def _backward(self, dout, cache, input_gradient):
        dkept, self.dkept = self.dkept, None
        if dkept is None:
            raise StateError(f"{self.name}: the SkipAdd of this tap has not run backward yet")
        return dout + (dkept if self.through is None else self.through.backward(dkept))

    def forget(self):
        super().forget()
        self.dkept = None
        if self.through is not None:
            self.through.forget()

    def kept_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the maps that cross to the `SkipAdd`."""
        return input_shape if self.through is None else self.through.output_shape(input_shape)

    def multiply_adds(self, input_shape):
        return 0 if self.through is None else self.through.multiply_adds(input_shape)


class SkipAdd(Layer):
    """x + what the tap kept; the gradient goes both ways unchanged."""

    def __init__(self, tap: SkipSource) -> None:
        super().__init__()
        self.tap = tap

    def _forward(self, x, *, training, sample):
        if self.tap.kept is None:
            raise StateError(f"{self.name}: its tap {self.tap.name} has not run yet, so there is nothing to add")
        kept, self.tap.kept = self.tap.kept, None
        return x + kept, None

    def _backward(self, dout, cache, input_gradient):
        self.tap.dkept = dout
        return dout


def _size_before(layer: Layer) -> tuple[int, int]:
    """Height and width that the layer's pool saw."""
    if layer.pool.input_size is None:
        raise StateError(f"{layer.name}: its pool {layer.pool.name} has not run yet, so there is no size to restore")
    return layer.pool.input_size
