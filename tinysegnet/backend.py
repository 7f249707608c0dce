"""Where the fast versions come from: numba if it is here, its cache, its threads.

Every op has a NumPy pair, which is the definition, and a numba pair, which is fast. This file decides which
of them serves. Three environment variables steer it, all read once at import:

    TINYSEGNET_BACKEND=numpy    use the NumPy pair everywhere (also the case when numba is not installed)
    TINYSEGNET_PARALLEL=0       compile the kernels for one thread (NUMBA_BOUNDSCHECK=1 only works then)
    TINYSEGNET_CACHE=DIR        keep compiled kernels there instead of the user's cache folder
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SettingError

# GNU's OpenMP threads spin while they wait; on a busy machine that made a launch take 8 ms instead of
# microseconds. It is read when the first kernel starts, so it must be set before.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # but some microseconds of it: a launch takes 2 instead of 40

try:
    import numba
    from numba import prange
except ImportError:
    numba = None
    prange = range

__all__ = [
    "BACKEND",
    "HAS_NUMBA",
    "JIT",
    "cache_folder",
    "empty",
    "empty_like",
    "fastest",
    "keep_freed_memory",
    "kernel",
    "on_compile",
    "prange",
    "release_freed_memory",
    "set_threads",
    "single_threaded_blas",
    "threads",
]

HAS_NUMBA = numba is not None
BACKEND = "numpy" if not HAS_NUMBA or os.environ.get("TINYSEGNET_BACKEND") == "numpy" else "numba"
JIT = HAS_NUMBA and not numba.config.DISABLE_JIT
PARALLEL = os.environ.get("TINYSEGNET_PARALLEL", "1") != "0"

# Only what cannot lose a NaN or change an order of summation: a product followed by a sum may become one instruction.
FASTMATH = {"contract"}


def fastest(numba_version: Callable, numpy_version: Callable) -> Callable:
    """The version that serves the public name: numba's unless TINYSEGNET_BACKEND=numpy or numba is missing."""
    numba_version.__doc__ = f"{numpy_version.__doc__}\n\n    Fast version: {numba_version.__doc__ or ''}"
    return numba_version if BACKEND == "numba" else numpy_version


def kernel(function: Callable | None = None, *, inline: bool = False) -> Callable:
    """Compile a loop nest with numba; without numba it stays the plain Python that it is.

    inline: a helper called from other kernels, never from Python, with no parallel loop of its own.
    Kernels never raise (an exception inside a parallel loop vanishes): wrappers check arguments first.
    """
    if function is None:
        return lambda function: kernel(function, inline=inline)
    if not JIT:
        return function
    options: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
    compiled = numba.njit(function, **options, parallel=PARALLEL and not inline, forceinline=inline)
    if not inline:
        _enable_cache(compiled)
        _kernels.append(compiled)
    return compiled


# --- cache -----------------------------------------------------------------------------------------------------------


def _sources_hash() -> str:
    """Changes when any kernel source changes, or a setting that changes the compiled code.

    numba looks only at the file of the kernel itself, so an edited helper in another file would go unnoticed.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in [Path(__file__), *sorted((folder / "ops").glob("*.py"))]:
        digest.update(path.read_bytes())
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
    settings = [setting for setting in settings if not setting.startswith("NUMBA_NUM_THREADS=")]  # same code
    digest.update(repr((PARALLEL, settings)).encode())
    return digest.hexdigest()[:16]


def _user_cache() -> Path:
    if folder := os.environ.get("TINYSEGNET_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "tinysegnet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinysegnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinysegnet"


def cache_folder() -> Path | None:
    """The private folder of compiled kernels for these sources, or None where none can be written.

    numba's cache is made of pickles: whoever can write there can run code here. So 0700, and never a shared /tmp.
    """
    global _folder
    if _folder is False:
        try:
            _folder = _user_cache() / _sources_hash()
            _folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(_folder, os.W_OK):
                raise OSError
        except (OSError, RuntimeError):
            _folder = None
            print("tinysegnet: no writable cache folder: kernels are compiled anew in every process", file=sys.stderr)
    return _folder  # type: ignore[return-value]


_folder: Path | bool | None = False
_kernels: list[Any] = []


def _enable_cache(compiled: Any) -> None:
    """Give one dispatcher our cache folder; other users of numba in this process keep theirs."""
    folder = cache_folder()
    if folder is None:
        return
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        compiled.enable_caching()
    except RuntimeError:  # "no locator available": run from a zip or a frozen program
        pass
    finally:
        numba.config.CACHE_DIR = before


# --- compilation, told to the user -----------------------------------------------------------------------------------


def on_compile(report: Callable[[str, float | None], None]) -> None:
    """Call report(name, None) when a kernel starts to compile and report(name, seconds) when it is ready."""
    if not JIT:
        return
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            if event.data["dispatcher"] in _kernels:
                self.began = time.perf_counter()
                report(event.data["dispatcher"].__name__, None)

        def on_end(self, event: Any) -> None:
            if event.data["dispatcher"] in _kernels:
                report(event.data["dispatcher"].__name__, time.perf_counter() - self.began)

    event.register("numba:compile", Listener())


# --- memory ----------------------------------------------------------------------------------------------------------

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


# --- threads ---------------------------------------------------------------------------------------------------------


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
