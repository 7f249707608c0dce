"""The lessons: every source and every student's copy run to the end; the copy says which answers are not written.

The solved lessons run in one process without numba, in the fast mode: a cell with "fast" in its metadata runs that text
instead of its own. The short form runs one of them. The long form also runs the students' copies in Jupyter kernels,
with numba; building the site does the same with all solved lessons.
TINYSEGNET_LESSONS=full runs both with the lessons' own numbers and prints the times.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re

import pytest
from lesson_runs import assigned, build, cells, run, run_here, run_quickly

from tinysegnet_lessons import grader

MAX_LINES = 15
FULL = os.environ.get("TINYSEGNET_LESSONS") == "full"
in_kernels = pytest.mark.usefixtures() if FULL else pytest.mark.long
every_lesson = pytest.mark.parametrize("source", build.SOURCES, ids=lambda source: source.stem)
EXAMPLE_LESSON = "04"
solved_lesson = pytest.mark.parametrize("source", [
    pytest.param(source, id=source.stem, marks=[pytest.mark.long] * (build.number(source) != EXAMPLE_LESSON))
    for source in build.SOURCES
])  # fmt: skip
ROOMS = ("", ".ops", ".layers", ".models", ".metrics", ".training.optim", ".data", ".viz", ".gradcheck")
LIBRARY = {name for room in ROOMS for name in importlib.import_module(f"tinysegnet{room}").__all__}


def prepared(source):
    notebook = build.read(source)
    return notebook if FULL else build.fast(notebook)


def told(failure, source):
    place = cells(source)[failure.number].place
    return f"{place} raises {failure.name}: {failure.message}\n{failure.shown}"


@pytest.fixture(scope="module")
def quick_runs(request):
    """Run all selected lessons in one process."""
    selected = [item.callspec.params["source"] for item in request.session.items
                if "quick_runs" in item.fixturenames and item.path == request.path]  # fmt: skip
    return run_quickly(selected)


@pytest.mark.skipif(FULL, reason="the lessons run in kernels, with their own numbers")
@solved_lesson
def test_solved_lesson_runs_and_its_exercises_need_their_solutions(source, quick_runs, record_property):
    run = quick_runs[source.stem]
    assert run.failure is None, told(run.failure, source)
    assert set(run.unsolved) == {cell.number for cell in cells(source) if cell.graded}
    for said in run.solved.values():
        assert "not kept" not in said, said
    for number, said in run.unsolved.items():
        assert isinstance(said, str), told(said, source)
        for name in cells(source)[number].graded:
            assert f"{name}: not written yet" in said, f"{cells(source)[number].place} needs no solution"
    record_property(f"lesson {source.stem}", f"{run.seconds:.1f} s of CPU time in the fast mode, without figures")


@pytest.mark.skipif(not FULL, reason="the site runs the solved lessons in kernels")
@every_lesson
def test_solved_lesson_runs_to_its_end(source, tmp_path, record_property):
    failures, seconds = run(build.solved(prepared(source)), tmp_path)
    assert not failures, told(failures[0], source)
    record_property(f"lesson {source.stem}", f"{seconds:.1f} s {'in full' if FULL else 'in the fast mode'}")


@in_kernels
@every_lesson
def test_students_copy_runs_to_its_end_and_names_what_is_not_written(source, tmp_path):
    notebook = build.student(prepared(source))
    failures, _ = run(notebook, tmp_path)
    assert not failures, told(failures[0], source)
    for cell in cells(source):
        said = "".join(output.get("text", "") for output in notebook.cells[cell.number].get("outputs", ()))
        for name in cell.graded:
            assert f"{name}: not written yet" in said, f"{cell.place} is right without the learner's work"


def test_no_students_copy_is_stale():
    """If it fails, run `make lessons`."""
    assert sorted(build.FOLDER.glob("*.ipynb")) == [build.target(source) for source in build.SOURCES]
    for source in build.SOURCES:
        text = build.target(source).read_text(encoding="utf-8")
        assert text == build.written(build.student(build.read(source))), f"{source.stem} is stale: make lessons"


def test_no_copy_of_the_lessons_data_is_stale():
    """If it fails, run `make lessons`."""
    assert sorted(path.name for path in build.FOLDER.glob("*.csv")) == sorted(build.DATA)
    for name, source in build.DATA.items():
        assert (build.FOLDER / name).read_bytes() == source.read_bytes(), f"{name} is stale: make lessons"


def test_lesson_without_its_data_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (lesson,) = (source for source in build.SOURCES if source.stem.startswith("11"))
    reading = [cell.text for cell in cells(lesson) if cell.code and "decoder_study.csv" in cell.text]
    with pytest.raises(SystemExit, match=r"decoder_study\.csv.*tinysegnet lessons \."):
        exec("from pathlib import Path\n" + reading[0], {})


@every_lesson
def test_notebooks_store_no_traces_of_a_run(source):
    notebook = json.loads(build.target(source).read_text(encoding="utf-8"))
    assert notebook["metadata"] == {"language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert "SOLUTION" not in "".join(cell["source"])


@every_lesson
def test_no_cell_is_too_long(source):
    """Empty lines of prose and the lines that mark a solution do not count."""
    for cell in cells(source):
        text = build.MARKERS.sub("", cell.text)
        lines = [line for line in text.splitlines() if cell.code or line.strip()]
        assert len(lines) <= MAX_LINES, f"{cell.place} has {len(lines)} lines, at most {MAX_LINES}"
        assert all(len(line) <= 120 for line in lines) or not cell.code, f"{cell.place} has a line over 120 characters"


@every_lesson
def test_no_lesson_redefines_a_name_of_the_library(source):
    for cell in filter(lambda cell: cell.code, cells(source)):
        for name, line in assigned(cell.text).items():
            assert name not in LIBRARY, f"{cell.place}, its line {line}: {name} is a name of the library"


@every_lesson
def test_lesson_grades_the_exercises_of_its_grader(source):
    """A lesson and its appendix share a grader."""
    both = [other for other in build.SOURCES if build.number(other)[:2] == build.number(source)[:2]]
    graded = [name for one in both for cell in cells(one) for name in cell.graded]
    assert sorted(graded) == sorted(grader.exercises(build.number(source)[:2]))
    asked = {name for one in both for cell in cells(one) for name in cell.asked}
    assert asked == set(grader.predictions(build.number(source)[:2]))


@every_lesson
def test_every_grade_follows_its_solution(source):
    waiting = 0
    for cell in filter(lambda cell: cell.code, cells(source)):
        waiting += cell.solution
        assert waiting >= len(cell.graded), f"{cell.place} grades, but no solution comes before it"
        waiting = 0 if cell.graded else waiting
        assert not (cell.solution and cell.graded), f"{cell.place} contains both a solution and a grade"


@every_lesson
def test_lesson_begins_with_title_and_imports_and_cites_the_paper(source):
    title, imports, *_ = found = cells(source)
    assert not title.code
    assert title.text.startswith(f"# {build.number(source)} ")
    assert imports.code
    assert "import tinysegnet as ts" in imports.text
    assert any("Badrinarayanan" in cell.text for cell in found if not cell.code)
    for cell in found:
        banned = re.search(r"\b(simply|obviously|just)\b", cell.text, re.I) if not cell.code else None
        assert not banned, f"{cell.place} says {banned[0]!r}"


@every_lesson
def test_headings_skip_no_level(source):
    levels = [(len(marks), cell.place) for cell in cells(source) if not cell.code
              for marks in re.findall(r"^(#+) ", cell.text, re.M)]  # fmt: skip
    for (level, _), (deeper, place) in itertools.pairwise(levels):
        assert deeper <= level + 1, f"{place} has a heading of level {deeper} below one of level {level}"


# --- the machinery itself ---------------------------------------------------------------------------------------------

EXAMPLE = '''# %% [markdown]
# # 99 Example

# %% tags=["parameters"] fast="STEPS = 2"
STEPS = 300  # training steps

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


def test_build_makes_the_students_copy_of_an_example(example):
    notebook = build.student(build.read(example))
    assert notebook.cells[2].source == (
        'def my_double(x):\n    """Twice x."""\n    raise NotImplementedError("your turn")')  # fmt: skip
    assert notebook.cells[1].source == "STEPS = 300  # training steps"
    assert build.fast(build.read(example)).cells[1].source == "STEPS = 2"
    assert "SOLUTION" not in build.written(build.solved(build.read(example)))
    assert build.written(notebook) == build.written(build.student(build.read(example)))


def test_build_writes_solutions_for_teachers(tmp_path, monkeypatch):
    before = {path: path.read_bytes() for path in build.FOLDER.glob("*.ipynb")}
    monkeypatch.setattr("sys.argv", ["build.py", "--solutions", str(tmp_path / "solved")])
    build.main()
    solved = sorted((tmp_path / "solved").glob("*.ipynb"))
    assert [path.stem for path in solved] == [source.stem for source in build.SOURCES]
    assert [path.name for path in (tmp_path / "solved").glob("*.csv")] == list(build.DATA)
    assert not any("your turn" in path.read_text(encoding="utf-8") for path in solved)
    assert before == {path: path.read_bytes() for path in build.FOLDER.glob("*.ipynb")}


@pytest.mark.long
def test_kernel_run_finds_errors(example, tmp_path):
    failures, _ = run(build.solved(build.read(example)), tmp_path)
    assert [(f.number, f.name) for f in failures] == [(5, "NameError")]
    failures, _ = run(build.student(build.read(example)), tmp_path, go_on=True)
    assert [f.name for f in failures] == ["NotImplementedError", "NameError", "NameError"]


def test_quick_run_finds_errors_and_checks_that_need_no_solution(example):
    failure = run_here(example).failure
    assert (failure.number, failure.name) == (5, "NameError")
    assert cells(example)[5].place == "lessons/src/99_example.py:22 (cell 5)"
    example.write_text(EXAMPLE.split("# %%\nmy_six")[0] + GRADES)
    quick = run_here(example)
    assert quick.failure is None
    first, second = quick.unsolved.values()
    assert first.startswith("output_size: not written yet")
    assert second.startswith("output_size: right")


GRADES = """# %%
def my_output_size(H, K, stride, padding):
    ### BEGIN SOLUTION
    return (H + 2 * padding - K) // stride + 1
    ### END SOLUTION
