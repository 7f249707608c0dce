"""Max-unpooling, which is SegNet's upsampling, and a variant with fixed positions."""

import numpy as np

from ..errors import StateError
from .layer import Layer
from .max_pool2d import MaxPool2d


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
