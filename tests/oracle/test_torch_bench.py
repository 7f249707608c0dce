"""Tests that the benchmark's workloads have the same results in PyTorch and in tinysegnet."""

from dataclasses import replace

import pytest

from tinysegnet.bench import ours
from tinysegnet.bench.measure import Bench, BenchSettings, validate
from tinysegnet.bench.workers import Worker
from tinysegnet.bench.workloads import WORKLOADS

KINDS = {
    (workload.kind, workload.backward, workload.input_gradient, workload.model): workload for workload in WORKLOADS
}
# Ops have odd sizes. Networks are large enough for the deepest batch norm to average more than two pixels.
SMALL = [replace(workload, shape=(2, *((66, 75) if workload.model else (19, 26)), min(workload.shape[3], 16)))
         for workload in KINDS.values()]  # fmt: skip


@pytest.mark.parametrize("workload", SMALL, ids=lambda workload: workload.name)
def test_both_workers_compute_the_same(workload):
    from tinysegnet.bench import peer

    check = validate(ours.outputs(workload, "float64"), peer.outputs(workload, "float64"))
    assert check.error < 1e-9
    assert not validate(ours.outputs(workload), peer.outputs(workload, "float64")).wrong


@pytest.mark.parametrize("variant", ["NCHW", "NHWC"])
def test_every_memory_format_runs(variant):
    from tinysegnet.bench import peer

    for workload in SMALL:
        if workload.model in ("", "tiny"):
            assert peer.prepare(workload, variant)()


def test_a_workload_is_measured_against_pytorch(monkeypatch):
    monkeypatch.setattr("tinysegnet.bench.measure.SAMPLE", 0.01)
    workload = next(workload for workload in SMALL if workload.kind == "infer" and workload.model == "tiny")
    with Bench(BenchSettings("torch", 1, 1)) as bench:
        found = bench.measure(workload)
    assert found.ratio
    assert found.variant in ("NCHW", "NHWC")
    assert found.peer_error < 1e-4


def test_torch_is_measured_in_a_process_without_our_openmp_setting():
    with Worker("torch", 1) as worker:
        assert worker.ask("variants", True) == ["NCHW", "NHWC", "NCHW compiled", "NHWC compiled"]
