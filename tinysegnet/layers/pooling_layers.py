"""Layers that change the size: max-pooling, max-unpooling, which is SegNet's upsampling, and interpolation."""

from typing import Literal

import numpy as np

from .. import ops
from ..errors import StateError
from .layer import Layer
from .layer_trace import Windows


class MaxPool2d(Layer):
    """Max-pooling. It stores the position of each maximum in the tape, for the unpooling of the decoder.

    Args:
        kernel_size: height and width of the window.
        stride: the distance between neighbouring windows.
    """

    op = "max_pool2d"

    def __init__(self, kernel_size: int = 2, stride: int = 2) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def _forward(self, x, tape):
        (out, tape.indices[self]), cache = self._ops(tape).forward(x, size=self.kernel_size, stride=self.stride)
        return out, cache

    def positions(self, indices: np.ndarray, channels: int) -> np.ndarray:
        """Return the indices as positions within their windows, (N, h, w, C)."""
        return ops.unpack_indices(indices, channels) if self.kernel_size == self.stride == 2 else indices

    def windows(self, size, output_size):
        return Windows((self.kernel_size,) * 2, (self.stride,) * 2, (0, 0), "in")

    def _details(self, x, out, tape):
        return {"positions": self.positions(tape.indices[self], x.shape[3])}

    def output_shape(self, input_shape):
        N, *size, C = input_shape
        return (N, *ops.max_pool2d_output_size(size, size=self.kernel_size, stride=self.stride), C)

    def indices_bytes(self, input_shape):
        size, stride = (self.kernel_size,) * 2, (self.stride,) * 2
        return int(np.prod(ops.indices_shape(self.output_shape(input_shape), size, stride)))

    def skip_interval(self, axis, interval, size):
        """Return the interval of the windows that contain an unpooling's output, because they determine its indices."""
        windows = self.windows(size, size)
        return windows.interval(axis, windows.interval(axis, interval, of="in"), of="out")

    def branch_signature(self, cache):
        return cache.indices.tobytes()


class MaxUnpool2d(Layer):
    """Unpooling with the pool's indices to the size of the pool's input (Badrinarayanan et al. 2017, section 3)."""

    op = "max_unpool2d"

    def __init__(self, pool: MaxPool2d) -> None:
        super().__init__()
        self.pool: MaxPool2d = pool
        self.source: Layer | None = pool

    def _forward(self, x, tape):
        if self.pool not in tape.indices:
            raise StateError(f"{self.name}: its pool {self.pool.name} has not run yet, so there are no indices")
        settings = {"output_size": tape.sizes[self.pool], "size": self.pool.kernel_size, "stride": self.pool.stride}
        return self._ops(tape).forward(x, self._chosen(tape.indices[self.pool]), **settings)

    def _chosen(self, indices: np.ndarray) -> np.ndarray:
        """Return the indices at which the values are placed, given the pool's indices."""
        return indices

    def _details(self, x, out, tape):
        positions = self.pool.positions(self._chosen(tape.indices[self.pool]), x.shape[3])
        return {"positions": positions, "partner": self.pool.name, "settings": {"fixed": self.source is None}}

    def windows(self, size, output_size):
        return self.pool.windows(output_size, size)._replace(large="out")


class FixedUnpool2d(MaxUnpool2d):
    """Unpooling to the top left corner of each window, wherever the maximum was: "fixed and sparse" (section 3.1)."""

    def __init__(self, pool: MaxPool2d) -> None:
        super().__init__(pool)
        self.source = None

    def _chosen(self, indices):
        return np.zeros_like(indices)


class Upsample(Layer):
    """Upsampling by nearest-neighbour or bilinear interpolation, without parameters.

    Args:
        mode: "nearest" repeats pixels, and "bilinear" interpolates between four pixels.
        scale_factor: the factor by which height and width grow.
        pool: the layer whose input size is restored, such as 45 where 2 * 23 would be 46. Without a pool, the output is
            `scale_factor` times as large as the input.
    """

    def __init__(self, mode: Literal["nearest", "bilinear"], *, scale_factor: int = 2,
                 pool: Layer | None = None) -> None:  # fmt: skip
        super().__init__()
        self.mode, self.scale_factor, self.pool = mode, scale_factor, pool
        self.op = {"nearest": "upsample_nearest2d", "bilinear": "upsample_bilinear2d"}[mode]  # type: ignore[misc]

    def _forward(self, x, tape):
        return self._ops(tape).forward(x, factor=self.scale_factor, output_size=tape.size_before(self))

    def _details(self, x, out, tape):
        return {"settings": {"factor": self.scale_factor}}

    def windows(self, size, output_size):
        # nearest: a pixel of x affects its copies; bilinear: all output pixels less than `factor` away
        factor = self.scale_factor
        reach, before = (factor, 0) if self.mode == "nearest" else (2 * factor - factor % 2, factor // 2)
        return Windows((reach, reach), (factor, factor), (before, before), "out")

    def output_shape(self, input_shape):
        N, H, W, C = input_shape
        return N, H * self.scale_factor, W * self.scale_factor, C
