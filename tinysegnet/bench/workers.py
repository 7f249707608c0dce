"""Worker processes: tinysegnet and PyTorch run in separate processes.

Two thread pools in one process would disturb each other, and peak memory is measured per process. Only one `Worker`
runs a task at a time. The worker "numpy" computes the reference with tinysegnet's NumPy variants.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from .. import runtime
from ..errors import MeasurementError
from ..training.signals import signal_handler
from . import ours
from .workloads import Workload

PATIENCE = 2.0  #: Seconds that a process has to end by itself.


class Worker(AbstractContextManager):
    """A process that measures "tinysegnet", "numpy" or "torch", until the end of `with Worker(...) as worker:`."""

    def __init__(self, name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(name, threads, other), daemon=True)
        # The process inherits that it ignores Ctrl-C, as this process ends its workers.
        with _backend_of(name), signal_handler(signal.SIG_IGN, signal.SIGINT):
            self.process.start()
        other.close()

    def __exit__(self, *error: Any) -> None:
        """End the process, even if it is busy."""
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()

    def ask(self, task: str, *arguments: Any) -> Any:
        """Call a method of `_Server` in the worker process.

        Raises:
            MeasurementError: if the method fails or the process has ended.
        """
        try:
            self.connection.send((task, arguments))
            done, result = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join(PATIENCE)
            raise MeasurementError(f"the process that measures {self.name} ended during {task!r} with exit code "
                                   f"{self.process.exitcode}. Check that enough memory is free") from error  # fmt: skip
        if not done:
            raise MeasurementError(f"{self.name}: {result}")
        return result


@contextmanager
def _backend_of(name: str) -> Iterator[None]:
    """Set the environment variable that the worker "numpy" reads when it starts. Other workers must not inherit it."""
    before = dict(os.environ)
    if name == "numpy":
        os.environ["TINYSEGNET_BACKEND"] = "numpy"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(name: str, threads: int, connection: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server: _Server | None = None
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            task, arguments = connection.recv()
            try:
                server = server or _Server(name, threads)
                answer = True, getattr(server, task)(*arguments)
            except Exception as error:
                answer = False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            connection.send(answer)


class _Server:
    """The tasks of a worker."""

    def __init__(self, name: str, threads: int) -> None:
        self.run: Callable[[], Any] = lambda: None
        self.module: Any = ours
        if name == "torch":
            os.environ.pop("OMP_WAIT_POLICY", None)  # set by runtime.jit; PyTorch is measured with its own defaults
            from . import peer

            peer.torch.set_num_threads(threads)
            self.module = peer
        else:
            runtime.set_threads(threads)
            runtime.announce_compiling()
        self.outputs, self.peaks = self.module.outputs, ours.peaks

    def variants(self, compiled: bool) -> list[str]:
        """Return the variants of this worker; with `compiled`, also those that use torch.compile."""
        formats = list(getattr(self.module, "FORMATS", [""]))
        return formats + [name + self.module.COMPILED for name in formats if compiled]

    def prepare(self, workload: Workload, variant: str = "") -> None:
        """Prepare a workload and run it twice, so that one-off costs of the first runs are not measured."""
        self.run = lambda: None  # free the arrays of the previous workload
        self.run = self.module.prepare(workload, *([variant] if variant else []))
        self.run()
        self.run()

    def seconds(self, at_least: float) -> float:
        """Return one sample: the mean seconds per run, where runs are repeated for at least `at_least` seconds."""
        count, began, spent = 0, time.perf_counter(), 0.0
        while not count or spent < at_least:
            self.run()
            count, spent = count + 1, time.perf_counter() - began
        return spent / count

    def peak_memory(self) -> int | None:
        """Return the peak memory of the process in bytes, or None if the system does not report it."""
        status = Path("/proc/self/status")
        if status.exists():  # on Linux, getrusage starts from the peak of the parent process
            return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if "VmHWM" in line)
        if sys.platform == "win32":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
