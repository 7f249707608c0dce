"""Challenges are measured, predictions never fail, and right answers are kept as source that stands alone."""

import datetime
import linecache

import numpy as np
import pytest

from tinysegnet.errors import DataError
from tinysegnet_lessons.grader import (
    Challenge,
    Prediction,
    StandIn,
    WrongAnswer,
    grade,
    grading,
    keep_answers,
    kept_answers,
    predict,
    predictions,
)

SIZE = "def my_size(H, K, stride, padding):\n    return (H + 2 * padding - K) // stride + 1\n"


def defined(source, name, **names):
    """Execute source as a notebook does, so that inspect finds it, and return one of its functions."""
    file = f"<cell {len(linecache.cache)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    space = {"__name__": "__main__", "np": np, **names}
    exec(compile(source, file, "exec"), space)
    return space[name]


# --- challenges -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lower", [False, True])
def test_challenge_measures_a_right_answer_and_compares_it_with_the_goal(lower, monkeypatch, capsys):
    challenge = Challenge("twice", ("y",), lambda x: 2 * x, lambda: [(3,)], {}, measure=lambda answer: answer(1) + 1,
                          unit="units", goal=3, lower_is_better=lower)  # fmt: skip
    monkeypatch.setattr(grading, "find_exercise", lambda name: challenge)
    grade("twice", lambda x: 2 * x)
    assert "twice: 3 units (goal: at " in capsys.readouterr().out
    assert challenge.reached(3)
    assert challenge.reached(4) is not lower
    with pytest.raises(WrongAnswer):
        grade("twice", lambda x: 3 * x)
    assert isinstance(grade("twice", ...), StandIn)


def test_challenge_below_its_goal_is_not_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keep_answers()
    challenge = Challenge("twice", ("y",), lambda x: 2 * x, lambda: [(3,)], {}, measure=lambda answer: answer(1),
                          unit="units", goal=3)  # fmt: skip
    monkeypatch.setattr(grading, "find_exercise", lambda name: challenge)
    grade("twice", defined("def my(x):\n    return 2 * x\n", "my"))
    out = capsys.readouterr().out
    assert "not reached yet)" in out
    assert "  kept in" not in out
    assert "# %%" not in (tmp_path / "mysegnet.py").read_text()


# --- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "answer", "said"), [
    (23, 23, "As you predicted: 23. Because."),
    (23, 22.5, "You predicted 22.5. The answer is 23. Because."),
    (23, None, "You predicted None. The answer is 23."),
    (2.3978952727, 2.4, "As you predicted: 2.3979."),
    ("b", " B", "As you predicted: b."),
    ("b", "(b)", "As you predicted: b."),
    ("b", "a", "You predicted a. The answer is b. Because."),
    ("b", 3, "Choose one of the letters"),
    ("b", "the kernel", "Choose one of the letters"),
    (23, ..., "No prediction yet"),
])  # fmt: skip
def test_prediction_never_raises(right, answer, said, monkeypatch, capsys):
    monkeypatch.setattr(grading, "find_prediction", lambda name: Prediction(right, "Because.", tolerance=0.01))
    predict("rows", answer)
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize("prediction", predictions().values(), ids=predictions())
def test_every_prediction_has_a_reason(prediction):
    assert prediction.why.endswith(".")
    assert isinstance(prediction.answer, int | float) or prediction.answer in "abcd"


# --- kept answers -----------------------------------------------------------------------------------------------------


def test_nothing_is_kept_before_the_learner_agrees(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    grade("output_size", defined(SIZE, "my_size"))
    assert not list(tmp_path.iterdir())
    assert kept_answers() == {}
    keep_answers()
    grade("output_size", defined(SIZE, "my_size"))
    assert "kept in mysegnet.py" in capsys.readouterr().out
    assert str(datetime.date.today()) in (tmp_path / "mysegnet.py").read_text()
    assert kept_answers()["output_size"](7, 3, 2, 1) == 4


def test_kept_answers_are_appended_and_the_last_one_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keep_answers()
    grade("output_size", defined(SIZE, "my_size"))
    once = (tmp_path / "mysegnet.py").read_text()
    grade("output_size", defined(SIZE, "my_size"))
    assert (tmp_path / "mysegnet.py").read_text() == once
    with pytest.raises(WrongAnswer):
        grade("output_size", defined("def my_size(H, K, stride, padding):\n    return H\n", "my_size"))
    other = "def my_second(H, K, stride, padding):\n    return 1 + (H - K + 2 * padding) // stride\n"
    grade("output_size", defined(other, "my_second"))
    assert (tmp_path / "mysegnet.py").read_text().startswith(once)
    assert kept_answers()["output_size"].__name__ == "my_second"
    grade("output_size", kept_answers()["output_size"])  # an answer from the file is not kept again
    assert (tmp_path / "mysegnet.py").read_text().count("# %%") == 2


def test_what_an_answer_uses_of_the_notebook_is_kept_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keep_answers()
    source = """
import math
ONE = 1
def half(n):
    return n // TWO
TWO = 2
def my_size(H, K, stride, padding):
    return [int(math.floor(float(half(2 * (H + 2 * padding - K)) // stride + ONE))) for _ in range(np.int64(1))][0]
"""
    grade("output_size", defined(source, "my_size"))
    assert "kept in" in capsys.readouterr().out
    assert kept_answers()["output_size"](45, 3, 1, 1) == 45
    grade("output_size", kept_answers()["output_size"])


@pytest.mark.parametrize(("source", "reason"), [
    ("my_size = lambda H, K, stride, padding: (H + 2 * padding - K) // stride + 1", "it is a lambda"),
    ("table = [0, 1]\n" + SIZE.replace("+ 1", "+ table[1]"), "it uses table of the notebook"),
    ("def outer(one):\n    def my_size(H, K, stride, padding):\n        return (H + 2 * padding - K) // stride + one\n"
     "    return my_size\nmy_size = outer(1)", "my_size was made inside another function"),
])  # fmt: skip
def test_answer_that_does_not_stand_alone_is_not_kept_and_says_why(source, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keep_answers()
    grade("output_size", defined(source, "my_size"))
    assert f"not kept in mysegnet.py: {reason}" in " ".join(capsys.readouterr().out.split())
    assert kept_answers() == {}


def test_damaged_section_is_named_with_its_line(tmp_path):
    keep_answers(tmp_path)
    with (tmp_path / "mysegnet.py").open("a") as file:
        file.write("# %% output_size, kept on 2026-01-01\ndef my_size(:\n")
    with pytest.raises(DataError, match=r"mysegnet\.py, line 2: the answer to output_size cannot be executed"):
        kept_answers(tmp_path)