# %%
from tinysegnet_lessons import grader
# %%
grader.grade("output_size", my_output_size)
# %%
grader.grade("output_size", lambda H, K, stride, padding: (H + 2 * padding - K) // stride + 1)
"""
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


@pytest.mark.long
def test_notebook_shows_a_wrong_answer_without_the_graders_traceback(tmp_path):
    """A wrong answer shows only the message; an error shows the learner's lines and none of the grader's."""
    (tmp_path / "98_graded.py").write_text(GRADED)
    (wrong, error), _ = run(build.read(tmp_path / "98_graded.py"), tmp_path, go_on=True)
    assert "Traceback" not in wrong.shown
    lines = wrong.shown.splitlines()
    assert lines[0].startswith("output_size: size")
    assert [line.split()[0] for line in lines[1:]] == ["case", "first", "hint"]
    assert lines[2].split()[-4:] == ["expected", "8", "got", "6"]
    assert "2 * padding" in lines[3]
    assert "return H / 0" in error.shown
    assert re.search("output_size: .*case 1 of ", error.shown)
    assert "_examine" not in error.shown


def test_assigned_finds_every_name_that_code_binds():
    code = "def a():\n    b = 1\nfor c, d in []: pass\n(e := 2)\nimport f\nx[0] = g.h = 3\nclass i: pass"
    assert sorted(assigned(code)) == ["a", "b", "c", "d", "e", "i"]
