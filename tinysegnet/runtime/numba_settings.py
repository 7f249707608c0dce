"""Invalid environment variables of numba, which would end the process, are ignored with one line on stderr."""

import os
import sys

MOST_THREADS = 1024  #: if numba cannot start that many threads, the process ends without a message
LAYERS = ("default", "safe", "forksafe", "threadsafe", "omp", "tbb", "workqueue")


def remove_invalid_settings() -> None:
    """Remove the invalid settings from the environment. Call it before numba is imported."""
    threads, layer = (os.environ.get(name, "") for name in ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"))
    if threads and not (threads.strip().isdecimal() and 1 <= int(threads) <= MOST_THREADS):
        _remove("NUMBA_NUM_THREADS", f"a whole number from 1 to {MOST_THREADS}")
    if layer and layer not in LAYERS:
        _remove("NUMBA_THREADING_LAYER", f"one of {', '.join(LAYERS)}")


def _remove(name: str, valid: str) -> None:
    print(f"tinysegnet: {name}={os.environ.pop(name)} is ignored; set it to {valid}", file=sys.stderr)
