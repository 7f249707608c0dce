"""Upsampling by interpolation."""

from __future__ import annotations

import math
from typing import Literal

from .. import ops
from .layer import Layer

__all__ = ["Upsample"]


class Upsample(Layer):
    """Enlarge by interpolation, without parameters.

    Args:
        mode: "nearest" repeats pixels, "bilinear" blends four.
        scale_factor: of height and width.
        pool: the output has the height and width that it saw (45 of 23, not 46); without one, scale_factor times the
            input's.
    """

    def __init__(self, mode: Literal["nearest", "bilinear"], *, scale_factor: int = 2,
                 pool: Layer | None = None) -> None:  # fmt: skip
        super().__init__()
        self.mode, self.scale_factor, self.pool = mode, scale_factor, pool
        self._ops = {
            "nearest": (ops.upsample_nearest2d_forward, ops.upsample_nearest2d_backward),
            "bilinear": (ops.upsample_bilinear2d_forward, ops.upsample_bilinear2d_backward),
        }[mode]

    def _forward(self, x, tape):
        return self._ops[0](x, factor=self.scale_factor, output_size=tape.size_before(self))

    def _backward(self, dout, cache, tape, input_gradient):
        return self._ops[1](dout, cache)

    def output_shape(self, input_shape):
        N, H, W, C = input_shape
        return N, H * self.scale_factor, W * self.scale_factor, C

    def receptive_interval(self, axis, interval, size, output_size):
        factor = self.scale_factor
        if self.mode == "nearest":
            return interval[0] // factor, interval[1] // factor
        low, high = ((n + 0.5) / factor - 0.5 for n in interval)
        return min(math.floor(low), size[axis] - 1), max(math.ceil(high), 0)
