"""Worker processes, one per library: several thread pools would disturb each other, and memory is that of a process."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import runtime
from ..errors import MeasurementError
from ..training.signals import signal_handler
from . import ours
from .peers import PEERS
from .workloads import Workload

PATIENCE = 2.0  #: Seconds that a process has to end by itself.


class Worker(AbstractContextManager):
    """A process that measures "tinysegnet" or a peer, until the end of `with Worker(...) as worker:`.

    If the process ends or a task takes too long, the next task starts a new process.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.name, self.threads, other), daemon=True)
        with signal_handler(signal.SIG_IGN, signal.SIGINT):  # inherited: this process ends its workers after Ctrl-C
            self.process.start()
        other.close()

    def __exit__(self, *error: Any) -> None:
        """End the process, even if it is busy."""
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()

    def ask(self, task: str, *arguments: Any, limit: float | None = None) -> Any:
        """Call a method of `Server` in the worker process.

        Raises:
            MeasurementError: if the method fails, takes longer than `limit` seconds, or the process has ended.
        """
        if self.connection.closed:
            self._start()
        try:
            self.connection.send((task, arguments))
            if not self.connection.poll(limit):
                raise TimeoutError
            done, result = self.connection.recv()
        except TimeoutError as error:
            self.__exit__()
            raise MeasurementError(f"{self.name}: {task!r} took more than {limit:.0f} seconds") from error
        except (EOFError, OSError) as error:
            self.__exit__()
            raise MeasurementError(f"the process that measures {self.name} ended during {task!r} with exit code "
                                   f"{self.process.exitcode}. Check that enough memory is free") from error  # fmt: skip
        if not done:
            raise MeasurementError(f"{self.name}: {result}")
        return result


def _serve(name: str, threads: int, connection: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server: Server | None = None
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            task, arguments = connection.recv()
            try:
                server = server or Server(name, threads)
                answer = True, getattr(server, task)(*arguments)
            except Exception as error:
                answer = False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            connection.send(answer)


class Server:
    """The tasks of a worker."""

    def __init__(self, name: str, threads: int) -> None:
        self.run: Callable[[], dict[str, Any]] = dict
        self.module: Any = ours
        self.limits, self.settings = ours.limits, {}
        if name in PEERS:
            for variable in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):  # set by runtime.jit; peers keep their own defaults
                os.environ.pop(variable, None)
            self.module, self.settings = import_module(f"{__package__}.peers.{name}_peer"), {"threads": threads}
        else:
            runtime.set_threads(threads)
            runtime.announce_compiling()

    def prepare(self, workload: Workload, variant: str = "", dtype: str = "float32") -> None:
        """Create a workload's inputs and network."""
        self.run = dict  # free the arrays of the previous workload
        self.run = self.module.prepare(workload, variant, dtype=dtype, **self.settings)

    def outputs(self) -> dict[str, np.ndarray]:
        """Do two runs; return the first one's results by name, and the second loss, which depends on all gradients."""
        to_numpy = getattr(self.module, "to_numpy", lambda name, result: np.array(result))
        found = {name: to_numpy(name, result) for name, result in self.run().items() if result is not None}
        again = self.run()  # also without training, because the first runs of some libraries are slow
        return found | ({"next loss": to_numpy("loss", again["loss"])} if {"logits", "loss"} <= set(found) else {})

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
