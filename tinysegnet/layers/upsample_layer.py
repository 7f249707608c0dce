"""Upsampling by interpolation."""

from typing import Literal

from .layer import Layer
from .layer_trace import Windows


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
