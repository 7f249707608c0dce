"""Dropout."""

import numpy as np

from ..errors import StateError
from .layer import Layer


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
