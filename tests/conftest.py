"""Settings of all tests: one kernel thread, or up to four where a test asks for more, and fixed random examples."""

import gc
import os
import signal

from forms import LONG, amount

# These variables must be set before tinysegnet is imported. Kernels without threads take half the time to compile. The
# short form runs no others.
os.environ["NUMBA_NUM_THREADS"] = "4"
os.environ.setdefault("TINYSEGNET_PARALLEL", amount("0", "1"))
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes whose matrix products have two threads each would spend most of the time waiting in loops.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from browser import launched
from hypothesis import settings

from tinysegnet import runtime

# Every run has the same examples. There is no deadline, because a kernel's first call compiles it.
settings.register_profile("tinysegnet", derandomize=True, deadline=None, max_examples=amount(20, 200), database=None)
settings.load_profile("tinysegnet")

if runtime.JIT:
    import numba

    # Processes that tests start have one thread: with more threads than free cores, they would mostly wait.
    os.environ["NUMBA_NUM_THREADS"] = "1"
    numba.config.reload_config()  # now, because numba reads a changed environment when it compiles,
    numba.config.NUMBA_NUM_THREADS = 4  # and this process keeps its threads
    numba.set_num_threads(1)  # on small arrays, threads that wait for each other would take most of the CPU time

# Collecting the tests and compiling kernels create many objects that stay.
gc.set_threshold(10_000, 10, 10)

# Programs that a shell started in the background ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

KERNELS = ("tests/gradcheck/", "tests/lessons/test_lessons.py", "tests/ops/", "tests/runtime/test_float32_kernels.py",
           "tests/training/test_optim.py")  # fmt: skip
LONGEST = (*KERNELS, "tests/cli/test_interrupts.py", "tests/lessons/test_site_browser.py", "tests/test_examples.py",
           "tests/training/test_repeated_runs.py", "tests/walk/")  # fmt: skip


def is_long(item):
    """Return whether only the long form runs this test."""
    drives_a_browser = "browser" in item.fixturenames and not item.get_closest_marker("smoke")
    return drives_a_browser or item.get_closest_marker("long")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Let one of two processes collect the files in reverse order.

    In a fresh clone, each file and each library is compiled when it is first imported. From the other end, a process
    finds the second half of them compiled by the other process.
    """
    report = yield
    if isinstance(collector, pytest.Dir) and os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
        report.result.reverse()
    return report


@pytest.hookimpl(tryfirst=True)  # `make shuffle` sorts them again
def pytest_collection_modifyitems(config, items):
    """Deselect the tests of the long form, unless it was asked for. The longest files run first."""
    long = [] if LONG else [item for item in items if is_long(item)]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
    # The longest first, so that no process waits for them at the end; the order is the same in all processes.
    items.sort(key=lambda item: (not item.nodeid.startswith(LONGEST), item.path))


def pytest_collection_finish():
    """Keep the garbage collector from visiting the modules and tests again and again: they stay until the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Run all tests that compile kernels in one process, because two processes would compile the same kernels."""
    from xdist.scheduler import LoadFileScheduling

    class OneProcessForKernels(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "kernels" if nodeid.startswith(KERNELS) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False  # it would begin with the files that have most tests
    return OneProcessForKernels(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter):
    """The figures that tests recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, figures in report.user_properties:
            terminalreporter.write_line(f"{name}: {figures}")


@pytest.fixture(scope="module")
def browser():
    """A headless chromium, or a skipped test."""
    with launched() as running:
        yield running
