"""What a walk shows for a layer: the arrays of one forward and backward, by name."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np


class Windows(NamedTuple):
    """Which pixels of a layer's input and output belong together.

    Along each axis, pixel q of the smaller side belongs to K pixels of the larger side, from q * stride - before on,
    where K is the kernel's size. large: which side is the larger one, "in" or "out".
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    large: Literal["in", "out"]

    def needed(self, wanted: np.ndarray, size: tuple[int, int], *, of: str) -> np.ndarray:
        """The pixels of the other side, (H, W) = size, that belong to the wanted pixels (h, w); both bool.

        of: the side whose pixels are wanted, "in" or "out".
        """
        found = np.zeros(size, bool)
        for i, j in np.ndindex(*self.kernel):
            rows, columns = self._pairs(0, i, wanted, size, of), self._pairs(1, j, wanted, size, of)
            found[np.ix_(rows[1], columns[1])] |= wanted[np.ix_(rows[0], columns[0])]
        return found

    def _pairs(self, axis: int, tap: int, wanted: np.ndarray, size: tuple[int, int], of: str) -> Any:
        """For one axis and tap: the wanted pixels, and the pixels of the other side that belong to them."""
        smaller_first = of != self.large
        small = np.arange(wanted.shape[axis] if smaller_first else size[axis])
        large = small * self.stride[axis] - self.before[axis] + tap
        inside = (large >= 0) & (large < (size[axis] if smaller_first else wanted.shape[axis]))
        pair = small[inside], large[inside]
        return pair if smaller_first else pair[::-1]


@dataclass
class LayerTrace:
    """What one layer did. All arrays float64, pictures (1, H, W, C).

    Attributes:
        name, layer: the layer in its network.
        kind: what the walk explains: the op, "normalize", "skip_source" or "skip_add"; for a layer with its own code,
            the name of its class.
        op: the op whose definition ran, "" if none.
        x, out: input and output.
        params: weight, bias, gamma, ...
        settings: plain numbers.
        windows: which pixels belong together, for a layer that combines several.
        positions: the positions of a pool's maxima in their windows, (1, h, w, C).
        other: the maps that a SkipAdd adds or a SkipSource leaves.
        partner: the layer that receives or provides these maps or indices.
        dout, dx, dother, dparams: the gradients, if there is a loss.
    """

    name: str
    layer: Any
    kind: str
    op: str
    x: np.ndarray
    out: np.ndarray
    params: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    windows: Windows | None = None
    positions: np.ndarray | None = None
    other: np.ndarray | None = None
    partner: str = ""
    dout: Any = None
    dx: Any = None
    dother: Any = None
    dparams: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def result(self) -> np.ndarray:
        """What the layer computes: its output or, if it passes its input on, the maps that it leaves."""
        return self.other if self.layer.passes_on and self.other is not None else self.out

    @property
    def dresult(self) -> np.ndarray | None:
        """The gradient of `result`."""
        return self.dother if self.result is self.other else self.dout
