"""What SegNet is made of: convolution, batch norm, ReLU, pooling and unpooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import StateError
from .layer import Layer, he_normal

__all__ = ["BatchNorm2d", "BatchNormReLU2d", "Conv2d", "MaxPool2d", "MaxUnpool2d", "Normalize", "ReLU"]


class Normalize(Layer):
    """A network's first layer: out = (x - mean) / scale. Pictures come as RGB in 0..255; no parameters.

    mean, scale: a number, or one a channel of the picture. bgr: the channels come out in the order blue, green, red.
    """

    def __init__(self, mean: Any, scale: Any, *, bgr: bool = False, dtype: Any = np.float32) -> None:
        super().__init__()
        self.mean, self.scale, self.order = np.asarray(mean, dtype), np.asarray(scale, dtype), -1 if bgr else 1

    def _forward(self, x, *, training, sample):
        return ((x.astype(self.mean.dtype, copy=False) - self.mean) / self.scale)[..., :: self.order], None

    def _backward(self, dout, cache, input_gradient):
        return dout[..., :: self.order] / self.scale if input_gradient else None


class Conv2d(Layer):
    """Convolution, weight (K, K, in_channels, out_channels), initialised as He et al. 2015, section 2.2: normal, with
    standard deviation sqrt(2 / fan_in).
    """

    keeps = "input"

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, padding: Any = "same",
                 bias: bool = True, rng: np.random.Generator | None, dtype: Any = np.float32) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.padding = stride, padding
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        fan_in = kernel_size * kernel_size * in_channels
        self.params["weight"] = he_normal(rng, shape, fan_in, dtype)
        if bias:
            self.params["bias"] = np.zeros(out_channels, dtype)

    def _forward(self, x, *, training, sample):
        settings = {"stride": self.stride, "padding": self.padding}
        return ops.conv2d_forward(x, self.params["weight"], self.params.get("bias"), **settings)

    def _backward(self, dout, cache, input_gradient):
        dx, self.grads["weight"], dbias = ops.conv2d_backward(dout, cache, input_gradient=input_gradient)
        if dbias is not None:
            self.grads["bias"] = dbias
        return dx

    def infer(self, x: np.ndarray, norm: BatchNorm2d | None = None, *, relu: bool = False) -> np.ndarray:
        """What this layer, a batch norm with its running statistics, and a ReLU make of x, in one convolution."""
        scale, bias = (None, self.params.get("bias")) if norm is None else self.absorb(norm)
        settings = {"stride": self.stride, "padding": self.padding, "scale": scale, "relu": relu}
        return ops.conv2d_inference(x, self.params["weight"], bias, **settings)

    def absorb(self, norm: BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
        """scale (F,) and bias (F,): with the weight times scale, and this bias, the convolution does norm's work too.

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
        return int(np.prod(self.output_shape(input_shape)[:3])) * self.params["weight"].size


class BatchNorm2d(Layer):
    """Batch normalisation with running statistics, as torch.nn.BatchNorm2d: training uses the batch's mean and
    variance and moves the running ones by `momentum` towards them (the variance unbiased); testing uses those.
    """

    keeps = "input"
    _ops = ops.batchnorm2d_forward, ops.batchnorm2d_backward

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, dtype: Any = np.float32) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.params = {"gamma": np.ones(num_features, dtype), "beta": np.zeros(num_features, dtype)}
        self.buffers = {"running_mean": np.zeros(num_features, dtype), "running_var": np.ones(num_features, dtype)}

    def _forward(self, x, *, training, sample):
        mean, var = (None, None) if training else (self.buffers["running_mean"], self.buffers["running_var"])
        gamma, beta = self.params["gamma"], self.params["beta"]
        (out, mean, var), cache = self._ops[0](x, gamma, beta, mean=mean, var=var, eps=self.eps)
        if training:
            self.observe(mean, var, x.size // x.shape[3])
        return out, cache

    def observe(self, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        """Move the running statistics towards those of a batch of `count` pixels. var: the biased one."""
        for name, value in (("running_mean", mean), ("running_var", var * (count / (count - 1)))):
            self.buffers[name] += self.momentum * (value - self.buffers[name])

    def _backward(self, dout, cache, input_gradient):
        dx, self.grads["gamma"], self.grads["beta"] = self._ops[1](dout, cache)
        return dx


class BatchNormReLU2d(BatchNorm2d):
    """A BatchNorm2d and the ReLU after it in one pass over memory; all that it has is the given layer's."""

    _ops = ops.batchnorm2d_relu_forward, ops.batchnorm2d_relu_backward

    def __init__(self, norm: BatchNorm2d) -> None:
        self.__dict__ = norm.__dict__

    def branch_signature(self):
        return np.packbits(ops.relu_blocks(self._cache[0])).tobytes() if self._cache else None


class ReLU(Layer):
    """max(x, 0)."""

    keeps = "output"

    def _forward(self, x, *, training, sample):
        return ops.relu_forward(x)

    def _backward(self, dout, cache, input_gradient):
        return ops.relu_backward(dout, cache)

    def branch_signature(self):
        return np.packbits(self._cache[0].out > 0).tobytes() if self._cache else None


class MaxPool2d(Layer):
    """Max-pooling, which leaves `indices` and `input_size` for its mirror, valid until its next forward."""

    def __init__(self, kernel_size: int = 2, stride: int = 2) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.indices: np.ndarray | None = None
        self.input_size: tuple[int, int] | None = None

    def _forward(self, x, *, training, sample):
        (out, self.indices), cache = ops.max_pool2d_forward(x, size=self.kernel_size, stride=self.stride)
        self.input_size = x.shape[1:3]
        return out, cache

    def _backward(self, dout, cache, input_gradient):
        return ops.max_pool2d_backward(dout, cache)

    def output_shape(self, input_shape):
        N, *size, C = input_shape
        return (N, *ops.max_pool2d_output_size(size, size=self.kernel_size, stride=self.stride), C)

    def indices_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Memory of the indices that a forward on this shape leaves."""
        size, stride = (self.kernel_size,) * 2, (self.stride,) * 2
        return int(np.prod(ops.indices_shape(self.output_shape(input_shape), size, stride)))

    def branch_signature(self):
        return None if self.indices is None else self.indices.tobytes()


class MaxUnpool2d(Layer):
    """Unpooling with the indices of the given MaxPool2d, to the size that it saw: SegNet's upsampling."""

    def __init__(self, pool: MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def _forward(self, x, *, training, sample):
        pool = self.pool
        sizes = {"output_size": pool.input_size, "size": pool.kernel_size, "stride": pool.stride}
        return ops.max_unpool2d_forward(x, self._indices(), **sizes)

    def _indices(self):
        if self.pool.indices is None:
            raise StateError(f"{self.name}: its pool {self.pool.name} has not run yet, so there are no indices")
        return self.pool.indices

    def _backward(self, dout, cache, input_gradient):
        return ops.max_unpool2d_backward(dout, cache)
