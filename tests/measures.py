"""Time and memory of what the tests call, and the figures that a test run prints at its end (see conftest.py)."""

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")  # Linux only; elsewhere all memory is 0 here
MB = 1_000_000


@dataclass
class Cost:
    """Of one call or the most expensive of many: seconds, and the memory added at the worst moment, in bytes.

    Seconds are the processor's, since the machine may be busy; what waits for ever meets the time limit of the tests.
    """

    seconds: float = 0.0
    growth: int = 0

    def __str__(self):
        return f"slowest {self.seconds * 1000:.0f} ms, peak memory growth {self.growth / MB:.1f} MB"

    def raise_to(self, other):
        self.seconds, self.growth = max(self.seconds, other.seconds), max(self.growth, other.growth)


@contextmanager
def measured(total):
    """-> the Cost of what is inside, known afterwards; total: the Cost that is raised to it."""
    can_measure = forget_peak()
    cost, before, began = Cost(), memory("VmRSS"), time.process_time()
    yield cost
    cost.seconds = time.process_time() - began
    cost.growth = memory("VmHWM") - before if can_measure else 0
    total.raise_to(cost)


def memory(field):
    """VmRSS, resident now, or VmHWM, the most it was since `forget_peak`; in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text()) if STATUS.exists() else None
    return int(found[1]) * 1024 if found else 0


def forget_peak():
    """Begin a new peak; -> whether the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
