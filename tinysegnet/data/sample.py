"""What every data set is: a sequence of samples, and the palette that gives their labels a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from .palette import Palette

__all__ = ["Dataset", "Sample"]


@dataclass(frozen=True)
class Sample:
    """One picture with its label map.

    image: (H, W, 3) uint8, RGB. labels: (H, W) uint8, class numbers or the palette's ignore_label.
    name: where it came from, for messages and captions.
    """

    image: np.ndarray
    labels: np.ndarray
    name: str


@runtime_checkable
class Dataset(Protocol):
    """A sequence of `Sample`s. Loading is deterministic: the same index gives the same sample."""

    palette: Palette
    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
