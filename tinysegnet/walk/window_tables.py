"""Which pixels of a layer's input and output belong together, for every layer that looks at more than one.

A convolution, a pooling, an unpooling, an interpolation: all have a larger side and a smaller one, and pixel q of the
smaller belongs, along each axis, to the K pixels of the larger from q*s - before on:

    convolution, pooling          input  larger    output smaller
    transposed, unpooling, ...    output larger    input  smaller

So one small class finds what a sum reads, forward as well as backward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Windows", "spread"]


@dataclass(frozen=True)
class Windows:
    """kernel, stride, before: (rows, columns). large: which side is the larger one, "in" or "out"."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    large: str

    def needed(self, wanted: np.ndarray, size: tuple[int, int], *, of: str) -> np.ndarray:
        """Pixels of one side wanted (h, w) bool -> those of the other side, of `size`, that belong to them.

        of: the side whose pixels are wanted, "in" or "out".
        """
        found = np.zeros(size, bool)
        for i, j in np.ndindex(*self.kernel):
            rows, columns = self._pairs(0, i, wanted, size, of), self._pairs(1, j, wanted, size, of)
            found[np.ix_(rows[1], columns[1])] |= wanted[np.ix_(rows[0], columns[0])]
        return found

    def _pairs(self, axis: int, tap: int, wanted: np.ndarray, size: tuple[int, int], of: str) -> Any:
        """Along an axis and for one tap: the wanted pixels, and the other side's that belong to them."""
        smaller_first = of != self.large
        small = np.arange(wanted.shape[axis] if smaller_first else size[axis])
        large = small * self.stride[axis] - self.before[axis] + tap
        inside = (large >= 0) & (large < (size[axis] if smaller_first else wanted.shape[axis]))
        pair = small[inside], large[inside]
        return pair if smaller_first else pair[::-1]

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        return {"kernel": self.kernel, "stride": self.stride, "before": self.before, "large": self.large}


def spread(size: tuple[int, int], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of at least `count` pixels, evenly over a map of `size` and on its edges; all, if it has fewer.

    >>> [axis.tolist() for axis in spread((4, 9), 6)]
    [[0, 3], [0, 4, 8]]
    """
    H, W = size
    rows = min(H, max(1, round(np.sqrt(count * H / W))))
    columns = min(W, -(-count // rows))
    rows = min(H, -(-count // columns))
    return tuple(np.unique(np.linspace(0, n - 1, k).round().astype(int)) for n, k in ((H, rows), (W, columns)))  # type: ignore[return-value]
