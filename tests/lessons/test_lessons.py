"""The lessons: every source runs to its end, every student's copy fails only where the learner has to write.

All run in the fast mode: a cell with "fast" in its metadata runs that text instead of its own. For the full one, with
its times: TINYSEGNET_LESSONS=full.
"""

from __future__ import annotations

import importlib
import json
import os
import re

import pytest
from lesson_runs import assigned, build, cells, run, unexcused

from tinysegnet_lessons import grader

MAX_LINES = 15
FULL = os.environ.get("TINYSEGNET_LESSONS") == "full"
every_lesson = pytest.mark.parametrize("source", build.SOURCES, ids=lambda source: source.stem)
ROOMS = ("", ".ops", ".layers", ".models", ".metrics", ".training.optim", ".data", ".viz", ".gradcheck")
LIBRARY = {name for room in ROOMS for name in importlib.import_module(f"tinysegnet{room}").__all__}


def prepared(source):
    notebook = build.read(source)
    return notebook if FULL else build.fast(notebook)


def told(failure, source):
    place = cells(source)[failure.number].place
    return f"{place} raises {failure.name}: {failure.message}\n{failure.shown}"


@every_lesson
def test_the_solved_lesson_runs_to_its_end(source, tmp_path, record_property):
    failures, seconds = run(build.solved(prepared(source)), tmp_path)
    assert not failures, told(failures[0], source)
    record_property(f"lesson {source.stem}", f"{seconds:.1f} s {'in full' if FULL else 'in the fast mode'}")


@every_lesson
def test_the_students_copy_fails_only_where_the_learner_writes(source, tmp_path):
    notebook = build.student(prepared(source))
    failures, _ = run(notebook, tmp_path, go_on=True)
    bad = unexcused(failures, notebook)
    assert not bad, told(bad[0], source)
    failed = {failure.number for failure in failures}
    for cell in cells(source):
        assert not cell.graded or cell.number in failed, f"{cell.place} is right without the learner's work"


def test_no_students_copy_is_stale():
    """`make lessons` makes them anew."""
    assert sorted(build.FOLDER.glob("*.ipynb")) == [build.target(source) for source in build.SOURCES]
    for source in build.SOURCES:
        text = build.target(source).read_text(encoding="utf-8")
        assert text == build.written(build.student(build.read(source))), f"{source.stem} is stale: make lessons"


def test_what_lessons_read_is_not_stale():
    """`make lessons` copies it anew."""
    assert sorted(path.name for path in build.FOLDER.glob("*.csv")) == sorted(build.DATA)
    for name, source in build.DATA.items():
        assert (build.FOLDER / name).read_bytes() == source.read_bytes(), f"{name} is stale: make lessons"


def test_a_lesson_without_its_data_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (lesson,) = (source for source in build.SOURCES if source.stem.startswith("11"))
    reading = [cell.text for cell in cells(lesson) if cell.code and "decoder_study.csv" in cell.text]
    with pytest.raises(SystemExit, match=r"^decoder_study.csv is not beside this notebook.*tinysegnet lessons \.$"):
        exec("from pathlib import Path\n" + reading[0], {})


