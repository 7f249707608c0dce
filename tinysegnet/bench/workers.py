"""Who is measured: tinysegnet and PyTorch, each in a process of its own.

Two thread pools in one process disturb each other, and the peak memory of a process is that of everything it ever did.
A `Side` is such a process; it does what it is told, one thing at a time, while the other one sleeps. A third one,
"numpy", is tinysegnet with its NumPy pairs, to compare results with.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import MeasurementError
from .workloads import Work

__all__ = ["Side"]

PATIENCE = 2.0  # seconds that a process has to end by itself


class Side:
    """A process that measures: "tinysegnet", "numpy" or "torch". `with Side(...) as side` ends it."""

    def __init__(self, name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(name, threads, other), daemon=True)
        with _backend_of(name):
            self.process.start()
        other.close()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(self, task: str, *arguments: Any) -> Any:
        """Have a method of `_Server` done there. Raises MeasurementError: the other's message, or that it ended."""
        try:
            self.connection.send((task, arguments))
            done, result = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join(PATIENCE)
            raise MeasurementError(f"the process that measures {self.name} ended at {task!r} with exit code "
                                   f"{self.process.exitcode}; was there enough memory?") from error  # fmt: skip
        if not done:
            raise MeasurementError(f"{self.name}: {result}")
        return result

    def close(self) -> None:
        """End the process, even one that is busy."""
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


@contextmanager
def _backend_of(name: str) -> Iterator[None]:
    """The setting that "numpy" reads when it starts, for as long as it takes to start it."""
    before = os.environ.get("TINYSEGNET_BACKEND")
    if name == "numpy":
        os.environ["TINYSEGNET_BACKEND"] = "numpy"
    try:
        yield
    finally:
        os.environ.pop("TINYSEGNET_BACKEND", None)
        if before is not None:
            os.environ["TINYSEGNET_BACKEND"] = before


def _serve(name: str, threads: int, connection: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the one that asks ends the others
    server: _Server | None = None
    while True:
        try:
            task, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            server = server or _Server(name, threads)
            answer = True, getattr(server, task)(*arguments)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        try:
            connection.send(answer)
        except OSError:  # nobody listens any more
            return


class _Server:
    """The tasks that a side can be asked to do."""

    def __init__(self, name: str, threads: int) -> None:
        self.run: Callable[[], Any] = lambda: None
        self.prepared: Any = _torch(threads) if name == "torch" else _tinysegnet(threads)

    def variants(self, compiled: bool) -> list[str]:
        """The ways in which this side can do a work; `compiled`: also those through torch.compile."""
        formats = list(getattr(self.prepared, "FORMATS", [""]))
        return formats + [name + self.prepared.COMPILED for name in formats if compiled]

    def prepare(self, work: Work, variant: str = "") -> None:
        """Get ready, and do it twice: whatever happens only at first is not measured."""
        self.run = lambda: None  # frees the arrays of the work before
        self.run = self.prepared.prepare(work, *([variant] if variant else []))
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

    def outputs(self, work: Work, dtype: str) -> dict[str, np.ndarray]:
        """The results, to be compared."""
        return self.prepared.outputs(work, dtype)

    def peaks(self) -> tuple[float, float]:
        """What this machine can do: `machine.peaks`."""
        from . import machine

        return machine.peaks()

    def peak_memory(self) -> int | None:
        """Most bytes that the process ever had in memory; None on systems that do not tell."""
        status = Path("/proc/self/status")
        if status.exists():  # not getrusage: on Linux that begins with the peak of the process that started this one
            return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if "VmHWM" in line)
        if sys.platform == "win32":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _torch(threads: int) -> Any:
    os.environ.pop("OMP_WAIT_POLICY", None)  # our setting: PyTorch is measured as it starts by itself
    import torch

    torch.set_num_threads(threads)
    from . import peer

    return peer


def _tinysegnet(threads: int) -> Any:
    from .. import runtime
    from . import ours

    runtime.set_threads(threads)
    runtime.on_compile(_say_that_it_compiles)
    return ours


def _say_that_it_compiles(kernel: str, seconds: float | None) -> None:
    if not _said:
        _said.append(kernel)
        print("compiling kernels for this processor, once for each kind of work; up to half a minute", file=sys.stderr)


_said: list[str] = []
