from .jit import BACKEND, HAS_NUMBA, JIT, PARALLEL, kernel, prange
from .kernel_cache import announce_compiling, cache_folder
from .memory import empty, empty_like, keep_freed_memory, release_freed_memory
from .threads import set_threads, single_threaded_blas, threads

__all__ = ["BACKEND", "HAS_NUMBA", "JIT", "PARALLEL", "announce_compiling", "cache_folder", "empty", "empty_like",
           "keep_freed_memory", "kernel", "prange", "release_freed_memory", "set_threads", "single_threaded_blas",
           "threads"]  # fmt: skip
