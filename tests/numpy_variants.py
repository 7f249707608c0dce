"""Run the tests of a folder with the NumPy variant of every op, so that their short form compiles nothing.

The choice of a variant is fixed when tinysegnet is imported. It is a closure variable of every public op function,
which is replaced here and restored afterwards.
"""

import sys
from contextlib import contextmanager

import pytest
from forms import LONG

from tinysegnet.training import optim


@contextmanager
def numpy_variants():
    """Use the NumPy variants of all ops and optimizers in this process while the block runs."""
    with _variants("numpy"):
        yield


@contextmanager
def numba_variants():
    """Use the Numba variants, which compile, while the block runs."""
    with _variants("numba"):
        yield


@contextmanager
def _variants(name):
    cells = [(cell, chosen[name], cell.cell_contents) for cell, chosen in _choices()]
    updates = optim._sgd, optim._adam
    try:
        for cell, variant, _ in cells:
            cell.cell_contents = variant
        optim._sgd, optim._adam = (getattr(optim, f"{update}_{name}") for update in ("_sgd", "_adam"))
        yield
    finally:
        for cell, _, before in cells:
            cell.cell_contents = before
        optim._sgd, optim._adam = updates


def _choices():
    """Yield the closure variable `variant` of each public op function, and the function's variants by name."""
    modules = [module for name, module in sys.modules.items() if name.startswith("tinysegnet.ops")]
    functions = {id(value): value for module in modules for value in vars(module).values() if callable(value)}
    for function in functions.values():
        free = getattr(getattr(function, "__code__", None), "co_freevars", ())
        if "variant" in free:
            numpy = function.__wrapped__
            numba = getattr(sys.modules[numpy.__module__], numpy.__name__.replace("_numpy", "_numba"), None)
            yield function.__closure__[free.index("variant")], {"numpy": numpy, "numba": numba}


@pytest.fixture(autouse=True, scope="module")
def numpy_in_the_short_form():
    """Apply to every test module of a folder whose conftest.py imports this fixture."""
    if LONG:
        yield
    else:
        with numpy_variants():
            yield
