"""Ctrl-C without loss of work. The first requests a stop after the current batch, and the second stops at once."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class StopRequests:
    """A signal handler that sets `stop` to True at the first signal, and raises KeyboardInterrupt at the second."""

    stop = False

    def __call__(self, number: int, frame: Any) -> None:
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True
        with suppress(RuntimeError):  # the signal arrived while another line was being printed
            line = "\nfinishing this batch, then saving; press Ctrl-C again to stop at once"
            print(line, file=sys.stderr, flush=True)


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Count Ctrl-C and SIGTERM as requests while the block runs."""
    requests = StopRequests()
    with signal_handler(requests, signal.SIGINT, signal.SIGTERM):
        yield requests


@contextmanager
def signal_handler(handler: Any, *numbers: int) -> Iterator[None]:
    """Handle these signals while the block runs. In threads other than the main one, which cannot, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
