"""Layers that compute each pixel from the same pixel of their input: ReLU, dropout, and two normalisations."""

from typing import Any

import numpy as np

from ..errors import ShapeError, StateError
from .layer import Layer


class ReLU(Layer):
    """The rectified linear unit, max(x, 0)."""

    op, keeps = "relu", "output"

    def _forward(self, x, tape):
        return self._ops(tape).forward(x)

    def branch_signature(self, cache):
        return np.packbits(cache.out > 0).tobytes()


class Dropout(Layer):
    """A layer that sets each value to 0 with probability p and divides the others by 1 - p.

    This happens in training and in sampling. The tape's generator draws the masks.
    """

    op = "dropout"
    random = True

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def _forward(self, x, tape):
        if not (tape.training or tape.sample):
            return x, None
        if tape.generator is None:
            raise StateError(f"{self.name}: the tape has no generator for the dropout mask. Create it as "
                             "Tape(training=True, generator=numpy.random.default_rng(0))")  # fmt: skip
        kept = tape.generator.random(x.shape, np.float32) >= self.p
        return self._ops(tape).forward(x, kept, rate=self.p)

    def _backward(self, dout, cache, tape, input_gradient):
        return dout if cache is None else super()._backward(dout, cache, tape, input_gradient)

    def _details(self, x, out, tape):
        return {"op": "", "settings": {"p": self.p}}

    def kept_bytes(self, input_shape):
        return int(np.prod(input_shape))  # the mask


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
        out = x.astype(self.mean.dtype, copy=False) - self.mean
        return np.divide(out, self.scale, out=out)[..., :: self.order], None

    def convert(self, dtype):
        super().convert(dtype)
        self.mean, self.scale = self.mean.astype(dtype), self.scale.astype(dtype)

    def _details(self, x, out, tape):
        mean, scale = (np.broadcast_to(a, x.shape[3:]).astype(float) for a in (self.mean, self.scale))
        params, settings = {"mean": mean, "scale": scale}, {"reversed": self.order == -1}
        return {"kind": "normalize", "params": params, "settings": settings}

    def _backward(self, dout, cache, tape, input_gradient):
        return dout[..., :: self.order] / self.scale if input_gradient else None


class LocalResponseNorm(Layer):
    """The first layer of SegNet-Basic: it divides each value by a power of the energy of the neighbouring channels.

    Args:
        size: the number of channels in the window.
        alpha, beta, k: as in `ops.local_response_norm_forward`; the defaults are those of the authors' model file.
    """

    op, keeps = "local_response_norm", "input"
    mixes_channels = True

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.settings = {"size": size, "alpha": alpha, "beta": beta, "k": k}

    def _forward(self, x, tape):
        return self._ops(tape).forward(x, **self.settings)

    def _details(self, x, out, tape):
        return {"settings": dict(self.settings)}