@every_lesson
def test_nothing_is_stored_that_a_run_leaves_behind(source):
    notebook = json.loads(build.target(source).read_text(encoding="utf-8"))
    assert notebook["metadata"] == {"language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert "SOLUTION" not in "".join(cell["source"])


@every_lesson
def test_no_cell_is_too_long(source):
    """Lines of a cell, but for empty ones in prose and the lines that mark a solution."""
    for cell in cells(source):
        text = build.MARKERS.sub("", cell.text)
        lines = [line for line in text.splitlines() if cell.code or line.strip()]
        assert len(lines) <= MAX_LINES, f"{cell.place} has {len(lines)} lines, at most {MAX_LINES}"
        assert all(len(line) <= 120 for line in lines) or not cell.code, f"{cell.place} has a line over 120 letters"


@every_lesson
def test_no_lesson_redefines_a_name_of_the_library(source):
    for cell in filter(lambda cell: cell.code, cells(source)):
        for name, line in assigned(cell.text).items():
            assert name not in LIBRARY, f"{cell.place}, its line {line}: {name} is a name of the library"


@every_lesson
def test_at_least_two_exercises_each_with_a_solution_and_a_grade(source):
    ours = list(grader.exercises(source.stem[:2]))
    graded = [name for cell in cells(source) for name in cell.graded]
    assert sorted(graded) == sorted(ours), "the exercises of this lesson's grader, and those that the lesson grades"
    assert len(graded) >= 2
    waiting = 0
    for cell in filter(lambda cell: cell.code, cells(source)):
        waiting += cell.solution
        assert waiting >= len(cell.graded), f"{cell.place} grades, but nothing was to be written before"
        waiting = 0 if cell.graded else waiting
        assert not (cell.solution and cell.graded), f"{cell.place} solves and grades at once"


@every_lesson
def test_it_begins_as_all_do_and_cites_the_paper(source):
    title, imports, *_ = found = cells(source)
    assert not title.code
    assert title.text.startswith(f"# {source.stem[:2]} ")
    assert imports.code
    assert "import tinysegnet as ts" in imports.text
    assert any("Badrinarayanan" in cell.text for cell in found if not cell.code)
    for cell in found:
        banned = re.search(r"\b(simply|obviously|just)\b", cell.text, re.I) if not cell.code else None
        assert not banned, f"{cell.place} says {banned[0]!r}"


# --- the machinery itself ---------------------------------------------------------------------------------------------

EXAMPLE = '''# %% [markdown]
# # 99 Example

# %% tags=["parameters"] fast="STEPS = 2"
STEPS = 300  # of training

# %%
def my_double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    twice = 2 * x
    return twice
    ### END SOLUTION

# %%
my_six = my_double(3)

# %%
print(my_six)

# %%
print(undefined)
'''


@pytest.fixture
def example(tmp_path):
    path = tmp_path / "99_example.py"
    path.write_text(EXAMPLE)
    return path


def test_the_students_copy_of_an_example(example):
    notebook = build.student(build.read(example))
    assert notebook.cells[2].source == (
        'def my_double(x):\n    """Twice x."""\n    raise NotImplementedError("your turn")')  # fmt: skip
    assert notebook.cells[1].source == "STEPS = 300  # of training"
    assert build.fast(build.read(example)).cells[1].source == "STEPS = 2"
    assert "SOLUTION" not in build.written(build.solved(build.read(example)))
    assert build.written(notebook) == build.written(build.student(build.read(example)))


def test_a_teacher_gets_the_solutions(tmp_path, monkeypatch):
    before = {path: path.read_bytes() for path in build.FOLDER.glob("*.ipynb")}
    monkeypatch.setattr("sys.argv", ["build.py", "--solutions", str(tmp_path / "solved")])
    build.main()
    solved = sorted((tmp_path / "solved").glob("*.ipynb"))
    assert [path.stem for path in solved] == [source.stem for source in build.SOURCES]
    assert [path.name for path in (tmp_path / "solved").glob("*.csv")] == list(build.DATA)
    assert not any("your turn" in path.read_text(encoding="utf-8") for path in solved)
    assert before == {path: path.read_bytes() for path in build.FOLDER.glob("*.ipynb")}


def test_the_tests_can_fail(example, tmp_path):
    """A solved lesson's error is found; in a student's copy what follows from a gap is excused, and nothing else."""
    failures, _ = run(build.solved(build.read(example)), tmp_path)
    assert [(f.number, f.name) for f in failures] == [(5, "NameError")]
    assert cells(example)[5].place == "lessons/src/99_example.py:22 (cell 5)"
    notebook = build.student(build.read(example))
    failures, _ = run(notebook, tmp_path, go_on=True)
    assert [f.name for f in failures] == ["NotImplementedError", "NameError", "NameError"]
    assert [f.number for f in unexcused(failures, notebook)] == [5]


GRADED = """# %%
from tinysegnet_lessons import grader
# %%
grader.grade("output_size", lambda H, K, stride, padding: (H + padding - K) // stride + 1)
# %%
def my_output_size(H, K, stride, padding):
    return H / 0
# %%
grader.grade("output_size", my_output_size)
"""


def test_what_a_learner_sees_of_a_wrong_answer(tmp_path):
    """A wrong answer: the message and no traceback. An error: the learner's lines, none of the grader's."""
    (tmp_path / "98_graded.py").write_text(GRADED)
    (wrong, error), _ = run(build.read(tmp_path / "98_graded.py"), tmp_path, go_on=True)
    first, case, wrong_entry, hint = wrong.shown.splitlines()
    assert first.startswith("output_size: size")
    assert "H 8, K 5, stride 1, padding 2" in case
    assert "expected 8   got 6" in wrong_entry
    assert "2 * padding" in hint
    assert "return H / 0" in error.shown
    assert "output_size: raised in case 1 of " in error.shown
    assert "_examine" not in error.shown


def test_what_a_cell_binds():
    code = "def a():\n    b = 1\nfor c, d in []: pass\n(e := 2)\nimport f\nx[0] = g.h = 3\nclass i: pass"
    assert sorted(assigned(code)) == ["a", "b", "c", "d", "e", "i"]
