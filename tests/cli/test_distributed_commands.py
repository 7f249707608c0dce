"""Commands that several processes run together, with mpiexec in the long form."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from training_commands import last_step

import tinysegnet as ts
from tinysegnet import runtime
from tinysegnet.cli.distributed_job import distributed_job
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID
from tinysegnet.weights import checkpoint

OPTIONS = ["--limit", "6", "--size", "20x28", "--width", "0.0625", "--batch-size", "4"]
KILLS = int(os.environ.get("TINYSEGNET_KILLS", "4"))  # `make torture` takes 200


# --- what is refused, in one process ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "evaluate toy", "predict toy a.png --out b"])
def test_several_processes_without_the_option_are_refused(command, monkeypatch, capsys):
    monkeypatch.setenv("PMI_SIZE", "3")
    assert main(command.split()) == 2
    assert "mpiexec has started 3 processes" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate toy", "predict toy a.png --out b"])
def test_mpiexec_of_another_library_is_refused(command, monkeypatch, capsys):
    """mpi4py then finds one process in each of them."""
    monkeypatch.setattr("tinysegnet.runtime.distributed.communicator.open_mpi", lambda: Mock(rank=0, size=1))
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "3")
    assert main([*command.split(), "--distributed"]) == 2
    assert "mpiexec has started 3 processes, but mpi4py finds only one" in capsys.readouterr().err


def test_without_mpi4py_the_option_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert main(["train", "--distributed"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: --distributed needs mpi4py and an MPI library. Run pip install "tinysegnet[mpi]"')


def test_a_rank_starts_no_more_threads_than_numba_may(monkeypatch):
    ranks = Mock(rank=0, size=1, threads=lambda: 10_000)
    monkeypatch.setattr("tinysegnet.runtime.distributed.communicator.open_mpi", lambda: ranks)
    before = runtime.threads()
    with distributed_job():
        assert runtime.threads() == before


def test_mpi4py_is_imported_only_if_it_is_asked_for():
    program = "import sys, tinysegnet as ts; from tinysegnet.cli.main import main; main(['train', '--help']); ts.fit; "
    code = program + "import tinysegnet.training.loop; sys.exit('mpi4py' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# --- with mpiexec ----------------------------------------------------------------------------------------------------


@pytest.fixture
def mpiexec():
    """The path of mpiexec, of the environment if it has one. Without MPI, the test is skipped."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    own = Path(sys.executable).with_name("mpiexec")
    found = str(own) if own.exists() else shutil.which("mpiexec")
    return found or pytest.skip("mpiexec is not installed")


def command(mpiexec, ranks, *arguments):
    start = [mpiexec, "-n", str(ranks)] if ranks else []
    flag = ["--distributed"] if ranks else []
    return [*start, sys.executable, "-m", "tinysegnet", *map(str, arguments), *flag]


