"""How many threads the kernels and NumPy's matrix products use."""

from __future__ import annotations

import os

from ..errors import SettingError
from .jit import JIT, numba

__all__ = ["set_threads", "single_threaded_blas", "threads"]


def threads() -> int:
    """How many threads the kernels use."""
    return numba.get_num_threads() if JIT else 1


def single_threaded_blas() -> None:
    """NumPy's matrix products in one thread: their rounding depends on how many there are. Our kernels' does not."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


def set_threads(count: int) -> None:
    """Use this many threads, in numba's kernels and in NumPy's matrix products alike.

    At most as many as numba has started, the number of cores or NUMBA_NUM_THREADS; SettingError otherwise.
    """
    from threadpoolctl import threadpool_limits

    most = numba.config.NUMBA_NUM_THREADS if JIT else os.cpu_count() or 1
    if not 1 <= count <= most:
        raise SettingError(f"threads {count} (expected 1..{most} on this machine)")
    if JIT:
        numba.set_num_threads(count)
    threadpool_limits(limits=count, user_api="blas")
