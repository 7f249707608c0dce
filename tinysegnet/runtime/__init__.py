"""Compiling and launching kernels, their cache, memory, threads and settings."""

from .lazy_imports import import_lazily

TYPE_CHECKING = False  # `typing` defines it in the same way, but takes time to import
if TYPE_CHECKING:
    from .jit import BACKEND, HAS_NUMBA, JIT, PARALLEL, kernel, prange
    from .kernel_cache import announce_compiling, cache_folder
    from .memory import empty, empty_like, keep_freed_memory, release_freed_memory
    from .threads import set_threads, single_threaded_blas, threads

__all__ = ["BACKEND", "HAS_NUMBA", "JIT", "PARALLEL", "announce_compiling", "cache_folder", "empty", "empty_like",
           "keep_freed_memory", "kernel", "prange", "release_freed_memory", "set_threads", "single_threaded_blas",
           "threads"]  # fmt: skip

import_lazily(
    __name__,
    jit="BACKEND HAS_NUMBA JIT PARALLEL kernel prange",
    kernel_cache="announce_compiling cache_folder",
    memory="empty empty_like keep_freed_memory release_freed_memory",
    threads="set_threads single_threaded_blas",
)
