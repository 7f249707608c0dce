"""Settings of all tests: two kernel threads, four where a test asks for them; the same random examples always."""

import os

# Read when numba starts, so it must be set before anything imports tinysegnet.
os.environ.setdefault("NUMBA_NUM_THREADS", "4")

import pytest
from browser import launched
from forms import LONG, amount
from hypothesis import settings

from tinysegnet import runtime

# The same examples in every run, and no deadline: a kernel's first call compiles it.
settings.register_profile("tinysegnet", derandomize=True, deadline=None, max_examples=amount(20, 200), database=None)
settings.load_profile("tinysegnet")

if runtime.JIT:
    import numba

    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))


def pytest_collection_modifyitems(config, items):
    """Deselect the tests of the long form, unless it was asked for."""
    long = [] if LONG else [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


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


@pytest.fixture(scope="module")
def tiny_walk(tmp_path_factory):
    """The path of a walk through a small `tiny` of five classes."""
    from walk_pages import FIVE, IMAGE, labels_for, lively

    import tinysegnet as ts

    path = tmp_path_factory.mktemp("walk") / "tiny.html"
    model = lively("tiny", width=1 / 8)
    ts.walk(model, IMAGE, labels_for(model), palette=FIVE).save(path)
    return path
