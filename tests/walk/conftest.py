"""Walks in tests use the NumPy ops, because compiling would take most of the time."""

import pytest
from backends import ops_run_as
from walk_pages import FIVE, IMAGE, labels_for, lively

import tinysegnet as ts


@pytest.fixture
def without_compiling():
    """Let layers compute with the NumPy variants of the ops."""
    with ops_run_as("numpy"):
        yield


@pytest.fixture(scope="session")
def tiny_walk(tmp_path_factory):
    """Return the path of a walk through a small `tiny` of five classes."""
    path = tmp_path_factory.mktemp("walk") / "tiny.html"
    model = lively("tiny", width=1 / 8)
    with ops_run_as("numpy"):
        ts.walk(model, IMAGE, labels_for(model), palette=FIVE).save(path)
    return path
