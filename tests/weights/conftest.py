"""The short form runs the NumPy definitions of the ops, because these tests make no claim about speed."""

import pytest
from forms import amount
from small_networks import compiled_ops, ops_run_as

__all__ = ["compiled_ops"]


@pytest.fixture(scope="module", autouse=True)
def _variant():
    with ops_run_as(amount("numpy", "numba")):
        yield
