"""The benchmark checks results, then measures and prints. No test asserts a time."""

import json
import os

import numpy as np
import pytest
from backends import numpy_unless_long, ops_run_as

from tinysegnet import build, runtime
from tinysegnet.bench import costs, ours, table, workers
from tinysegnet.bench.costs import convolutions, explain
from tinysegnet.bench.measure import Bench, BenchSettings, Result, distance, validate
from tinysegnet.bench.profiling import profile
from tinysegnet.bench.workers import Worker
from tinysegnet.bench.workloads import WORKLOADS, Workload, find_workloads
from tinysegnet.cli.main import main
from tinysegnet.errors import MeasurementError

SMALL = Workload("small", "conv", (1, 12, 16, 4), 5, least=1.0, aim=2.0)
NETWORK = next(workload for workload in WORKLOADS if workload.kind == "train")
MEMORY = next(workload for workload in WORKLOADS if workload.kind == "loss")
PEAKS = 100e9, 20e9
FACTS = {"tinysegnet": "0.1.0", "numpy": "2.4", "numba": "0.68", "torch": "2.13", "processor": "a processor"}
AGAINST = BenchSettings("torch", 2)


class FakeWorker:
    """A worker in this process that answers immediately; `wrong` is added to the results of "tinysegnet"."""

    wrong = 0.0

    def __init__(self, name, threads):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def ask(self, task, *arguments):
        return getattr(self, task)(*arguments)

    def outputs(self, workload, dtype):
        with ops_run_as("numpy"):
            found = ours.outputs(workload, dtype)
        return {name: array + self.wrong * (self.name == "tinysegnet") for name, array in found.items()}

    def variants(self, compiled):
        return ["NCHW", "NHWC", "NHWC compiled"][: 3 if compiled else 2]

    def prepare(self, workload, variant=""):
        if variant.endswith("compiled"):
            raise MeasurementError("no compiler")
        self.variant = variant

    def seconds(self, at_least):
        return {"": 1.0, "NCHW": 3.0, "NHWC": 2.0}[self.variant]

    def peak_memory(self):
        return 1 << 20

    class process:
        is_alive = staticmethod(lambda: True)


class WrongWorker(FakeWorker):
    wrong = 0.01


def result(workload, seconds=0.1, peer=0.15, **more):
    return Result(workload, seconds, peer, "NHWC compiled", 1.2e-6, 1.7e-7, **more)


def test_workloads_are_found_by_a_part_of_their_name():
    assert find_workloads(()) == list(WORKLOADS)
    assert [workload.name for workload in find_workloads(("tiny", "7x7"))] == ["conv7x7 64", "train tiny", "infer tiny"]
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
    tiny = next(workload for workload in WORKLOADS if workload.name == "train tiny")
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


def test_fastest_variant_counts_and_a_failed_compilation_is_noted():
    with Bench(BenchSettings("torch", 1, 2, compiled=True), FakeWorker) as bench:
        found = bench.measure(SMALL)
    assert (found.variant, found.ratio, found.verdict) == ("NHWC", 2.0, "ok")
    assert found.error < 1e-6
    assert found.notes == ("NHWC compiled: no compiler",)


def test_wrong_results_are_not_timed():
    with Bench(BenchSettings("torch", 1, 2), WrongWorker) as bench:
        found = bench.measure(SMALL)
    assert (found.verdict, found.seconds) == ("WRONG", None)
    assert "out is off by" in found.wrong
    assert "small: not timed" in table.notes([found])[0]


def test_wrong_results_give_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr("tinysegnet.bench.measure.Bench", lambda plan: Bench(plan, WrongWorker))
    monkeypatch.setattr(WrongWorker, "peaks", lambda self: PEAKS, raising=False)
    monkeypatch.setattr("tinysegnet.bench.workloads.find_workloads", lambda words: [SMALL])
    assert main(["bench"]) == 1
    assert "WRONG" in capsys.readouterr().out


def test_table_fits_120_columns():
    results = [result(workload, bytes=3 << 30, peer_bytes=4 << 30) for workload in WORKLOADS]
    for plan in (AGAINST, BenchSettings()):
        lines = table.head(plan).splitlines() + [table.row(r, plan, PEAKS) for r in results]
        assert max(map(len, lines)) <= 120
    assert "PyTorch" not in table.head(BenchSettings())
    assert all(word in table.facts_line(FACTS, AGAINST, PEAKS) for word in ("0.68", "2.13", "a processor", "100 GFLOP"))


def test_row_contains_the_measurements_and_the_verdict():
    line = table.row(result(SMALL, 1e-3, 1.5e-3), AGAINST, PEAKS)
    assert all(text in line.split() for text in ("1.00", "1.50", "NHWC", "1e-06", "2e-07", "below", "aim"))
    assert "BELOW" in table.row(result(SMALL, 1e-3, 0.9e-3), AGAINST, PEAKS)
    assert "GB/s" in table.row(result(MEMORY), AGAINST, PEAKS)


