"""Tell the user when a kernel is being compiled."""

import sys
from typing import Any

from .kernel_cache import compiled_kernels

_state = {"wanted": False, "listening": False}


def announce_compiling() -> None:
    """Print one line to stderr when the first kernel is compiled: without it, compiling looks like a hang."""
    _state["wanted"] = True
    if f"{__package__}.jit" in sys.modules:  # otherwise jit.py calls `listen` when it is imported
        listen()


def listen() -> None:
    """Listen to numba's compiler, if `announce_compiling` was called."""
    if not _state["wanted"] or _state["listening"] or "numba" not in sys.modules:
        return
    _state["listening"] = True
    from numba.core import event

    class Listener(event.Listener):
        announced = False

        def on_start(self, event: Any) -> None:
            if not self.announced and event.data["dispatcher"] in compiled_kernels:
                self.announced = True
                print("compiling kernels for this processor, once for each kind of work; up to half a minute",
                      file=sys.stderr, flush=True)  # fmt: skip

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Listener())
