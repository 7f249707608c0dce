"""Ctrl-C ends a command with one line and exit code 130, at any moment, never with a traceback."""

import _signal as signal  # the built-in part of `signal`, which is faster to import
import os
import sys

EXIT_CODE = 130  #: the exit code that shells expect of an interrupted command


def leave_on_interrupt() -> None:
    """Let Ctrl-C end this process at once, until a command is ready for a KeyboardInterrupt.

    While Python imports modules or shuts down, a KeyboardInterrupt could be swallowed or shown with its traceback.
    """
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # nohup, for example, ignores SIGINT
        signal.signal(signal.SIGINT, leave)
    sys.unraisablehook = _report_unraisable


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether a KeyboardInterrupt caused an error. Python can turn it into another while it creates a class."""
    chain: list[BaseException | None] = [None]
    while error not in chain:  # a chain of errors can contain a cycle
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[union-attr]
    return any(isinstance(error, KeyboardInterrupt) for error in chain)


def leave(number: int = 0, frame: object = None) -> None:
    """End the process with one line. The parameters are those of a signal handler."""
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(EXIT_CODE)


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """End the process if an interrupt was lost in a place that cannot raise, such as a destructor."""
    if is_interrupt(unraisable.exc_value):
        leave()
    sys.__unraisablehook__(unraisable)
