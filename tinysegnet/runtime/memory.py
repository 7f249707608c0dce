"""Memory of large arrays: kept for the next training step instead of being returned to the system."""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any

import numpy as np

__all__ = ["empty", "empty_like", "keep_freed_memory", "release_freed_memory"]

LARGE = 32 << 20  # bytes: glibc never keeps a freed array of this size, and 2 ms pass before 44 MB more are there
MOST_KEPT = 1 << 30  # bytes

_left: list[np.ndarray] | None = None  # memory of large arrays that are gone; None: nothing is kept


def keep_freed_memory() -> None:
    """Let the process keep the memory of arrays it has freed, for the arrays of the next training step.

    glibc gives large arrays back to the system and takes new ones page by page: about a seventh of a step on small
    pictures. Elsewhere, or where it refuses, only arrays from `empty` are kept.
    """
    global _left
    _left = [] if _left is None else _left
    if sys.platform != "linux":
        return
    trim_threshold, mmap_threshold = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_threshold, LARGE)  # the most that it accepts
    mallopt(trim_threshold, MOST_KEPT)


def release_freed_memory() -> None:
    """Give the memory of large arrays that are gone back to the system."""
    global _left
    _left = None


class _Loan:
    """What an array from `empty` is based on: when the last such array is gone, its memory is left for the next."""

    def __init__(self, memory: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.memory = memory
        place = memory.__array_interface__["data"]
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": place, "version": 3}

    def __del__(self) -> None:
        if _left is not None and sum(memory.nbytes for memory in _left) + self.memory.nbytes <= MOST_KEPT:
            _left.append(self.memory)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """As np.empty; after `keep_freed_memory`, a large array takes over the memory of one that is gone."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if _left is None or size < LARGE:
        return np.empty(shape, dtype)
    fitting = [(memory.nbytes, k) for k, memory in enumerate(_left) if size <= memory.nbytes <= 1.25 * size]
    memory = _left.pop(min(fitting)[1]) if fitting else np.empty(size, np.uint8)
    return np.asarray(_Loan(memory, tuple(shape), dtype))


def empty_like(array: np.ndarray) -> np.ndarray:
    """As np.empty_like, by `empty`, in C order."""
    return empty(array.shape, array.dtype)
