"""Ctrl-C without losing work: the first one requests a stop, the second one stops at once."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


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
    """Listen while the block runs."""
    requests = StopRequests()
    with _handled(requests, signal.SIGINT, signal.SIGTERM):
        yield requests


def terminated_as_interrupted() -> AbstractContextManager[None]:
    """SIGTERM raises KeyboardInterrupt while the block runs, so that half-written files are removed as for Ctrl-C."""
    return _handled(signal.default_int_handler, signal.SIGTERM)


@contextmanager
def _handled(handler: Callable[[int, Any], None], *signals: signal.Signals) -> Iterator[None]:
    """Handle these signals while the block runs. Only the main thread can; elsewhere nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
