"""The arrays of one layer's forward and backward pass that a walk shows, by name."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

Interval = tuple[int, int]  #: the first and last row or column, both inclusive


class Windows(NamedTuple):
    """The correspondence between the pixels of a layer's input and output.

    Along each axis, pixel q of the smaller side corresponds to the K pixels of the larger side that start at
    q * stride - before, where K is the kernel size. `large` names the larger side, "in" or "out".
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    large: Literal["in", "out"]

    def interval(self, axis: int, interval: Interval, *, of: str) -> Interval:
        """Return the interval of the other side that corresponds to an interval of the side `of`, without clipping."""
        kernel, stride, before = self.kernel[axis], self.stride[axis], self.before[axis]
        first, last = interval
        if of != self.large:
            return first * stride - before, last * stride - before + kernel - 1
        return -((kernel - 1 - first - before) // stride), (last + before) // stride  # -(-n // stride) rounds up

    def needed(self, wanted: np.ndarray, size: tuple[int, int], *, of: str) -> np.ndarray:
        """Return a mask of the other side, of `size` (H, W), with the pixels that correspond to the wanted pixels.

        The mask `wanted` (h, w) refers to the side `of`, "in" or "out".
        """
        rows, columns = (self._correspond(axis, wanted.shape[axis], size[axis], of) for axis in (0, 1))
        return rows @ wanted @ columns.T > 0

    def _correspond(self, axis: int, count: int, other_count: int, of: str) -> np.ndarray:
        """Return a matrix (other_count, count) that is 1 where a pixel of the other side corresponds to one of `of`."""
        small, large = (other_count, count) if of == self.large else (count, other_count)
        tap = np.arange(large)[:, None] - (np.arange(small) * self.stride[axis] - self.before[axis])
        pairs = ((tap >= 0) & (tap < self.kernel[axis])).astype(np.float32)
        return pairs.T if of == self.large else pairs


@dataclass
class LayerTrace:
    """The record of one layer's call. All arrays are float64, and pictures have shape (1, H, W, C).

    `kind` selects the explanation: it is the op's name, "normalize", "skip_source" or "skip_add", or the class's name
    for a layer with its own code. The gradients are recorded only if there is a loss.
    """

    name: str  # the layer's name in its network
    layer: Any
    kind: str
    op: str  # the name of the op whose definition ran, or ""
    x: np.ndarray
    out: np.ndarray
    params: dict[str, np.ndarray] = field(default_factory=dict)  # weight, bias, gamma, ...
    settings: dict[str, Any] = field(default_factory=dict)  # plain numbers
    windows: Windows | None = None  # for a layer that combines several pixels
    positions: np.ndarray | None = None  # of a pool's maxima within their windows, (1, h, w, C)
    other: np.ndarray | None = None  # the feature maps that a SkipAdd adds or a SkipSource stores
    partner: str = ""  # the layer that receives or provides these feature maps or indices
    dout: Any = None
    dx: Any = None
    dother: Any = None
    dparams: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def result(self) -> np.ndarray:
        """The array that the layer computes: its output, or the feature maps that a SkipSource stores."""
        return self.other if self.layer.passes_on and self.other is not None else self.out

    @property
    def dresult(self) -> np.ndarray | None:
        return self.dother if self.result is self.other else self.dout
