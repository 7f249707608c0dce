"""Ctrl-C that loses nothing: the first one requests a stop, the second one stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["StopRequests", "stop_requests", "terminated_as_interrupted"]


class StopRequests:
    """`stop` becomes True with the first SIGINT or SIGTERM; a second one raises KeyboardInterrupt on the spot."""

    def __init__(self) -> None:
        self.stop = False

    def __call__(self, number: int, frame: Any) -> None:
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True
        print("\nfinishing this batch, then saving; once more to stop at once", file=sys.stderr, flush=True)


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Listen while the block runs. Only the main thread can; elsewhere nothing is changed."""
    requests = StopRequests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    before = {number: signal.signal(number, requests) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt while the block runs, so that half-written files are removed as for Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
