"""Kernels are compiled by numba if it is installed, and are plain Python functions otherwise.

Every op has a NumPy pair, which is the definition, and a numba pair, which is fast. Three environment variables are
read once at import:

    TINYSEGNET_BACKEND=numpy    use the NumPy pairs, as without numba
    TINYSEGNET_PARALLEL=0       compile the kernels for one thread (NUMBA_BOUNDSCHECK=1 only works then)
    TINYSEGNET_CACHE=DIR        keep compiled kernels there instead of the user's cache folder
"""

import os
import sys
from collections.abc import Callable

from .kernel_cache import compiled_kernels

MOST_THREADS = 1024  #: if numba cannot start that many threads, the process ends without a message
LAYERS = ("default", "safe", "forksafe", "threadsafe", "omp", "tbb", "workqueue")

# GNU's OpenMP threads spin while they wait, which made a launch take 8 ms instead of microseconds on a busy machine.
# OpenMP reads these settings when the first kernel starts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Between two launches of a step, most threads spin, about 0.1 ms, because waking one takes 40 us. Four times as many
# rounds made a step 1.5 times longer beside other work.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def remove_invalid_settings() -> None:
    """Remove numba's invalid settings, which would end the process, from the environment, with one line on stderr."""
    threads, layer = (os.environ.get(name, "") for name in ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"))
    if threads and not (threads.strip().isdecimal() and 1 <= int(threads) <= MOST_THREADS):
        _remove("NUMBA_NUM_THREADS", f"a whole number from 1 to {MOST_THREADS}")
    if layer and layer not in LAYERS:
        _remove("NUMBA_THREADING_LAYER", f"one of {', '.join(LAYERS)}")


def _remove(name: str, valid: str) -> None:
    print(f"tinysegnet: {name}={os.environ.pop(name)} is ignored; set it to {valid}", file=sys.stderr)


remove_invalid_settings()
try:
    import numba
    from numba import prange
except ImportError:
    numba = None
    prange = range

HAS_NUMBA = numba is not None  #: whether numba is installed
#: "numba", or "numpy" where numba is missing or TINYSEGNET_BACKEND is "numpy"
BACKEND = "numpy" if not HAS_NUMBA or os.environ.get("TINYSEGNET_BACKEND") == "numpy" else "numba"
JIT = HAS_NUMBA and not numba.config.DISABLE_JIT  #: whether kernels are compiled
PARALLEL = os.environ.get("TINYSEGNET_PARALLEL", "1") != "0"  #: whether kernels run in several threads


def kernel(function: Callable | None = None, *, inline: bool = False) -> Callable:
    """Compile a loop nest with numba. Without numba the function stays plain Python.

    Kernels never raise, because an exception inside a parallel loop is lost; their callers check the arguments first.
    Inside a kernel, `prange` marks the parallel loop. A helper with inline=True is called only from other kernels and
    has no parallel loop.
    """
    if function is None:
        return lambda function: kernel(function, inline=inline)
    if not JIT:
        return function
    # "contract", which fuses products and sums, is the only fast-math option that neither loses NaN nor reorders sums
    compiled = numba.njit(function, nogil=True, fastmath={"contract"}, error_model="numpy", no_cfunc_wrapper=True,
                          parallel=PARALLEL and not inline, forceinline=inline, no_cpython_wrapper=inline)  # fmt: skip
    from .lean_compiling import Helper, compile_lean

    if inline:
        compiled.__class__ = Helper
    else:
        from .safe_cache import enable_cache

        compile_lean(compiled)
        enable_cache(compiled)
        compiled_kernels.append(compiled)
        if PARALLEL:
            from .launch import guard_launches

            guard_launches(compiled)
    return compiled
