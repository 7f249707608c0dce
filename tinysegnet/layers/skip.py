"""A skip connection in a line of layers: where maps leave the line, and where they are added again."""

from __future__ import annotations

import numpy as np

from ..errors import StateError
from .conv2d import Conv2d
from .layer import Layer

__all__ = ["SkipAdd", "SkipSource"]


class SkipSource(Layer):
    """Pass the input on, and leave it in the tape for a `SkipAdd` further down; backward adds the gradient from there.

    Args:
        through: a convolution that makes the maps fewer first, as FCN does (Long et al. 2015); its parameters are this
            layer's.
    """

    passes_on = mixes_channels = True

    def __init__(self, through: Conv2d | None = None) -> None:
        super().__init__()
        self.through = through
        if through is not None:
            self.params, self.grads, self.keeps = through.params, through.grads, through.keeps  # type: ignore[misc]

    def _forward(self, x, tape):
        tape.maps[self], cache = (x, None) if self.through is None else self.through._forward(x, tape)
        return x, cache

    def _backward(self, dout, cache, tape, input_gradient):
        dmaps = tape.map_gradients.pop(self, None)
        if dmaps is None:
            raise StateError(f"{self.name}: the SkipAdd of this skip source has not run backward yet")
        return dout + (dmaps if self.through is None else self.through._backward(dmaps, cache, tape, True))

    def _details(self, x, out, tape):
        windows = {} if self.through is None else self.through._details(x, out, tape)
        return {"kind": "skip_source", "other": tape.maps[self], **windows}

    def skip_bytes(self, input_shape, itemsize):
        shape = input_shape if self.through is None else self.through.output_shape(input_shape)
        return int(np.prod(shape)) * itemsize

    def skip_interval(self, axis, interval, size):
        return interval if self.through is None else self.through.receptive_interval(axis, interval, size, size)

    def multiply_adds(self, input_shape):
        return 0 if self.through is None else self.through.multiply_adds(input_shape)


class SkipAdd(Layer):
    """x + the maps that the source left; the gradient goes both ways unchanged.

    Args:
        source: the SkipSource further up the line.
    """

    def __init__(self, source: SkipSource) -> None:
        super().__init__()
        self.source: SkipSource = source

    def _forward(self, x, tape):
        maps = tape.maps.pop(self.source, None)
        if maps is None:
            raise StateError(f"{self.name}: its source {self.source.name} has not run yet, so there is nothing to add")
        return x + maps, None

    def _details(self, x, out, tape):
        return {"kind": "skip_add", "partner": self.source.name}

    def _backward(self, dout, cache, tape, input_gradient):
        tape.map_gradients[self.source] = dout
        return dout
