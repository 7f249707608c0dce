"""Invalid environment variables of numba, which would end the process, are ignored with one line on stderr."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

MOST_THREADS = 1024  #: if numba cannot start that many threads, the process ends without a message
LAYERS = ("default", "safe", "forksafe", "threadsafe", "omp", "tbb", "workqueue")


@contextmanager
def numba_settings_checked() -> Iterator[None]:
    """Remove invalid settings before this block imports numba, and shorten numba's warnings about other settings."""
    threads, layer = (os.environ.get(name, "") for name in ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"))
    if threads and not (threads.strip().isdecimal() and 1 <= int(threads) <= MOST_THREADS):
        _ignore("NUMBA_NUM_THREADS", f"a whole number from 1 to {MOST_THREADS}")
    if layer and layer not in LAYERS:
        _ignore("NUMBA_THREADING_LAYER", f"one of {', '.join(LAYERS)}")
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        lines = str(warning.message).splitlines()
        if lines and lines[0].startswith("Environment variable"):
            print(f"tinysegnet: {lines[0]}", file=sys.stderr)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _ignore(name: str, expected: str) -> None:
    print(f"tinysegnet: {name}={os.environ.pop(name)} is ignored; set it to {expected}", file=sys.stderr)
