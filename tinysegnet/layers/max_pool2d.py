"""Max-pooling."""

import numpy as np

from .. import ops
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
