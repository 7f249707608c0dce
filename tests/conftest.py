"""Settings of all tests: two kernel threads, four where a test asks for them; the same random examples always."""

import os

# Read when numba starts, so it must be set before anything imports tinysegnet.
os.environ.setdefault("NUMBA_NUM_THREADS", "4")

from hypothesis import settings

from tinysegnet import backend

# The same examples in every run, and no deadline: a kernel's first call compiles it.
settings.register_profile("tinysegnet", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("tinysegnet")

if backend.JIT:
    import numba

    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))


def pytest_terminal_summary(terminalreporter):
    """The figures that tests recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, figures in report.user_properties:
            terminalreporter.write_line(f"{name}: {figures}")
