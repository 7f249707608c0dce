"""The normalisation of the picture, usually the first layer of a network."""

from typing import Any

import numpy as np

from ..errors import ShapeError
from .layer import Layer


class Normalize(Layer):
    """The normalisation (x - mean) / scale of RGB pictures in 0..255, without parameters.

    Args:
        mean, scale: one value, or one value per channel in the order red, green, blue.
        bgr: whether to return the channels in the order blue, green, red.
    """

    def __init__(self, mean: Any, scale: Any, *, bgr: bool = False, dtype: Any = np.float32) -> None:
        super().__init__()
        self.mean, self.scale, self.order = np.asarray(mean, dtype), np.asarray(scale, dtype), -1 if bgr else 1

    def _forward(self, x, tape):
        if max(self.mean.size, self.scale.size) not in (1, x.shape[3]):
            raise ShapeError(f"{self.name} needs {max(self.mean.size, self.scale.size)} channels, got {x.shape[3]}")
        return ((x.astype(self.mean.dtype, copy=False) - self.mean) / self.scale)[..., :: self.order], None

    def convert(self, dtype):
        super().convert(dtype)
        self.mean, self.scale = self.mean.astype(dtype), self.scale.astype(dtype)

    def _details(self, x, out, tape):
        mean, scale = (np.broadcast_to(a, x.shape[3:]).astype(float) for a in (self.mean, self.scale))
        params, settings = {"mean": mean, "scale": scale}, {"reversed": self.order == -1}
        return {"kind": "normalize", "params": params, "settings": settings}

    def _backward(self, dout, cache, tape, input_gradient):
        return dout[..., :: self.order] / self.scale if input_gradient else None
