"""The number of threads that the kernels and NumPy's matrix products use."""

import os

from threadpoolctl import threadpool_limits

from ..errors import SettingError
from .jit import JIT, numba


def threads() -> int:
    """Return the number of threads that the kernels use."""
    if not JIT:
        return 1
    from .launch import start_threads

    return start_threads()


def single_threaded_blas() -> None:
    """Compute NumPy's matrix products in one thread, because their rounding depends on the number of threads.

    The compiled kernels do not depend on it, so training then gives the same bits for any number of threads.
    """
    threadpool_limits(limits=1, user_api="blas")


def set_threads(count: int) -> None:
    """Use this many threads in the kernels and in NumPy's matrix products.

    Raises SettingError for a count below 1, or above NUMBA_NUM_THREADS, which is the number of cores by default.
    """
    most = numba.config.NUMBA_NUM_THREADS if JIT else os.cpu_count() or 1
    if not 1 <= count <= most:
        raise SettingError(f"threads: {count} is not possible. Give a number from 1 to {most} on this machine")
    if JIT:
        numba.set_num_threads(count)
    threadpool_limits(limits=count, user_api="blas")
