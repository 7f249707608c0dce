"""The workers that measure in processes of their own, and the command."""

import json
import os
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from forms import LONG

from tinysegnet import runtime
from tinysegnet.bench import ours, workers
from tinysegnet.bench.measure import validate
from tinysegnet.bench.peers import PEERS
from tinysegnet.bench.workers import Server, Worker
from tinysegnet.bench.workloads import Workload
from tinysegnet.cli.main import main
from tinysegnet.errors import MeasurementError

SMALL = Workload("small", "conv", (1, 12, 16, 4), 5, least=1.0, aim=2.0)
LIMITS = ours.Limits(60e9, 100e9, 20e9, 50e9)


def test_worker_answers_and_reports_errors_and_ends():
    with Worker("tinysegnet", 1) as worker:
        worker.ask("prepare", SMALL, "numpy")
        found = worker.ask("outputs")
        worker.ask("prepare", SMALL, "numpy", "float64")
        assert validate(found, worker.ask("outputs")).error < 1e-5
        with pytest.raises(MeasurementError, match="AttributeError"):
            worker.ask("no such task")
        assert (worker.ask("peak_memory") or 0) >= 0
    assert worker.process.exitcode is not None


def test_worker_that_ends_early_is_an_error_and_starts_again():
    with Worker("tinysegnet", 1) as worker:
        worker.process.kill()
        with pytest.raises(MeasurementError, match="tinysegnet ended during 'peak_memory'"):
            worker.ask("peak_memory")
        worker.ask("prepare", SMALL, "numpy")
    assert worker.process.exitcode is not None


def test_task_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0)
    with Worker("tinysegnet", 1) as worker:
        worker.ask("prepare", SMALL, "numpy")
        first = worker.process
        with pytest.raises(MeasurementError, match="'seconds' took more than 0 seconds"):
            worker.ask("seconds", 60.0, limit=0.1)
        assert first.exitcode is not None
        worker.ask("prepare", SMALL, "numpy")


def test_peers_are_prepared_with_their_variant_and_threads(monkeypatch):
    """The server of a peer imports its module, keeps its OpenMP settings, and converts its results."""
    seen = []
    module = ModuleType("tinysegnet.bench.peers.jax_peer")
    module.prepare = lambda *arguments, **settings: seen.append((arguments, settings)) or (lambda: {"out": [1.0, 2.0]})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    server = Server("jax", 3)
    assert "OMP_WAIT_POLICY" not in os.environ
    server.prepare(SMALL, "jit")
    assert seen == [((SMALL, "jit"), {"dtype": "float32", "threads": 3})]
    np.testing.assert_array_equal(server.outputs()["out"], [1, 2])


def test_limits_are_operations_and_bytes_per_second(monkeypatch):
    monkeypatch.setattr(ours, "_shortest", lambda function, *arguments: 2.0)
    monkeypatch.setattr(ours, "COPIED", 1 << 12)
    rows, columns, inner = ours.PRODUCT
    single = rows * columns * inner * 2000
    assert ours.limits() == (single, single * runtime.threads(), 4 * (1 << 12), 4 * ours.CACHED)


@pytest.mark.long
def test_bench_measures_a_workload_with_its_workers(monkeypatch, capsys):
    ask = Worker.ask
    if not LONG:  # measuring the limits would compile kernels
        monkeypatch.setattr(Worker, "ask", lambda self, *task, **limit: LIMITS if task == ("limits",)
                            else ask(self, *task, **limit))  # fmt: skip
    workload = SMALL if LONG else replace(SMALL, backward=False)
    monkeypatch.setattr("tinysegnet.bench.workloads.find_workloads", lambda words: [workload])
    monkeypatch.setattr("tinysegnet.bench.measure.SAMPLE", 0.01)
    assert main(["bench", "small", "--rounds", "1", "--json", "--threads", "1"]) == 0
    (workload,) = json.loads(capsys.readouterr().out)["workloads"]
    assert workload["seconds"] > 0
    assert 0 < workload["error"] < 1e-5


@pytest.mark.parametrize(("options", "message"), [
    (["nothing"], "nothing"),
    (["--rounds", "0"], "--rounds"),
    (["--threads", "100000"], "100000"),
    (["--against", "tensorflow,torch"], "no library named 'tensorflow'; there are torch, onnxruntime, openvino, jax"),
])  # fmt: skip
def test_bench_reports_bad_options_in_one_line(options, message, capsys):
    assert main(["bench", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("name", PEERS)
def test_bench_without_a_library_says_how_to_install_it(name, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["bench", "--against", name]) == 2
    assert f"pip install {PEERS[name].install}" in capsys.readouterr().err


def test_libraries_are_separated_by_commas(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    monkeypatch.setattr("tinysegnet.bench.measure.Bench", lambda settings: pytest.fail(str(settings.against)))
    with pytest.raises(pytest.fail.Exception, match=r"\('jax', 'torch'\)"):
        main(["bench", "--against", "jax,torch,jax"])


def test_quick_measures_small_workloads_unless_some_are_named(capsys):
    assert main(["bench", "--quick", "--explain"]) == 0
    text = capsys.readouterr().out
    assert "train tiny" in text
    assert "vgg16" not in text
    assert main(["bench", "vgg16", "--quick", "--explain"]) == 0
    assert "vgg16" in capsys.readouterr().out
