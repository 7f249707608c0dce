"""Arrays as the page carries them: pictures of 8 bits a number, and exact numbers where somebody can click.

    planes     int8, channel by channel: 127 * x / scale, each channel with a scale of its own; -128 is not finite
    numbers    float32, of the pixels that the sums of a grid of pixels read: the shown channels, or all
    weights    those of the shown channels, forward and backward

Each is deflated and written in base64. How much there is of each is a `Plan`; the largest that fits is taken.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Windows
from .window_tables import spread

__all__ = ["MOST_BYTES", "PLANS", "Blobs", "Plan", "Tensors", "TooLarge", "as_float", "pack_weight"]


@dataclass(frozen=True)
class Plan:
    """channels: shown of each array, at most. pixels: of each array that have sums, at least; gradients: of those of
    the way back. most: bytes of a page by this plan; a plan of plenty is not worth a page that is slow to open.
    """

    channels: int
    pixels: int
    gradients: int
    most: int


MOST_BYTES = 25_000_000
PLENTY = 15_000_000
PLANS = (
    Plan(64, 192, 192, PLENTY),
    Plan(64, 64, 64, MOST_BYTES),
    Plan(32, 64, 64, MOST_BYTES),
    Plan(16, 64, 64, MOST_BYTES),
    Plan(16, 64, 16, MOST_BYTES),
    Plan(12, 64, 16, MOST_BYTES),
    Plan(8, 64, 12, MOST_BYTES),
)


class TooLarge(Exception):
    """The blobs are already larger than the page may be."""


class Blobs:
    """Bytes, deflated and in base64, by number. most: how many bytes all of them together may have."""

    def __init__(self, most: int) -> None:
        self.texts: list[str] = []
        self.size, self.most = 0, most

    def add(self, data: bytes) -> int:
        """-> its number. Raises TooLarge."""
        text = base64.b64encode(zlib.compress(data, 6)).decode()
        self.texts.append(text)
        self.size += len(text)
        if self.size > self.most:
            raise TooLarge
        return len(self.texts) - 1

    def numbers(self, array: np.ndarray) -> int:
        """As float32: first all lowest bytes, last all highest ones, which resemble each other and deflate well."""
        flat = np.ascontiguousarray(array, "<f4").reshape(-1)
        return self.add(flat.view(np.uint8).reshape(-1, 4).T.tobytes())


@dataclass
class _Tensor:
    array: np.ndarray
    gradient: bool
    names: list[str] | None
    known: np.ndarray
    whole: bool = False


class Tensors:
    """All arrays of a walk, (1, H, W, C) each, by number; one that comes twice is kept once."""

    def __init__(self) -> None:
        self._all: list[_Tensor] = []

    def add(self, array: np.ndarray, *, gradient: bool = False, names: list[str] | None = None) -> int:
        """-> its number. gradient: it belongs to the way back. names: of the channels."""
        for number, tensor in enumerate(self._all):
            if tensor.array is array:
                return number
        self._all.append(_Tensor(array, gradient, names, np.zeros(array.shape[1:3], bool)))
        return len(self._all) - 1

    def name(self, number: int, names: list[str]) -> None:
        """Name the channels of an array."""
        self._all[number].names = names

    def grid(self, number: int, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels that can be clicked."""
        tensor = self._all[number]
        return spread(tensor.array.shape[1:3], plan.gradients if tensor.gradient else plan.pixels)

    def clickable(self, number: int, plan: Plan) -> np.ndarray:
        """The same as a mask (H, W)."""
        mask = np.zeros(self.size(number), bool)
        mask[np.ix_(*self.grid(number, plan))] = True
        return mask

    def size(self, number: int) -> tuple[int, int]:
        """(H, W)."""
        H, W = self._all[number].array.shape[1:3]
        return H, W

    def channels(self, number: int, plan: Plan) -> int:
        """How many channels are shown."""
        return min(self._all[number].array.shape[3], plan.channels)

    def forget(self) -> None:
        """Nothing has to be known exactly any more."""
        for tensor in self._all:
            tensor.known[:] = False
            tensor.whole = False

    def demand(self, number: int, mask: np.ndarray, *, whole: bool = False) -> None:
        """These pixels have to be known exactly. whole: all channels of them, not only the shown ones."""
        self._all[number].known |= mask
        self._all[number].whole |= whole

    def demand_around(self, number: int, windows: Windows, wanted: np.ndarray, of: str, *, whole: bool) -> None:
        """Those that belong to wanted pixels of the layer's other side."""
        self.demand(number, windows.needed(wanted, self.size(number), of=of), whole=whole)

    def pack(self, plan: Plan, blobs: Blobs) -> list[dict[str, Any]]:
        """What the page has to know of each."""
        for number in range(len(self._all)):
            self.demand(number, self.clickable(number, plan))
        return [self._pack(number, plan, blobs) for number in range(len(self._all))]

    def _pack(self, number: int, plan: Plan, blobs: Blobs) -> dict[str, Any]:
        tensor = self._all[number]
        array, rows_columns = tensor.array[0], self.grid(number, plan)
        shown = array[..., : plan.channels]
        exact = array if tensor.whole else shown
        known = {"mask": blobs.add(np.packbits(tensor.known).tobytes()), "numbers": blobs.numbers(exact[tensor.known]),
                 "channels": exact.shape[2]}  # fmt: skip
        return {
            "shape": array.shape,
            "shown": shown.shape[2],
            "names": tensor.names,
            "grid": [axis.tolist() for axis in rows_columns],
            "known": known,
            **_planes(shown, blobs),
            "statistics": _statistics(array),
            "strongest": _strongest(shown),
        }


