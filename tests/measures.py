"""Measurements of CPU time and memory, which a test run prints at its end (see conftest.py)."""

import gc
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")  # on Linux; elsewhere all measurements of memory are 0
MB = 1_000_000


@dataclass
class Cost:
    """The cost of a call, or the maximum of several calls: CPU seconds, and peak memory growth in bytes.

    A call that hangs is ended by the time limit of the tests.
    """

    seconds: float = 0.0
    growth: int = 0

    def __str__(self):
        return f"slowest {self.seconds * 1000:.0f} ms, peak memory growth {self.growth / MB:.1f} MB"

    def raise_to(self, other):
        self.seconds, self.growth = max(self.seconds, other.seconds), max(self.growth, other.growth)

    def exceeds(self, seconds, growth):
        """Return whether a limit is exceeded. On a slower machine, the limit of the time is higher by `slowness`."""
        return self.growth > growth or (self.seconds > seconds and self.seconds > seconds * slowness())


@contextmanager
def measured(total):
    """Measure the cost of a block and, at its end, raise `total` to this cost if it is higher.

    Python's garbage collector is off meanwhile, because it visits all objects of the process, millions in a long run.
    """
    can_measure = forget_peak()
    cost, before = Cost(), memory("VmRSS")
    gc.disable()
    began = time.process_time()
    try:
        yield cost
        cost.seconds = time.process_time() - began
    finally:
        gc.enable()
    cost.growth = memory("VmHWM") - before if can_measure else 0
    total.raise_to(cost)


def slowness():
    """Return how many times longer than 25 ms a loop of a million steps takes here and now, but at least 1.

    Processor time depends on the machine, and on what the other threads of its cores do. The limits of the tests are
    meant for a machine on which this loop takes 25 ms.
    """
    began = time.process_time()
    for _ in range(1_000_000):
        pass
    return max(1, (time.process_time() - began) / 0.025)


def memory(field):
    """Return VmRSS, the resident memory, or VmHWM, its peak since `forget_peak`, in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text()) if STATUS.exists() else None
    return int(found[1]) * 1024 if found else 0


def open_handles():
    """Return the numbers of threads and of open files of this process."""
    threads = re.search(r"Threads:\s+(\d+)", STATUS.read_text())
    return int(threads[1]), len(list(Path("/proc/self/fd").iterdir()))


def forget_peak():
    """Reset the peak, and return whether the system supports this."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
