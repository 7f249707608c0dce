"""Safe launches of kernels in threads and in child processes. This file is imported only where numba compiles.

The class of a kernel decides how it is launched. Every kernel starts as a `FirstLaunch`. The first launch of any kernel
starts numba's threads and gives all kernels the class that these threads need, so later launches have no extra cost.
"""

import os
import threading
from contextlib import suppress
from typing import Any

import numba

from ..errors import SettingError, StateError
from .kernel_cache import compiled_kernels

Dispatcher: Any = type(numba.njit(lambda: None))  # numba's own kernels, which launch directly


class FirstLaunch(Dispatcher):
    """A kernel before any kernel has run."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        start_threads()  # numba then knows which library provides them
        _launch_all_as(OneAtATime if numba.threading_layer() == "workqueue" else Dispatcher)
        return self(*arguments, **named)


class OneAtATime(Dispatcher):
    """A kernel on numba's workqueue, where two launches at the same time would end the process."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        with _lock:
            return super().__call__(*arguments, **named)


class Forked(Dispatcher):
    """A kernel in a child process without the threads of its parent, where numba would end the process or hang."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        raise StateError("this process was forked after kernels had run in its parent, and OpenMP threads do not "
                         'survive a fork. Start worker processes with the "spawn" or "forkserver" method of '
                         "multiprocessing, or create them before the network is first used")  # fmt: skip


def start_threads() -> int:
    """Start numba's threads, if they are not running, and return their number.

    Raises SettingError if NUMBA_THREADING_LAYER names a library that is not installed.
    """
    try:
        return numba.get_num_threads()
    except ValueError as error:
        layer = os.environ.get("NUMBA_THREADING_LAYER", "default")
        raise SettingError(f"NUMBA_THREADING_LAYER={layer} is not available here. Unset it, or use omp or workqueue "
                           f"({' '.join(str(error).split())})") from error  # fmt: skip


_lock = threading.Lock()
_current: Any = FirstLaunch


def guard_launches(compiled: Any) -> None:
    """Give a new kernel, which must be in `compiled_kernels`, the class that all kernels have now."""
    compiled.__class__ = _current


def _launch_all_as(kind: Any) -> None:
    global _current
    _current = kind
    for compiled in compiled_kernels:
        compiled.__class__ = kind


def _after_fork() -> None:
    """Forbid launches in the child if its parent used GNU's OpenMP. Other libraries start their threads again."""
    global _lock
    _lock = threading.Lock()  # a thread that exists only in the parent may have locked the old one
    with suppress(ValueError):  # the parent had no threads yet
        if numba.threading_layer() == "omp":
            from numba.np.ufunc import omppool

            if getattr(omppool, "openmp_vendor", "GNU") == "GNU":
                _launch_all_as(Forked)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
