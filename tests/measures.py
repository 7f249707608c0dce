"""Time and memory of what the tests call, and the figures that a test run prints at its end (see conftest.py)."""

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")  # elsewhere than on Linux all memory is 0 here
MB = 1_000_000


@dataclass
class Extremes:
    """Of all calls so far: the longest one in seconds, and the most memory one added at its worst moment, in bytes."""

    seconds: float = 0.0
    growth: int = 0

    def __str__(self):
        return f"slowest {self.seconds * 1000:.0f} ms, peak memory growth {self.growth / MB:.1f} MB"

    @contextmanager
    def watch(self):
        """Measure what is inside."""
        forget_peak()
        before, began = memory("VmRSS"), time.perf_counter()
        yield
        self.seconds = max(self.seconds, time.perf_counter() - began)
        self.growth = max(self.growth, memory("VmHWM") - before)


def memory(field):
    """VmRSS, resident now, or VmHWM, the most it was since `forget_peak`; in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text()) if STATUS.exists() else None
    return int(found[1]) * 1024 if found else 0


def forget_peak():
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")
