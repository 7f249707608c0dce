"""examples/scaling.py: the formula of its model, measurements with processes and with threads, tables and pictures."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from backends import numpy_in_the_short_form  # noqa: F401

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "scaling.py"
SMALL = ["--model", "tiny", "--width", "0.125", "--size", "16", "24", "--batch", "4", "--rounds", "1"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the example in this process, in an empty folder, and return its output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scaling.py", *arguments])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


def check_tables(printed, links):
    assert re.findall(r"^\| (\d) \| [\d.,]+ ms \| [\d.,]+ ms \| [\d.]+ \|$", printed, re.M) == ["1", "2"]
    found = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| (?:[\d.,]+ ms \| ){3}[\d.]+% \|$", printed, re.M)
    assert found == [(link, ranks) for link in links for ranks in ("8", "64", "1,024")]


def test_step_is_the_sum_of_computing_and_messages():
    names = runpy.run_path(str(SCRIPT), run_name="example")
    model, link = names["StepModel"](0.5, 0.25, 8000, (10, 30)), names["Link"](2.0, 1000.0)
    assert model.parts(1, 7, link) == {"computing": 3.75, "batch norm": 0, "gradient": 0}
    parts = model.parts(4, 7, link)
    # 2 hops of 2 s; 3 other ranks; 3 * 8 + 2 * 4 bytes per channel; a piece of the gradient has 2000 bytes
    assert parts == pytest.approx({"computing": 1.25, "batch norm": 2 * 2 * 4 + 3 * 32 * 0.04, "gradient": 2 * (4 + 6)})
    assert model.seconds(4, 7, link) == pytest.approx(sum(parts.values()))


def test_without_mpi_threads_simulate_the_ranks_and_the_output_says_so(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # then it is not found
    printed = run(*SMALL, "--latency", "0.01", "--bandwidth", "1e6")
    assert "threads simulate the ranks" in printed
    links = ["this machine", "cluster", "office, 1 Gbit/s", "internet, 100 Mbit/s", "yours"]
    check_tables(printed, links)
    for name in ("scaling.png", "scaling_dark.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_two_processes_are_measured_with_mpi(tmp_path):
    pytest.importorskip("mpi4py")
    packages = os.pathsep.join([str(ROOT), str(ROOT / "lessons")])
    done = subprocess.run([sys.executable, str(SCRIPT), *SMALL], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": packages}, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "simulate" not in done.stdout
    check_tables(done.stdout, ["this machine", "cluster", "office, 1 Gbit/s", "internet, 100 Mbit/s"])


@pytest.mark.parametrize(("arguments", "named"), [
    (["--latency", "0.01"], "--bandwidth"),
    (["--bandwidth", "1e6"], "--latency"),
    (["--batch", "3"], "--batch: 3"),
])  # fmt: skip
def test_half_a_connection_and_a_small_batch_are_refused(arguments, named, run, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert named in capsys.readouterr().err.splitlines()[-1]
