"""Skip connections: one layer stores feature maps, and a later layer adds them."""

import numpy as np

from ..errors import ShapeError, StateError
from .convolution_layers import Conv2d
from .layer import Layer


class _Identity(Layer):
    """The identity, for a skip source without a convolution."""

    def _forward(self, x, tape):
        return x, None

    def _backward(self, dout, cache, tape, input_gradient):
        return dout


class SkipSource(Layer):
    """The start of a skip connection: it passes its input on and stores it in the tape for a later `SkipAdd`.

    Args:
        through: a convolution that reduces the number of stored feature maps, as in FCN (Long et al. 2015). This layer
            shares the parameters of the convolution.
    """

    passes_on = mixes_channels = True

    def __init__(self, through: Conv2d | None = None) -> None:
        super().__init__()
        self.through = _Identity() if through is None else through
        self.params, self.grads = self.through.params, self.through.grads
        self.keeps = self.through.keeps  # type: ignore[misc]

    def _forward(self, x, tape):
        tape.maps[self], cache = self.through._forward(x, tape)
        return x, cache

    def _backward(self, dout, cache, tape, input_gradient):
        dmaps = tape.map_gradients.pop(self, None)
        if dmaps is None:
            raise StateError(f"{self.name}: backward of its SkipAdd has not run yet")
        return dout + self.through._backward(dmaps, cache, tape, True)

    def _details(self, x, out, tape):
        maps = tape.maps[self]
        return {"kind": "skip_source", "other": maps, "windows": self.through.windows(x.shape[1:3], maps.shape[1:3])}

    def skip_bytes(self, input_shape, itemsize):
        return int(np.prod(self.through.output_shape(input_shape))) * itemsize

    def skip_interval(self, axis, interval, size):
        return self.through.receptive_interval(axis, interval, size, size)

    def multiply_adds(self, input_shape):
        return self.through.multiply_adds(input_shape)


class SkipAdd(Layer):
    """The end of a skip connection: it adds the feature maps of its source. Both summands get the same gradient."""

    def __init__(self, source: SkipSource) -> None:
        super().__init__()
        self.source: SkipSource = source

    def _forward(self, x, tape):
        maps = tape.maps.pop(self.source, None)
        if maps is None:
            raise StateError(f"{self.name}: its source {self.source.name} has not run yet, so there is nothing to add")
        if maps.shape != x.shape:
            raise ShapeError(f"{self.name}: {self.source.name} stored maps of shape {maps.shape}, but x is {x.shape}")
        return x + maps, None

    def _details(self, x, out, tape):
        return {"kind": "skip_add", "partner": self.source.name}

    def _backward(self, dout, cache, tape, input_gradient):
        tape.map_gradients[self.source] = dout
        return dout