def test_json_contains_all_measurements():
    found = json.loads(table.as_json(FACTS, AGAINST, PEAKS, [result(SMALL), Result(MEMORY, wrong="no")]))
    first, second = found["workloads"]
    assert (first["name"], first["ratio"], first["verdict"]) == ("small", pytest.approx(1.5), "below aim")
    assert (second["seconds"], second["ratio"], second["verdict"]) == (None, None, "WRONG")
    assert found["copy_bytes_per_second"] == PEAKS[1]


def test_explain_lists_every_convolution(capsys):
    assert main(["bench", "--explain"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    for model in ("tiny", "basic", "vgg16"):
        count = sum("conv" in name or name == "classifier" for name in build(model, width=1 / 16).layers)
        workload = next(workload for workload in WORKLOADS if workload.name == f"train {model}")
        assert len(list(convolutions(workload))) == count
        assert f"train {model}" in text
    assert "winograd" in text
    assert "direct" in text
    assert "dx" in explain([SMALL])


def test_profile_has_a_row_for_every_fused_layer():
    model = build("tiny", width=1 / 8)
    with numpy_unless_long():
        found = profile(model, (20, 28), 2, repeats=1)
    assert [row.name for row in found.rows] == [*(step.name for step in model.fused_layers), "loss", "optimizer"]
    summary = model.summary((20, 28), batch_size=2)
    assert sum(row.kept for row in found.rows) == summary.total("kept") + summary.total("indices")
    assert sum(layer["share"] for layer in json.loads(found.as_json())["layers"]) == pytest.approx(1)
    assert all(row.name in str(found) for row in found.rows)
    assert max(map(len, str(found).splitlines())) <= 120


def test_profile_prints_one_json_object(capsys):
    with numpy_unless_long():
        assert main(["profile", "tiny", "--size", "20x28", "--width", "0.125", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input_shape"] == [1, 20, 28, 3]


def test_worker_answers_and_reports_errors_and_ends():
    before = dict(os.environ)
    with Worker("numpy", 1) as worker:
        assert dict(os.environ) == before
        found = worker.ask("outputs", SMALL, "float32")
        assert validate(found, worker.ask("outputs", SMALL, "float64")).error < 1e-5
        assert worker.ask("variants", False) == [""]
        with pytest.raises(MeasurementError, match="AttributeError"):
            worker.ask("no such task")
        assert (worker.ask("peak_memory") or 0) >= 0
    assert worker.process.exitcode is not None


def test_worker_that_ends_early_is_an_error():
    with Worker("tinysegnet", 1) as worker:
        worker.process.kill()
        with pytest.raises(MeasurementError, match="tinysegnet ended during 'variants'"):
            worker.ask("variants", False)
    assert worker.process.exitcode is not None


def test_only_the_numpy_worker_starts_with_the_numpy_backend(monkeypatch):
    monkeypatch.delenv("TINYSEGNET_BACKEND", raising=False)
    for name, backend in (("numpy", "numpy"), ("tinysegnet", None)):
        with workers._backend_of(name):
            assert os.environ.get("TINYSEGNET_BACKEND") == backend
        assert "TINYSEGNET_BACKEND" not in os.environ


def test_peaks_are_operations_and_bytes_per_second(monkeypatch):
    monkeypatch.setattr(ours, "_shortest", lambda function, *arguments: 2.0)
    monkeypatch.setattr(ours, "COPIED", 1 << 12)
    rows, columns, inner = ours.PRODUCT
    assert ours.peaks() == (rows * columns * inner * 2000 * runtime.threads(), 4 * (1 << 12))


@pytest.mark.long
def test_bench_measures_a_workload_with_its_workers(monkeypatch, capsys):
    monkeypatch.setattr("tinysegnet.bench.workloads.find_workloads", lambda words: [SMALL])
    monkeypatch.setattr("tinysegnet.bench.measure.SAMPLE", 0.01)
    assert main(["bench", "small", "--rounds", "1", "--json", "--threads", "1"]) == 0
    (workload,) = json.loads(capsys.readouterr().out)["workloads"]
    assert workload["seconds"] > 0
    assert 0 < workload["error"] < 1e-5


@pytest.mark.parametrize(("options", "message"), [
    (["nothing"], "nothing"),
    (["--rounds", "0"], "--rounds"),
    (["--threads", "100000"], "100000"),
])  # fmt: skip
def test_bench_reports_bad_options_in_one_line(options, message, capsys):
    assert main(["bench", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_bench_without_torch_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["bench", "--against", "torch"]) == 2
    assert "pip install torch" in capsys.readouterr().err
