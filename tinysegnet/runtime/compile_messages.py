"""Tell the user when a kernel is being compiled."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from .jit import JIT
from .kernel_cache import compiled_kernels

__all__ = ["announce_compiling", "on_compile"]


def on_compile(report: Callable[[str, float | None], None]) -> None:
    """Report every kernel that is compiled from now on.

    Args:
        report: called as report(name, None) when a kernel starts to compile, as report(name, seconds) when it is ready.
    """
    if not JIT:
        return
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            if event.data["dispatcher"] in compiled_kernels:
                self.began = time.perf_counter()
                report(event.data["dispatcher"].__name__, None)

        def on_end(self, event: Any) -> None:
            if event.data["dispatcher"] in compiled_kernels:
                report(event.data["dispatcher"].__name__, time.perf_counter() - self.began)

    event.register("numba:compile", Listener())


@cache
def announce_compiling() -> None:
    """Print one line to stderr when the first kernel is compiled: without it, compiling looks like a hang."""

    @cache
    def announce() -> None:
        print("compiling kernels for this processor, once for each kind of work; up to half a minute",
              file=sys.stderr, flush=True)  # fmt: skip

    on_compile(lambda kernel, seconds: announce())
