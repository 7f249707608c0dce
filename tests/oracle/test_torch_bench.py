"""What the benchmark times with PyTorch is what it times with tinysegnet: the same results, in every variant."""

from dataclasses import replace

import pytest

from tinysegnet.bench import ours
from tinysegnet.bench.measure import Bench, Plan
from tinysegnet.bench.validate import validate
from tinysegnet.bench.workers import Side
from tinysegnet.bench.workloads import WORKS

KINDS = {(work.kind, work.backward, work.input_gradient, work.model): work for work in WORKS}
# Odd sizes for ops; networks so large that the deepest batch norm has more to average than two pixels.
SMALL = [replace(work, shape=(2, *((66, 75) if work.model else (19, 26)), min(work.shape[3], 16)))
         for work in KINDS.values()]  # fmt: skip


@pytest.mark.parametrize("work", SMALL, ids=lambda work: work.name)
def test_both_sides_compute_the_same(work):
    from tinysegnet.bench import peer

    check = validate(ours.outputs(work, "float64"), peer.outputs(work, "float64"))
    assert check.error < 1e-9
    assert not validate(ours.outputs(work), peer.outputs(work, "float64")).wrong


@pytest.mark.parametrize("variant", ["NCHW", "NHWC"])
def test_every_memory_format_runs(variant):
    from tinysegnet.bench import peer

    for work in SMALL:
        if work.model in ("", "tiny"):
            assert peer.prepare(work, variant)()


def test_a_work_is_measured_against_pytorch(monkeypatch):
    monkeypatch.setattr("tinysegnet.bench.measure.SAMPLE", 0.01)
    work = next(work for work in SMALL if work.kind == "infer" and work.model == "tiny")
    with Bench(Plan("torch", 1, 1)) as bench:
        found = bench.measure(work)
    assert found.ratio
    assert found.variant in ("NCHW", "NHWC")
    assert found.peer_error < 1e-4


def test_torch_is_measured_in_a_process_without_our_openmp_setting():
    with Side("torch", 1) as side:
        assert side.ask("variants", True) == ["NCHW", "NHWC", "NCHW compiled", "NHWC compiled"]
