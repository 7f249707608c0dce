"""The progress line: its phases, the time left, its width, and what is shown without a terminal."""

import io
import re
import sys
import types

import pytest
from backends import numpy_in_the_short_form  # noqa: F401

import tinysegnet as ts
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.runtime import kernel_cache, progress
from tinysegnet.runtime.progress import TrainingProgress, doing, hidden, say, track

NAN = float("nan")
LEFT = {"training": 400, "validating": 6, "saving": 200}


class Terminal(io.StringIO):
    """A terminal that keeps everything that is written to it."""

    def isatty(self):
        return True

    def lines(self):
        return [line.strip() for line in re.split("[\r\n]", self.getvalue()) if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    stderr = Terminal()  # pytest replaces sys.stderr itself before each test
    monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=stderr, modules=sys.modules))
    monkeypatch.setattr(progress, "REDRAW", 0)
    set_columns(monkeypatch, 60)
    return stderr


def set_columns(monkeypatch, columns):
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (columns, 24))


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: clock.now += 2."""
    clock = types.SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(progress, "time", clock)
    return clock


def row(**scores):
    return {"train_loss": 0.5, "val_mIoU": NAN, "val_G": NAN, "val_C": NAN, **scores}


def advance(line, clock, *seconds):
    for duration in seconds:
        clock.now += duration
        line.advance()


def test_the_time_left_is_that_of_steps_and_validations_without_the_first_of_each(clock):
    line = TrainingProgress(3, 15, {"training": 15, "validating": 6, "saving": 3})
    line.begin("training", 1)
    advance(line, clock, 100)  # with compilation
    assert line.time_left() == ""
    advance(line, clock, 2, 2, 50, 2)  # the median is 2, and ten steps are left
    assert line.time_left() == "> 00:20 left"
    line.begin("validating", 1, 2)
    advance(line, clock, 30, 4)  # four pictures are left
    assert line.time_left() == "00:36 left"
    line.begin("saving", 1)
    advance(line, clock, 3)  # two epochs are left
    assert line.time_left() == "00:42 left"


def test_exact_statistics_belong_to_the_time_left(clock):
    line = TrainingProgress(1, 2, {"training": 0, "statistics": 5})
    line.begin("statistics", 1, 5)
    advance(line, clock, 60, 1)
    assert line.time_left() == "00:03 left"


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_the_line_fits_and_keeps_phase_and_time(terminal, clock, monkeypatch, columns):
    set_columns(monkeypatch, columns)
    with TrainingProgress(200, 400, LEFT) as line:
        for phase, total in (("training", 0), ("statistics", 120), ("validating", 101), ("saving", 0)):
            line.facts["loss"] = 12.345
            line.begin(phase, 120, total)
            advance(line, clock, 70, 70, 70)
            line.end_epoch(row(val_mIoU=0.4, val_G=0.5, val_C=0.25))
    lines = terminal.lines()
    assert max(map(len, lines)) <= max(columns, 55)  # the line of an epoch has 55 columns
    assert (
        any("epoch 120/200, training |" in text and text.endswith("left, loss 12.345") for text in lines)
        or columns < 60
    )
    assert any(text.startswith("epoch 120/200, statistics 3/120 |") for text in lines)
    assert (
        any(text.startswith("epoch 120/200, validating 2/101 |") and " left" in text for text in lines) or columns < 60
    )
    assert "epoch 120/200: loss 0.500, mIoU 0.400, G 0.500, C 0.250" in lines
    assert not terminal.getvalue().rstrip(" \r").endswith("|")  # the line is removed at the end


def test_a_kernel_that_is_compiled_is_shown_until_the_next_step(terminal, monkeypatch):
    monkeypatch.setattr(kernel_cache, "_announcing", [None])
    with TrainingProgress(200, 400, LEFT) as line:
        line.begin("training", 1)
        kernel_cache.say_compiling()
        kernel_cache.say_compiling()
        line.advance()
    assert [text.split(" |")[0] for text in terminal.lines() if text.startswith("epoch")][-2:] == [
        "epoch 1/200, compiling", "epoch 1/200, training"
    ]  # fmt: skip
    assert terminal.getvalue().count("Compiling kernels") == 1
    kernel_cache.say_compiling()  # without a training run
    assert terminal.getvalue().count("compiling") == 2


def test_a_pipe_gets_one_line_per_epoch_and_nothing_else(capsys):
    recipe = ts.Recipe(epochs=3, batch_size=1, size=(16, 24), validate_every=3, class_weights="none")
    data = ToyScenes(2, size=(16, 24))
    ts.fit(ts.build("tiny", width=1 / 16), data, data, recipe=recipe)
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second, third = shown.err.splitlines()
    assert re.fullmatch(r"epoch 1/3: loss \d\.\d{3}, > 00:0\d left", first)
    assert re.fullmatch(r"epoch 2/3: loss \d\.\d{3}, > 00:0\d left", second)
    assert re.fullmatch(r"epoch 3/3: loss \d\.\d{3}, mIoU 0\.\d{3}, G 0\.\d{3}, C 0\.\d{3}, 00:00 left", third)


@pytest.mark.parametrize("stderr", [None, io.StringIO()], ids=["none", "closed"])
def test_a_program_without_stderr_can_train(monkeypatch, capsys, stderr):
    if stderr:
        stderr.close()
    data, recipe = ToyScenes(2, size=(16, 16)), ts.Recipe(size=(16, 16), epochs=1, class_weights="none")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        ts.fit(ts.build("tiny", width=1 / 16), data, data, recipe=recipe)
    assert capsys.readouterr().out == ""


def test_hidden_progress_shows_nothing_but_warnings(terminal):
    with hidden(True):
        with hidden(False), TrainingProgress(200, 400, LEFT) as line:
            line.begin("training", 1)
            line.advance()
            line.end_epoch(row())
            assert list(track("reading")(range(3))) == [0, 1, 2]
        say("warning: something")
    assert terminal.lines() == ["warning: something"]


def test_a_short_loop_is_not_shown_and_a_long_one_is(terminal, monkeypatch):
    assert list(track("reading")(range(3))) == [0, 1, 2]
    assert terminal.getvalue() == ""
    now = iter(range(0, 10**6, 2))
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(now)))
    assert list(track("reading")(range(3))) == [0, 1, 2]
    assert any(re.match(r"reading \d/3 \|.*\| .* left", text) for text in terminal.lines())
    assert list(track("filming")(iter(range(3)))) == [0, 1, 2]
    assert any(re.fullmatch(r"filming \d *", text) for text in terminal.lines()), "only a count without a total"


def test_what_happens_is_shown_and_removed_but_not_during_a_training(terminal):
    write = doing("writing the report")(lambda: 5)
    assert write() == 5
    assert terminal.lines() == ["writing the report ..."]
    with TrainingProgress(200, 400, LEFT):
        assert write() == 5
    assert terminal.getvalue().count("writing the report") == 1


def test_a_notebook_updates_the_output_of_the_cell(monkeypatch, clock):
    shown = []
    handle = types.SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))
    display = types.ModuleType("IPython.display")
    display.display = lambda data, raw, display_id: shown.append(data["text/plain"]) or handle
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel="a kernel")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(progress, "REDRAW", 0)
    with TrainingProgress(200, 400, LEFT) as line:
        line.begin("training", 1)
        advance(line, clock, 1, 1, 1)
        line.end_epoch(row(val_mIoU=0.4, val_G=0.5, val_C=0.25))
    assert any(text.startswith("epoch 1/200, training |") and "left" in text for text in shown)
    assert shown[-1] == "epoch 1/200: loss 0.500, mIoU 0.400, G 0.500, C 0.250"
