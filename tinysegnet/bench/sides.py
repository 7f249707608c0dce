"""Who is measured: tinysegnet and PyTorch, each in a process of its own.

Two thread pools in one process disturb each other, and the peak memory of a process is that of everything it ever did.
A `Side` is such a process; it does what it is told, one thing at a time, while the other one sleeps.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .works import Work

__all__ = ["Side"]


class Side:
    """A process that measures: "tinysegnet" or "torch"."""

    def __init__(self, name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(name, threads, other), daemon=True)
        self.process.start()
        other.close()

    def ask(self, task: str, *arguments: Any) -> Any:
        """Have one of `_Server`'s methods done there. Raises RuntimeError with the other's message."""
        self.connection.send((task, arguments))
        done, result = self.connection.recv()
        if not done:
            raise RuntimeError(f"{self.name}: {result}")
        return result

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join()


def _serve(name: str, threads: int, connection: Any) -> None:
    server = _Server(name, threads)
    while True:
        try:
            task, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((True, getattr(server, task)(*arguments)))
        except Exception as error:
            connection.send((False, f"{type(error).__name__}: {error}"))


class _Server:
    """The tasks that a side can be asked to do."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.run: Callable[[], Any] = lambda: None
        if name == "torch":
            os.environ.pop("OMP_WAIT_POLICY", None)  # our setting: PyTorch is measured as it starts by itself
            import torch

            torch.set_num_threads(threads)
        else:
            from .. import backend

            backend.set_threads(threads)

    def versions(self) -> dict[str, str]:
        import torch

        return {"torch": torch.__version__}

    def variants(self, work: Work) -> list[str]:
        """The ways in which this side can do the work."""
        if self.name != "torch":
            return ["numba"]
        from . import peer

        return list(peer.FORMATS)

    def prepare(self, work: Work, variant: str) -> None:
        """Get ready, and do it twice: whatever happens only at first is not measured."""
        if self.name == "torch":
            from . import peer

            self.run = peer.prepare(work, variant)
        else:
            from . import ours

            self.run = ours.prepare(work)
        self.run()
        self.run()

    def seconds(self, at_least: float) -> float:
        """One measurement: the mean of as many runs as fit into the time."""
        count, began = 0, time.perf_counter()
        while True:
            self.run()
            count += 1
            spent = time.perf_counter() - began
            if spent >= at_least:
                return spent / count

    def outputs(self, work: Work, dtype: str = "float32") -> dict[str, np.ndarray]:
        """The results, to be compared."""
        if self.name == "torch":
            from . import peer

            return peer.outputs(work, dtype)
        from . import ours

        return ours.outputs(work)

    def peak_memory(self) -> int:
        """Most bytes that the process ever had."""
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
