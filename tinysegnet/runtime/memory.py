"""The memory of large arrays, which is kept for the next training step instead of being returned to the system."""

import ctypes
import math
import os
import sys
import threading
from contextlib import suppress
from typing import Any

import numpy as np

LARGE = 32 << 20  # bytes; glibc returns freed arrays of this size to the system, and allocating 44 MB again takes 2 ms
MOST_KEPT = 1 << 30  # bytes


class _KeptMemory:
    """The memory of large arrays that were freed. Many Python threads may use it."""

    def __init__(self) -> None:
        self.kept: list[np.ndarray] | None = None  # None if memory is not kept
        self.renew_lock()

    def renew_lock(self) -> None:
        """Make a new lock. After a fork, a thread that exists only in the parent may have locked the old one."""
        # Re-entrant, because the garbage collector can call `_Loan.__del__` in the thread that holds the lock.
        self.lock = threading.RLock()

    def give(self, memory: np.ndarray) -> None:
        with self.lock:
            if self.kept is not None and sum(other.nbytes for other in self.kept) + memory.nbytes <= MOST_KEPT:
                self.kept.append(memory)

    def take(self, size: int) -> np.ndarray:
        """Return memory of `size` bytes, or up to a quarter more."""
        with self.lock:
            fitting = [(m.nbytes, k) for k, m in enumerate(self.kept or []) if size <= m.nbytes <= 1.25 * size]
            if self.kept and fitting:
                return self.kept.pop(min(fitting)[1])
        return np.empty(size, np.uint8)


_pool = _KeptMemory()
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_pool.renew_lock)


def keep_freed_memory() -> None:
    """Keep the memory of freed arrays for the arrays of the next training step.

    glibc returns large arrays to the system and allocates new ones page by page, which takes about a seventh of a step
    on small pictures. On other systems, or if glibc refuses, only the memory of arrays from `empty` is kept.
    """
    with _pool.lock:
        _pool.kept = _pool.kept or []
    if sys.platform == "linux":
        trim_threshold, mmap_threshold = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(mmap_threshold, LARGE)  # the largest value that it accepts
            mallopt(trim_threshold, MOST_KEPT)


def release_freed_memory() -> None:
    """Return the memory of freed arrays to the system, now and in future."""
    with _pool.lock:
        _pool.kept = None


class _Loan:
    """The base of an array from `empty`. When the last array that uses it is freed, its memory goes to the pool."""

    def __init__(self, memory: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.memory, self.pool = memory, _pool
        place = memory.__array_interface__["data"]
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": place, "version": 3}

    def __del__(self) -> None:
        self.pool.give(self.memory)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array as np.empty does. After `keep_freed_memory`, a large array reuses the memory of a freed one."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if _pool.kept is None or size < LARGE:
        return np.empty(shape, dtype)
    return np.asarray(_Loan(_pool.take(size), tuple(shape), dtype))


def empty_like(array: np.ndarray) -> np.ndarray:
    """Return an array of the same shape and dtype from `empty`, in C order."""
    return empty(array.shape, array.dtype)