def run(mpiexec, ranks, *arguments, code=0):
    """Run a command on so many ranks, or without MPI if it is 0, and return its output and its errors."""
    done = subprocess.run(command(mpiexec, ranks, *arguments), capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def arrays(path):
    saved = checkpoint.read(path / "last.safetensors")
    return {name: array.tobytes() for name, array in (*saved.model.state().items(), *saved.optimizer.items())}


def rows(path):
    """Return metrics.csv without the seconds."""
    lines = [line.split(",") for line in (path / "metrics.csv").read_text().splitlines()]
    at = lines[0].index("seconds")
    return [line[:at] + line[at + 1 :] for line in lines]


@pytest.mark.long
def test_two_ranks_train_with_the_bits_of_one_process(mpiexec, tmp_path):
    for ranks, more in ((0, ["--reduction", "tree"]), (2, [])):
        out, err = run(mpiexec, ranks, "train", *OPTIONS, "--epochs", "2", "--runs", tmp_path, "--name", ranks, *more)
        assert out.count("report: ") == 1  # only one rank prints
        assert (err.count("rank 1: process"), err.count("epoch 2/2")) == (bool(ranks), 1)
    assert arrays(tmp_path / "2") == arrays(tmp_path / "0")
    assert rows(tmp_path / "2") == rows(tmp_path / "0")
    assert sorted(p.name for p in (tmp_path / "2").iterdir()) == sorted(p.name for p in (tmp_path / "0").iterdir())


@pytest.mark.long
def test_a_stopped_run_continues_with_other_ranks(mpiexec, tmp_path):
    """One rank of two gets a SIGTERM. Four ranks continue."""
    options = ["--limit", "8", *OPTIONS[2:], "--epochs", "30", "--runs", tmp_path]
    run(mpiexec, 0, "train", *options, "--name", "whole", "--reduction", "tree")
    begin = command(mpiexec, 2, "train", *options, "--name", "run")
    process = subprocess.Popen(begin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    processes = wait_for_checkpoint(process, tmp_path / "run")
    os.kill(processes[1], signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Saved at step" in err
    assert err.count("interrupted") == 1
    assert 0 < last_step(tmp_path / "run") < last_step(tmp_path / "whole")
    run(mpiexec, 4, "train", "--resume", tmp_path / "run")
    assert arrays(tmp_path / "run") == arrays(tmp_path / "whole")


def wait_for_checkpoint(process, path, ranks=2):
    """Read the processes of the ranks from stderr, and wait until the run writes its first checkpoint."""
    processes = {}
    while len(processes) < ranks:
        line = process.stderr.readline()
        assert line, "the command has ended"
        if line.startswith("rank "):
            processes[int(line.split()[1].rstrip(":"))] = int(line.split()[3])
    while process.poll() is None and not (path / "last.safetensors").exists():
        time.sleep(0.01)
    return processes


@pytest.mark.usefixtures() if "TINYSEGNET_KILLS" in os.environ else pytest.mark.long
def test_a_job_whose_rank_is_killed_ends_and_loses_nothing(mpiexec, tmp_path, record_property):
    """A random rank is killed at a random moment until the run ends."""
    rng, path, epochs = random.Random(0), tmp_path / "run", str(10 + KILLS * 5)
    run(mpiexec, 0, "train", *OPTIONS, "--epochs", epochs, "--runs", tmp_path, "--name", "whole",
        "--reduction", "tree")  # fmt: skip
    kills, longest, arguments = 0, 0.0, [*OPTIONS, "--epochs", epochs, "--runs", tmp_path, "--name", "run"]
    while kills < KILLS:
        step = last_step(path)
        if path.exists():
            arguments = ["--resume", path]
        ranks = rng.choice([2, 3])
        process = subprocess.Popen(command(mpiexec, ranks, "train", *arguments), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        processes = wait_for_checkpoint(process, path, ranks)
        time.sleep(rng.uniform(0, 1))
        if process.poll() is None:
            os.kill(processes[rng.randrange(ranks)], signal.SIGKILL)
            killed = time.monotonic()
            process.communicate(timeout=20)
            longest, kills = max(longest, time.monotonic() - killed), kills + 1
            assert process.returncode != 0
        if last_step(path) == last_step(tmp_path / "whole"):  # ended before all kills: once more from the start
            run(mpiexec, 2, "train", "--resume", path)
            assert arrays(path) == arrays(tmp_path / "whole")
            shutil.rmtree(path)
            arguments = [*OPTIONS, "--epochs", epochs, "--runs", tmp_path, "--name", "run"]
        else:
            assert last_step(path) >= step  # the checkpoint is complete
    if path.exists():
        run(mpiexec, 2, "train", "--resume", path)
        assert arrays(path) == arrays(tmp_path / "whole")
    record_property("kills", f"{kills} kills of a rank; the job ended within {longest:.1f} s")


FAILING = """
import sys
from mpi4py import MPI
from tinysegnet.cli.main import main
from tinysegnet.training.training_step import TrainingStep
run = TrainingStep.run

def fail(self, images, labels, step):
    if step == 3 and MPI.COMM_WORLD.rank == 1:
        raise MemoryError("for a test")
    return run(self, images, labels, step)

TrainingStep.run = fail
sys.exit(main())
"""


@pytest.mark.long
def test_an_error_of_one_rank_ends_the_job_and_names_the_rank(mpiexec, tmp_path):
    program = [mpiexec, "-n", "2", sys.executable, "-c", FAILING, "train", *OPTIONS, "--epochs", "3", "--runs"]
    done = subprocess.run([*program, tmp_path, "--name", "run", "--distributed"], capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert "error: rank 1 of 2: not enough memory for a test" in done.stderr
    assert last_step(tmp_path / "run") == 2


@pytest.mark.long
@pytest.mark.parametrize(("ranks", "arguments", "message"), [
    (5, ["--epochs", "1"], "5 processes cannot share batches of 3"),
    (2, ["--reduction", "batch"], "--distributed and --reduction batch cannot be combined"),
    (2, ["--minutes", "1"], "--distributed and --minutes cannot be combined"),
])  # fmt: skip
def test_an_error_of_all_ranks_is_one_line(mpiexec, tmp_path, ranks, arguments, message):
    _, err = run(mpiexec, ranks, "train", *OPTIONS, *arguments, "--runs", tmp_path, code=2)
    (line,) = [line for line in err.splitlines() if not line.startswith("rank ")]
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_run_with_whole_batches_does_not_continue_on_ranks(mpiexec, tmp_path):
    run(mpiexec, 0, "train", *OPTIONS, "--epochs", "1", "--runs", tmp_path, "--name", "run")
    _, err = run(mpiexec, 2, "train", "--resume", tmp_path / "run", "--epochs", "2", code=2)
    assert "the run has the reduction batch, and --distributed needs tree" in err


@pytest.mark.long
def test_evaluate_prints_the_figures_of_one_process(mpiexec, tmp_path):
    figures = [json.loads(run(mpiexec, ranks, "evaluate", "toy", "--limit", "5", "--json")[0]) for ranks in (0, 2)]
    assert figures[0] == figures[1]
    assert figures[0]["images"] == 5


@pytest.mark.long
def test_predict_writes_the_files_of_one_process(mpiexec, tmp_path):
    network = tmp_path / "network.safetensors"
    checkpoint.save(network, ts.build("tiny", width=1 / 16), palette=CAMVID, training={"size": (16, 24)})
    for name in "abcde":
        noise = np.random.default_rng(ord(name)).integers(0, 256, (16, 24, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    paths = [tmp_path / f"{name}.png" for name in "abcde"]
    results = []
    for ranks in (0, 2):
        out = tmp_path / f"out{ranks}"
        text, err = run(mpiexec, ranks, "predict", network, *paths, "--out", out, code=1)
        files = {path.name: path.read_bytes() for path in out.iterdir()}
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        results.append((text.replace(str(out), "OUT"), errors, files))
    assert results[0] == results[1]
    assert len(results[0][2]) == 4 * 3
    for option in (["--jobs", "2"], ["--gif"]):
        assert (
            "cannot be combined"
            in run(mpiexec, 2, "predict", network, *paths, "--out", tmp_path / "no", *option, code=2)[1]
        )


@pytest.mark.long
def test_the_throughput_of_processes_and_threads_is_measured(mpiexec):
    script = Path(__file__).parents[2] / "examples" / "distributed_throughput.py"
    options = ["--size", "20x28", "--batch-size", "4", "--steps", "2", "--rounds", "1"]
    done = subprocess.run([sys.executable, script, *options], check=True, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "NUMBA_NUM_THREADS": "2"})  # fmt: skip
    assert done.stdout.count("pictures/s") == 3
    assert "processes / threads: " in done.stdout
