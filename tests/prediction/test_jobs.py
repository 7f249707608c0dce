"""`predict --jobs` segments pictures in several processes, and nothing that it writes or prints depends on it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import dying_workers
import pytest
from forms import amount
from PIL import Image
from small_networks import noise

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.errors import DataError
from tinysegnet.prediction import segment_files as pipeline
from tinysegnet.prediction import worker_processes
from tinysegnet.prediction.segment_files import PIXELS_PER_SLOT, SLOTS, Outcome, PictureTask, segment_files
from tinysegnet.weights.checkpoint import save

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of processes")


@pytest.fixture(autouse=True)
def one_backend(monkeypatch):
    """Let other processes run the same variant of the ops as this one."""
    monkeypatch.setenv("TINYSEGNET_BACKEND", amount("numpy", "numba"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    known = {"mean": [9.0] * 9, "std": [0.1] * 9, "count": 50}  # no picture has such statistics
    save(path, ts.build("bayesian-basic", width=1 / 16), training={"size": [16, 24], "input": known})
    return path


def draw(folder, *names, size=(16, 24)):
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        Image.fromarray(noise(*size, seed=seed)).save(folder / name)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_results_and_lines_do_not_depend_on_the_number_of_processes(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "x", *(f"p{k}.png" for k in range(9)))
    draw(tmp_path / "y", "p1.jpg", "p3.png")  # whose stems are taken
    Image.fromarray(noise(300, 400)).save("x/p0.png")  # takes the longest, and comes first
    (tmp_path / "x" / "p5.png").write_bytes((tmp_path / "x" / "p4.png").read_bytes()[:200])
    (tmp_path / "x" / "p6.png").write_bytes(b"no picture")
    options = ["--samples", "2", "--probabilities", "--gif"]
    found = {}
    for jobs in amount((1, 2), (1, 2, 3)):
        command = ["predict", str(checkpoint), "x", "y", "gone.png", "--out", "out", *options, "--jobs", str(jobs)]
        assert main(command) == 1
        found[jobs] = capsys.readouterr(), contents(tmp_path / "out")
        (tmp_path / "out").rename(tmp_path / str(jobs))
    printed, files = found.pop(1)
    assert len(files) == 9 * 5 + 1
    assert len(printed.out.splitlines()) == 9 + 1
    *errors, warning = printed.err.splitlines()
    assert all(name in line for name, line in zip(("p5.png", "p6.png", "gone.png"), errors, strict=True)), errors
    assert "9 of 9 pictures" in warning
    assert found
    for lines, others in found.values():
        assert lines == printed
        assert others == files


def test_samples_of_a_picture_do_not_depend_on_the_others(checkpoint, tmp_path):
    """The results of each picture alone are those of all pictures in one command, in any order."""
    folder = draw(tmp_path / "x", "a.png", "b.png")
    for k, paths in enumerate((["b.png", "a.png"], ["a.png"], ["b.png"])):
        command = ["predict", str(checkpoint), *(str(folder / path) for path in paths), "--samples", "2"]
        assert main([*command, "--out", str(tmp_path / str(k))]) == 0
    assert contents(tmp_path / "0") == contents(tmp_path / "1") | contents(tmp_path / "2")


@POSIX
@pytest.mark.long
def test_a_picture_that_ends_its_process_is_reported_and_the_others_are_segmented(
    checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(worker_processes, "_work", dying_workers.dies_of_pictures)
    folder = draw(tmp_path / "x", *(f"p{k}.png" for k in range(6)), "deadly.png", "once.png")
    assert main(["predict", str(checkpoint), str(folder), "--out", str(tmp_path / "out"), "--jobs", "2"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert line.startswith(f"error: {folder / 'deadly.png'}: ")
    assert "SIGKILL" in line
    assert len(contents(tmp_path / "out")) == 7 * 3


def test_processes_that_cannot_start_are_one_error(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(worker_processes, "_work", dying_workers.dies_at_once)
    folder = draw(tmp_path / "x", "a.png", "b.png")
    assert main(["predict", str(checkpoint), str(folder), "--out", str(tmp_path / "out"), "--jobs", "2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "exit code 3" in line
    assert "--jobs" in line


def test_an_error_of_the_disk_ends_all_processes_with_the_same_line(checkpoint, tmp_path, capsys):
    folder = draw(tmp_path / "x", "a.png", "b.png", "c.png")
    (tmp_path / "out" / "b_labels.png").mkdir(parents=True)
    lines = []
    for jobs in (1, 2):
        command = ["predict", str(checkpoint), str(folder), "--out", str(tmp_path / "out"), "--jobs", str(jobs)]
        assert main(command) == 2
        shown = capsys.readouterr()
        lines.append((shown.out, shown.err))
    assert lines[0] == lines[1]
    assert "b_labels.png: Is a directory" in lines[0][1]


@POSIX
@pytest.mark.long
@pytest.mark.parametrize(("number", "whole_group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_a_signal_ends_all_processes_and_counts_the_results(checkpoint, tmp_path, number, whole_group):
    """Ctrl-C in a terminal sends SIGINT to all processes of the command."""
    folder = draw(tmp_path / "x", *(f"p{k}.png" for k in range(60)), size=(300, 400))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tinysegnet", "predict", checkpoint, folder, "--out", out, "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    process.stdout.readline()  # a picture is finished
    os.killpg(process.pid, number) if whole_group else process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    line, last = err.splitlines()
    assert last == "interrupted"
    assert line.startswith(f"{out} contains the results of ")
    names = contents(out)
    complete = [
        k for k in range(60) if {f"p{k}{kind}.png" for kind in ("_overlay", "_colours", "_labels")} <= set(names)
    ]
    assert re.search(r"of (\d+) of 60 pictures", line)[1] == str(len(complete))
    assert 1 <= len(complete) < 60
    assert not [name for name in names if name.startswith(".")], "no file is half-written"
    with pytest.raises(ProcessLookupError):
        _wait_for_the_group(process.pid)


def _wait_for_the_group(number):
    """Raise ProcessLookupError as soon as a process group has ended."""
    for _ in range(100):
        os.killpg(number, 0)
        time.sleep(0.1)


# --- one process -----------------------------------------------------------------------------------------------------


class Recorder:
    """A segmenter whose writing takes longest. It records how many pictures are in memory, and with which others.

    pause: how long writing takes, in seconds
    later: an event for which the first picture waits in addition
    """

    def __init__(self, pause=0.002, later=None):
        self.lock, self.pause, self.later = threading.Lock(), pause, later
        self.pictures, self.most, self.neighbours = set(), 0, {}

    def read(self, task):
        with self.lock:
            self.pictures.add(task.number)
            self.most = max(self.most, len(self.pictures))
            for number in self.pictures:
                self.neighbours.setdefault(number, set()).update(self.pictures)
        return task.number

    def segment(self, task, image):
        assert image == task.number
        return image

    def write(self, task, found):
        time.sleep(self.pause)
        assert task.number or not self.later or self.later.wait(60), "the first picture holds up the others"
        with self.lock:
            self.pictures.remove(task.number)
        return Outcome(task, task.path)


def tasks_for(count, folder):
    return [PictureTask(k, folder / f"{k}.png", str(k)) for k in range(count)]


def test_few_pictures_are_in_memory_and_outcomes_are_in_order(tmp_path):
    order, later = [], threading.Event()
    recorder = Recorder(later=later)

    def finished(outcome):
        order.append(outcome.task.number)
        if outcome.task.number == SLOTS:
            later.set()

    outcomes = list(segment_files(tasks_for(40, tmp_path), recorder, finished))
    assert [(outcome.task.number, outcome.error) for outcome in outcomes] == [(k, None) for k in range(40)]
    assert sorted(order) == list(range(40))
    assert recorder.most == SLOTS


def test_a_large_picture_is_alone_in_memory(tmp_path, monkeypatch):
    large = {2, 3, 7}
    monkeypatch.setattr(
        pipeline, "claimed_pixels", lambda path: SLOTS * PIXELS_PER_SLOT if int(path.stem) in large else 0
    )
    recorder = Recorder()
    assert len(list(segment_files(tasks_for(12, tmp_path), recorder, id))) == 12
    assert {number for number, others in recorder.neighbours.items() if others == {number}} >= large
    assert recorder.most > 1


def test_claimed_pixels_come_from_the_header(tmp_path):
    draw(tmp_path / "x", "a.png", "b.jpg", size=(30, 50))
    (tmp_path / "x" / "b.jpg").write_bytes((tmp_path / "x" / "b.jpg").read_bytes()[:700])
    (tmp_path / "c.png").write_bytes(b"no picture")
    assert [pipeline.claimed_pixels(tmp_path / name) for name in ("x/a.png", "x/b.jpg", "c.png", "gone.png")] == [
        1500, 1500, 0, 0]  # fmt: skip


def test_a_task_that_is_not_yet_known_does_not_hold_up_the_others(tmp_path):
    known = threading.Event()

    def tasks():
        first, second = tasks_for(2, tmp_path)
        yield first
        assert known.wait(30), "the outcome of the first picture waits for the second"
        yield second

    assert len(list(segment_files(tasks(), Recorder(), lambda outcome: known.set()))) == 2


def test_an_iteration_that_ends_early_completes_what_it_writes(tmp_path):
    recorder, finished = Recorder(pause=0.05), []
    outcomes = segment_files(tasks_for(40, tmp_path), recorder, finished.append)
    assert next(outcomes).task.number == 0
    outcomes.close()
    assert 1 <= len(finished) <= 2 * SLOTS
    segmented = {outcome.task.number for outcome in finished}
    assert segmented == set(range(len(segmented)))


def test_errors_belong_to_their_picture_and_come_in_its_turn(tmp_path):
    class Failing(Recorder):
        def segment(self, task, image):
            if task.number in (1, 2):
                self.pictures.remove(task.number)
                raise {1: MemoryError, 2: OSError}[task.number]("no room")
            return image

    outcomes = list(segment_files(tasks_for(6, tmp_path), Failing(), id))
    assert [outcome.task.number for outcome in outcomes if outcome.error] == [1, 2]
    assert isinstance(outcomes[1].error, DataError)
    assert str(outcomes[1].error).startswith(f"{tmp_path / '1.png'}: ")
    assert isinstance(outcomes[2].error, OSError)
