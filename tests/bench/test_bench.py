"""The benchmark checks results, then measures and prints. No test asserts a time."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from tinysegnet import build
from tinysegnet.bench import costs, ours, table
from tinysegnet.bench.costs import convolutions, explain
from tinysegnet.bench.measure import Bench, BenchSettings, Measurement, Result, distance, validate
from tinysegnet.bench.peers import PEERS
from tinysegnet.bench.workers import Server
from tinysegnet.bench.workloads import WORKLOADS, Workload, find_workloads
from tinysegnet.cli.main import main
from tinysegnet.errors import MeasurementError

SMALL = Workload("small", "conv", (1, 12, 16, 4), 5, least=1.0, aim=2.0)
NETWORK = next(workload for workload in WORKLOADS if workload.kind == "train")
INFER = replace(NETWORK, name="infer", kind="infer", shape=(1, 32, 48, 3), backward=False, least=None)
MEMORY = next(workload for workload in WORKLOADS if workload.kind == "loss")
LIMITS = ours.Limits(60e9, 100e9, 20e9, 50e9)
FACTS = {"tinysegnet": "0.1.0", "numpy": "2.4", "numba": "0.68", "processor": "a processor"} | dict.fromkeys(
    PEERS, "2.13"
)
ALONE, AGAINST, ALL = BenchSettings(threads=2), BenchSettings(("torch",), 2), BenchSettings(tuple(PEERS), 2)


class FakeWorker:
    """A worker in this process that answers immediately, whose peers compute the same as tinysegnet.

    Subclasses may let a variant fail, or change its results by an offset: by the name of the worker or of the variant.
    """

    times: ClassVar = {
        "": 1.0,
        "NCHW": 3.0,
        "NHWC": 2.0,
        "ONNX file": 2.5,
        "fixed size": 4.0,
        "any size": 5.0,
        "jit": 6.0,
    }
    offsets: ClassVar = {}
    asked: ClassVar = []

    def __init__(self, name, threads):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def ask(self, task, *arguments, limit=None):
        self.asked.append((self.name, task, *arguments))
        return getattr(self, task)(*arguments)

    def prepare(self, workload, variant="", dtype="float32"):
        if variant.endswith(("compiled", "frozen")):
            raise MeasurementError("no compiler")
        self.workload, self.variant, self.dtype = workload, variant, dtype

    def outputs(self):
        run = ours.prepare(self.workload, "numpy", self.dtype)
        offset = self.offsets.get(self.name, 0) + self.offsets.get(self.variant, 0)
        return {name: array + offset for name, array in Server.outputs(SimpleNamespace(module=ours, run=run)).items()}

    def seconds(self, at_least):
        return self.times[self.variant]

    def peak_memory(self):
        return 1 << 20

    def limits(self):
        return LIMITS


def fake(**offsets):
    """Return a class of workers that add these offsets to the results of a worker or variant."""
    return type("OffsetWorker", (FakeWorker,), {"offsets": offsets, "asked": []})


def result(workload, seconds=0.1, peer=0.15, **more):
    variant = Measurement("NHWC compiled", peer, 1.7e-7, **more)
    return Result(workload, Measurement("", seconds, 1.2e-6, **more), {"torch": variant})


def test_workloads_are_found_by_a_part_of_their_name():
    assert find_workloads(()) == list(WORKLOADS)
    assert [workload.name for workload in find_workloads(("tiny", "7x7"))] == [
        "conv7x7 64",
        "train tiny 8x96x128",
        "train tiny 4x120x160",
        "infer tiny 8x96x128",
        "infer tiny 1x96x128",
        "infer tiny 1x360x480",
    ]
    assert find_workloads(("nothing",)) == []
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def test_costs_equal_those_computed_by_hand():
    forward = 2 * 12 * 16 * 9 * 4 * 5
    assert costs.flops(SMALL) == 3 * forward
    assert costs.flops(Workload("", "conv", SMALL.shape, 5, backward=False)) == forward
    assert costs.flops(Workload("", "conv", SMALL.shape, 5, input_gradient=False)) == 2 * forward
    assert costs.traffic(SMALL) == 2 * 4 * (12 * 16 * 4 + 12 * 16 * 5 + 9 * 4 * 5)
    summary = build("tiny").summary((96, 128), batch_size=8)
    first = next(row.multiply_adds for row in summary.rows if row.multiply_adds)
    tiny = next(workload for workload in WORKLOADS if workload.name == "train tiny 8x96x128")
    assert costs.flops(tiny) == pytest.approx(3e9 * summary.gflops - 2 * first)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_every_workload_has_costs(workload):
    assert costs.flops(workload) > 0
    assert costs.traffic(workload) > 0


def test_validation_measures_the_worst_result_normwise():
    right = {"out": np.array([3.0, 4.0]), "dx": np.array([1.0])}
    assert validate(right, right).error == 0
    close, far = {"out": np.array([3.0, 4.0004]), "dx": np.array([1.0005])}, np.array([3.0, 4.002])
    assert validate(close, right).error == pytest.approx(5e-4)
    assert validate(close, right).wrong == ""
    assert "out is off by 4.0e-04" in validate({**close, "out": far}, right).wrong
    assert distance(np.zeros(3), np.zeros(2)) == np.inf


@pytest.mark.parametrize("bad", [{"out": np.array([np.nan])}, {"out": np.ones(2)}, {"dx": np.ones(1)}, {}])
def test_validation_rejects_results_that_cannot_be_compared(bad):
    assert validate(bad, {"out": np.ones(1)}).wrong


def test_the_fastest_peer_counts_in_its_fastest_variant():
    with Bench(BenchSettings(tuple(PEERS), 1, 2), fake()) as bench:
        found = bench.measure(SMALL)
    assert list(found.peers) == ["torch"]  # the others measure only networks
    assert (found.best.variant, found.ratio, found.verdict) == ("NHWC", 2.0, "ok")
    assert found.ours.error < 1e-6
    with Bench(BenchSettings(("onnxruntime", "openvino", "jax"), 1, 2), fake()) as bench:
        found = bench.measure(INFER)
    assert {name: peer.seconds for name, peer in found.peers.items()} == {"onnxruntime": 2.5, "openvino": 4, "jax": 6}
    assert (found.best.variant, found.ratio, found.notes) == ("ONNX file", 2.5, ())
    assert {side.bytes for side in (found.ours, *found.peers.values())} == {0}


def test_libraries_take_turns():
    worker = fake()
    with Bench(BenchSettings(("torch",), 1, 3), worker) as bench:
        bench.measure(SMALL)
    timed = [name for name, task, *_ in worker.asked if task == "seconds"]
    assert timed[-6:] == ["tinysegnet", "torch"] * 3


def test_variants_that_fail_are_noted():
    with Bench(BenchSettings(("torch",), 1, 2, compiled=True), fake()) as bench:
        found = bench.measure(SMALL)
    assert found.best.variant == "NHWC"
    assert found.notes == (
        "PyTorch, NCHW compiled: not timed: no compiler",
        "PyTorch, NHWC compiled: not timed: no compiler",
    )
    line = table.row(
        Result(SMALL, Measurement("", 1.0), {"torch": Measurement("NCHW", wrong="no memory")}), AGAINST, LIMITS
    )
    assert "failed" in line


@pytest.mark.parametrize("quick", [False, True])
def test_wrong_results_of_a_variant_are_not_timed(quick):
    """A variant may return garbage fast, so each one is checked."""
    worker = fake(**{"fixed size": 0.5})
    with Bench(BenchSettings(("openvino",), 1, 1, quick=quick), worker) as bench:
        found = bench.measure(INFER)
    assert found.peers["openvino"].variant == "any size"
    assert "OpenVINO, fixed size: not timed: logits is off by" in found.notes[0]
    prepared = [arguments[1] for name, task, *arguments in worker.asked if (name, task) == ("openvino", "prepare")]
    assert prepared.count("fixed size") == 1
    assert found.ours.bytes == (None if quick else 0)


def test_a_peer_without_a_correct_variant_is_not_timed():
    with Bench(BenchSettings(("torch", "jax"), 1, 1, quick=True), fake(jax=0.5)) as bench:
        found = bench.measure(replace(INFER, kind="train", backward=True))
    assert found.peers["jax"].seconds is None
    assert found.best.variant == "NHWC"
    assert table.row(found, BenchSettings(("torch", "jax")), LIMITS).split()[3] == "wrong"


def test_quick_compares_peers_with_our_results():
    worker = fake()
    with Bench(BenchSettings(("torch",), 1, 1, quick=True), worker) as bench:
        found = bench.measure(SMALL)
    assert found.ours.error is None
    assert found.best.error == 0
    assert "float64" not in [argument for name, task, *arguments in worker.asked for argument in arguments]


def test_wrong_results_are_not_timed():
    with Bench(BenchSettings(("torch",), 1, 2), fake(tinysegnet=0.01)) as bench:
        found = bench.measure(SMALL)
    assert (found.verdict, found.ours.seconds) == ("WRONG", None)
    assert "out is off by" in found.ours.wrong
    assert "not timed" in found.notes[0]


def test_wrong_results_give_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr("tinysegnet.bench.measure.Bench", lambda plan: Bench(plan, WrongWorker))
    monkeypatch.setattr("tinysegnet.bench.workloads.find_workloads", lambda words: [SMALL])
    assert main(["bench"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert "small: not timed, because its result is wrong: out is off by" in out


class WrongWorker(FakeWorker):
    """The fast variants are wrong, and the reference is right."""

    def outputs(self):
        return {name: array + 0.01 * (self.variant == "") for name, array in super().outputs().items()}


@pytest.mark.parametrize("settings", [ALONE, AGAINST, ALL], ids=["alone", "torch", "all"])
def test_table_fits_120_columns(settings):
    results = [result(workload, bytes=3 << 30) for workload in WORKLOADS]
    results.append(Result(WORKLOADS[-1], Measurement("", 100.0, 1e-6, 12 << 30), dict.fromkeys(
        settings.against, Measurement("NHWC compiled", 200.0, 1e-6, 12 << 30))))  # fmt: skip
    lines = table.head(settings).splitlines() + [table.row(r, settings, LIMITS) for r in results]
    assert max(map(len, lines)) <= 120
    for name in PEERS:
        assert (PEERS[name].title in table.head(settings)) == (name in settings.against)


def test_the_limits_of_the_machine_stand_above_the_table():
    text = table.facts_lines(FACTS, ALL, LIMITS)
    for part in (
        "numba 0.68",
        "torch 2.13",
        "jax 2.13",
        "a processor",
        "100 GFLOP/s",
        "60 with 1",
        "20.0 GB/s",
        "50.0",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 120


def test_row_contains_the_measurements_and_the_verdict():
    line = table.row(result(SMALL, 1e-3, 1.5e-3), AGAINST, LIMITS)
    assert all(text in line.split() for text in ("1.00", "1.50*", "1.50", "NHWC", "1e-06", "below", "aim"))
    assert "BELOW" in table.row(result(SMALL, 1e-3, 0.9e-3), AGAINST, LIMITS)


def test_json_contains_all_measurements():
    found = json.loads(table.as_json(FACTS, AGAINST, LIMITS, [result(SMALL), Result(MEMORY, Measurement(wrong="no"))]))
    first, second = found["workloads"]
    assert (first["name"], first["ratio"], first["verdict"]) == ("small", pytest.approx(1.5), "below aim")
    assert (first["peer_seconds"], first["peers"]["torch"]["variant"]) == (0.15, "NHWC compiled")
    assert (second["seconds"], second["ratio"], second["verdict"]) == (None, None, "WRONG")
    assert found["copy_bytes_per_second"] == LIMITS.copy_bytes_per_second


def test_explain_lists_every_convolution(capsys):
    assert main(["bench", "--explain"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    for model in ("tiny", "basic", "vgg16"):
        count = sum("conv" in name or name == "classifier" for name in build(model, width=1 / 16).layers)
        workload = next(workload for workload in WORKLOADS if workload.name.startswith(f"train {model}"))
        assert len(list(convolutions(workload))) == count
        assert f"train {model}" in text
    assert "winograd" in text
    assert "direct" in text
    assert "dx" in explain([SMALL])
