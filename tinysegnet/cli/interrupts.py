"""Ctrl-C ends a command with one line and exit code 130, at any moment, never with a traceback."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

EXIT_CODE = 130  #: of an interrupted command, as shells expect


def leave_on_interrupt() -> None:
    """Let Ctrl-C end this process on the spot, until and after `raise_interrupts`.

    While Python imports modules or shuts down, a KeyboardInterrupt could be swallowed, or shown with its traceback.
    """
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # nohup ignores the signal, and it stays ignored
        signal.signal(signal.SIGINT, _leave)
    sys.unraisablehook = _report_unraisable


@contextmanager
def raise_interrupts() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt while the block runs, so that it can remove half-written files."""
    numbers = [signal.SIGTERM, *([signal.SIGINT] if signal.getsignal(signal.SIGINT) == _leave else [])]
    before: dict[int, Any] = {}
    with suppress(ValueError):  # only the main thread may change handlers
        before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int = 0, frame: Any = None) -> None:
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(EXIT_CODE)


def _report_unraisable(unraisable: Any) -> None:
    """End the process if an interrupt was lost in a place that cannot raise, such as a destructor."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _leave()
    sys.__unraisablehook__(unraisable)
