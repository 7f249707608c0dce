"""How many threads the kernels and NumPy's matrix products use."""

import os

from threadpoolctl import threadpool_limits

from ..errors import SettingError
from .jit import JIT, numba


def threads() -> int:
    """The number of threads that the kernels use."""
    return numba.get_num_threads() if JIT else 1


def single_threaded_blas() -> None:
    """Compute NumPy's matrix products in one thread. Their rounding depends on the count; that of our kernels does not.

    So a training has the same bits whatever the number of threads.
    """
    threadpool_limits(limits=1, user_api="blas")


def set_threads(count: int) -> None:
    """Use this many threads in the kernels and in NumPy's matrix products.

    Raises:
        SettingError: for less than 1 or more than numba starts, which is NUMBA_NUM_THREADS or the number of cores.
    """
    most = numba.config.NUMBA_NUM_THREADS if JIT else os.cpu_count() or 1
    if not 1 <= count <= most:
        raise SettingError(f"threads {count} (expected 1..{most} on this machine)")
    if JIT:
        numba.set_num_threads(count)
    threadpool_limits(limits=count, user_api="blas")
