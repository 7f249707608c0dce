"""Which pixels of a layer's input and output belong together, for every layer that looks at more than one.

A convolution, a pooling, an unpooling, an interpolation: all have a larger side and a smaller one, and pixel q of the
smaller belongs, along each axis, to the K pixels of the larger from q*s - before on:

    convolution, pooling          input  larger    output smaller
    transposed, unpooling, ...    output larger    input  smaller

So one small class finds what a sum reads, forward as well as backward.
"""

from __future__ import annotations

import numpy as np

__all__ = ["spread"]


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
