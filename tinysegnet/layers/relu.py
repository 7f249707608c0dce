"""ReLU."""

from __future__ import annotations

import numpy as np

from .. import ops
from .layer import Layer

__all__ = ["ReLU"]


class ReLU(Layer):
    """max(x, 0)."""

    keeps = "output"

    def _forward(self, x, tape):
        return ops.relu_forward(x)

    def _backward(self, dout, cache, tape, input_gradient):
        return ops.relu_backward(dout, cache)

    def branch_signature(self, cache):
        return np.packbits(cache.out > 0).tobytes()
