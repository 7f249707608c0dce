"""Tell the user when a kernel is being compiled."""

import sys
from functools import cache
from typing import Any

from .jit import JIT
from .kernel_cache import compiled_kernels


@cache
def announce_compiling() -> None:
    """Print one line to stderr when the first kernel is compiled: without it, compiling looks like a hang."""
    if not JIT:
        return
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
