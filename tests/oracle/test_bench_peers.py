"""Tests that the benchmark's workloads have the same results in other libraries and in tinysegnet."""

import importlib.util
import shutil
from contextlib import ExitStack
from dataclasses import replace
from functools import cache

import pytest

from tinysegnet.bench.measure import Bench, BenchSettings, validate
from tinysegnet.bench.peers import PEERS
from tinysegnet.bench.workers import Worker
from tinysegnet.bench.workloads import WORKLOADS

KINDS = {
    (workload.kind, workload.backward, workload.input_gradient, workload.model): workload for workload in WORKLOADS
}
# Ops have odd sizes. Networks are large enough for the deepest batch norm to average more than two pixels.
SMALL = [replace(workload, shape=(2, *((66, 75) if workload.model else (19, 26)), min(workload.shape[3], 16)))
         for workload in KINDS.values()]  # fmt: skip


def missing(name):
    """Return a mark that skips a test visibly if a library is not installed."""
    packages = [package for package in PEERS[name].packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(packages), reason=f"not installed: {packages} (pip install {PEERS[name].install})")


CASES = [pytest.param(name, workload, marks=missing(name), id=f"{name} {workload.name}")
         for name in PEERS for workload in SMALL if PEERS[name].variants(workload.kind, False)]  # fmt: skip
OPS = [workload for workload in SMALL if not workload.model or workload.model == "tiny"]


@pytest.fixture(scope="module")
def results():
    """Return a function from library, workload, variant and dtype to results. Each library has one process."""
    with ExitStack() as stack:

        @cache
        def worker(name):
            return stack.enter_context(Worker(name, 1))

        def compute(name, workload, variant, dtype="float32"):
            worker(name).ask("prepare", workload, variant, dtype)
            return worker(name).ask("outputs")

        yield compute


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_every_variant_computes_the_same(name, workload, results):
    expected = results("tinysegnet", workload, "numpy", "float64")
    for variant in PEERS[name].variants(workload.kind, compiled=False):
        found = validate(results(name, workload, variant), expected)
        assert found.wrong == "", variant


@pytest.mark.parametrize("workload", OPS, ids=lambda workload: workload.name)
@missing("torch")
def test_pytorch_computes_the_same_in_float64(workload, results):
    expected = results("tinysegnet", workload, "", "float64")
    assert validate(results("torch", workload, "NCHW", "float64"), expected).error < 1e-9


@pytest.mark.long
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a compiler of C++")
@missing("torch")
def test_compiled_networks_compute_the_same(results):
    workload = next(workload for workload in SMALL if workload.kind == "infer" and workload.model == "tiny")
    expected = results("tinysegnet", workload, "numpy", "float64")
    assert validate(results("torch", workload, "NHWC compiled"), expected).wrong == ""


@pytest.mark.parametrize("name", [pytest.param(name, marks=missing(name)) for name in PEERS])
def test_a_workload_is_measured_against_a_library(name, monkeypatch):
    monkeypatch.setattr("tinysegnet.bench.measure.SAMPLE", 0.01)
    workload = next(workload for workload in SMALL if workload.kind == "infer" and workload.model == "tiny")
    with Bench(BenchSettings((name,), 1, 1, quick=True)) as bench:
        found = bench.measure(workload)
    assert found.notes == ()
    assert found.ratio
    assert found.best.variant in PEERS[name].infer
    assert found.best.error < 1e-4