def _planes(shown: np.ndarray, blobs: Blobs) -> dict[str, Any]:
    """Channel by channel. Smooth ones deflate better as differences from the left neighbour: the shorter is taken."""
    finite = np.isfinite(shown)
    size = np.abs(np.where(finite, shown, 0)).reshape(-1, shown.shape[2])
    # one far number would make all others pale
    scales = np.percentile(size, 99.5, axis=0)
    scales = np.where(scales > 0, scales, size.max(0))
    steps = np.where(finite, shown, 0) * (127 / np.where(scales > 0, scales, 1))
    planes = np.where(finite, np.clip(np.rint(steps), -127, 127), -128).astype(np.int8).transpose(2, 0, 1)
    differences = np.diff(planes.view(np.uint8), axis=2, prepend=np.uint8(0))
    plain, different = (len(zlib.compress(np.ascontiguousarray(a).tobytes(), 1)) for a in (planes, differences))
    data = differences if different < plain else planes
    blob = blobs.add(np.ascontiguousarray(data).tobytes())
    return {"planes": blob, "differences": different < plain, "scales": [as_float(scale) for scale in scales]}


def _strongest(shown: np.ndarray) -> int:
    """The channel (of (H, W, channels)) with most to see: the largest spread of its finite numbers."""
    spread = np.std(np.where(np.isfinite(shown), shown, 0), axis=(0, 1))
    return int(np.argmax(np.where(np.isfinite(spread), spread, 0)))


def _statistics(array: np.ndarray) -> dict[str, Any]:
    """Of all numbers, of all channels."""
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
    """A number of float32, with as many digits as tell it from its neighbours; None, which JSON has, if not finite."""
    return float(f"{float(value):.9g}") if np.isfinite(value) else None


def pack_weight(weight: np.ndarray, shown: dict[str, int], blobs: Blobs) -> dict[str, Any]:
    """weight (KH, KW, larger side's channels, smaller side's): whole, or what the shown channels of a side need.

    shown: channels of the "large" side, of the "small" one, or of both.
    """
    slices = {"large": lambda n: weight[:, :, :n], "small": lambda n: weight[..., :n]}
    parts = {side: slices[side](count) for side, count in shown.items()}
    if sum(part.size for part in parts.values()) >= weight.size:
        return {"shape": weight.shape, "whole": blobs.numbers(weight)}
    packed = {side: blobs.numbers(part) for side, part in parts.items()}
    return {"shape": weight.shape, **packed, "shown": shown}
