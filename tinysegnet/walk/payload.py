"""Arrays encoded for the page: 8-bit pictures, and exact values where a pixel can be clicked.

    planes     int8, channel by channel: 127 * x / scale, with one scale per channel; -128 marks non-finite values
    numbers    float32, at the pixels that the sums of a grid of pixels read, for the shown channels or for all
    weights    float32, those that the shown channels need, forward and backward

Each is compressed with zlib and encoded in base64. A `Plan` sets the amount of data; the largest that fits is used.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plan:
    """The amount of data in a page. The largest plan has the lowest byte limit, because large pages open slowly."""

    channels: int  # maximum number of shown channels per array
    pixels: int  # minimum number of pixels per array whose sums can be shown
    gradients: int  # the same minimum for gradients
    max_bytes: int


MAX_BYTES = 25_000_000
PLANS = (
    Plan(64, 192, 192, 15_000_000),
    Plan(64, 64, 64, MAX_BYTES),
    Plan(32, 64, 64, MAX_BYTES),
    Plan(16, 64, 64, MAX_BYTES),
    Plan(16, 64, 16, MAX_BYTES),
    Plan(12, 64, 16, MAX_BYTES),
    Plan(8, 64, 12, MAX_BYTES),
)


class TooLarge(Exception):
    """The blobs exceed the maximum size of the page."""


class Blobs:
    """Compressed arrays in base64, identified by numbers; together they have at most max_bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.texts: list[str] = []
        self.size, self.max_bytes = 0, max_bytes

    def add(self, array: np.ndarray) -> int:
        """Compress an array and return its number. Raises TooLarge."""
        text = base64.b64encode(zlib.compress(array.tobytes(), 6)).decode()
        if self.size + len(text) > self.max_bytes:
            raise TooLarge
        self.texts.append(text)
        self.size += len(text)
        return len(self.texts) - 1

    def numbers(self, array: np.ndarray) -> int:
        """Add an array as float32, grouped from lowest to highest bytes: high bytes are similar and compress well."""
        flat = np.ascontiguousarray(array, "<f4").reshape(-1)
        return self.add(flat.view(np.uint8).reshape(-1, 4).T)


class PageTensor:
    """An array (1, H, W, C) of a walk. `names` are the names of its channels.

    Exact values are stored at the pixels `exact`, (H, W) bool; if `whole` is True, those of hidden channels, too.
    """

    def __init__(self, number: int, array: np.ndarray, plan: Plan, gradient: bool) -> None:
        self.number, self.array = number, array
        self.size: tuple[int, int] = array.shape[1:3]
        self.shown = min(array.shape[3], plan.channels)
        self.names: list[str] | None = None
        self.whole = False
        self._grid = even_grid(self.size, plan.gradients if gradient else plan.pixels)
        self.clickable = np.zeros(self.size, bool)  # the pixels whose sums the page can show
        self.clickable[np.ix_(*self._grid)] = True
        self.exact = self.clickable.copy()

    def pack(self, blobs: Blobs) -> dict[str, Any]:
        """Return the array's description for the page, and add its bytes to the blobs."""
        array = self.array[0]
        shown = array[..., : self.shown]
        exact = (array if self.whole else shown)[self.exact]
        return {
            "shape": array.shape,
            "shown": self.shown,
            "names": self.names,
            "grid": [axis.tolist() for axis in self._grid],
            "known": {"mask": blobs.add(np.packbits(self.exact)), "numbers": blobs.numbers(exact),
                      "channels": exact.shape[1], "all": bool(self.exact.all())},
            **_planes(shown, blobs),
            "statistics": _statistics(array),
            "strongest": _strongest(shown),
        }  # fmt: skip


def even_grid(size: tuple[int, int], count: int) -> tuple[np.ndarray, ...]:
    """Return rows and columns of at least `count` pixels, or of all, spread evenly over a map from edge to edge.

    >>> [axis.tolist() for axis in even_grid((4, 9), 6)]
    [[0, 3], [0, 4, 8]]
    """
    H, W = size
    rows = min(H, max(1, round(np.sqrt(count * H / W))))
    columns = min(W, -(-count // rows))
    rows = min(H, -(-count // columns))
    return tuple(np.unique(np.linspace(0, n - 1, k).round().astype(int)) for n, k in ((H, rows), (W, columns)))


def _planes(shown: np.ndarray, blobs: Blobs) -> dict[str, Any]:
    """Encode channels as values or as differences from the left neighbour, whichever compresses better."""
    finite = np.isfinite(shown)
    values = np.where(finite, shown, 0)
    size = np.abs(values).reshape(-1, shown.shape[2])
    # a percentile, since a single outlier would make all other values pale
    scales = np.percentile(size, 99.5, axis=0)
    scales = np.where(scales > 0, scales, size.max(0))
    steps = values * (127 / np.where(scales > 0, scales, 1))
    planes = np.where(finite, np.clip(np.rint(steps), -127, 127), -128).astype(np.int8).transpose(2, 0, 1)
    differences = np.diff(planes.view(np.uint8), axis=2, prepend=np.uint8(0))
    plain, different = (len(zlib.compress(a.tobytes(), 1)) for a in (planes, differences))
    blob = blobs.add(differences if different < plain else planes)
    return {"planes": blob, "differences": different < plain, "scales": [as_float(scale) for scale in scales]}


def _strongest(shown: np.ndarray) -> int:
    """Return the channel of (H, W, channels) whose finite values have the largest standard deviation."""
    spread = np.std(np.where(np.isfinite(shown), shown, 0), axis=(0, 1))
    return int(np.argmax(np.where(np.isfinite(spread), spread, 0)))


def _statistics(array: np.ndarray) -> dict[str, Any]:
    """Return statistics of all values in all channels."""
    finite = array[np.isfinite(array)]
    found: dict[str, Any] = {"count": array.size, "broken": array.size - finite.size}
    if not finite.size:
        return found
    counts, edges = np.histogram(finite, 40)
    summary = {"min": finite.min(), "max": finite.max(), "mean": finite.mean(), "std": finite.std(),
               "zeros": np.mean(finite == 0)}  # fmt: skip
    return {**found, **{name: as_float(value) for name, value in summary.items()}, "counts": counts.tolist(),
            "edges": [as_float(edges[0]), as_float(edges[-1])]}  # fmt: skip


def as_float(value: Any) -> float | None:
    """Round to the nine digits that identify a float32; return None for non-finite numbers, which JSON lacks."""
    return float(f"{float(value):.9g}") if np.isfinite(value) else None


def pack_weight(weight: np.ndarray, shown: dict[str, int], blobs: Blobs) -> dict[str, Any]:
    """Encode a weight (KH, KW, larger side's channels, smaller side's), or only what the shown channels need.

    shown: the number of shown channels of the "large" side, the "small" side, or both.
    """
    slices = {"large": lambda n: weight[:, :, :n], "small": lambda n: weight[..., :n]}
    parts = {side: slices[side](count) for side, count in shown.items()}
    if sum(part.size for part in parts.values()) >= weight.size:
        return {"shape": weight.shape, "whole": blobs.numbers(weight)}
    packed = {side: blobs.numbers(part) for side, part in parts.items()}
    return {"shape": weight.shape, **packed, "shown": shown}
