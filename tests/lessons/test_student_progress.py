"""The progress page and the class table count what is right when it is executed again, and nothing else."""

import json
import re
import subprocess
import sys

import pytest
from forms import amount

from tinysegnet_lessons import class_table, progress
from tinysegnet_lessons.grader import exercises
from tinysegnet_lessons.grader.kept_answers import FILE

SIZE = "def my_output_size(H, K, stride, padding):\n    return (H + 2 * padding - K) // stride + 1\n"
RELU = "def my_relu_backward(dout, x):\n    return np.where(x > 0, dout, 0)\n"


def section(name, code):
    return f"\n\n# %% {name}, kept on 2026-01-01\n{code}"


def notebook(*cells):
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], "metadata": {},
                       "nbformat": 4, "nbformat_minor": 5})  # fmt: skip


# --- a learner's progress ---------------------------------------------------------------------------------------------


def test_progress_counts_answers_that_are_right(tmp_path):
    wrong = "def my_softmax(logits):\n    return logits\n"
    (tmp_path / FILE).write_text('"""Mine."""' + section("output_size", SIZE) + section("softmax", wrong))
    found = progress.progress(tmp_path)
    assert (found.done, found.total) == (1, len(exercises()))
    assert str(found).splitlines()[-1] == f"1 of {found.total} exercises are done."
    assert {name for lesson in found.lessons for name in lesson.exercises} == set(exercises())
    assert [name for lesson in found.lessons for name, done in lesson.exercises.items() if done] == ["output_size"]


def test_progress_without_answers_begins_with_the_first_lesson(tmp_path):
    found = progress.progress(tmp_path)
    assert found.done == 0
    assert found.next.startswith("00 ")


def test_progress_page_lists_every_exercise(tmp_path, monkeypatch, capsys):
    (tmp_path / FILE).write_text('"""Mine."""' + section("output_size", SIZE))
    monkeypatch.setattr("sys.argv", ["progress", str(tmp_path)])
    progress.main()
    assert f"1 of {len(exercises())} exercises are done." in capsys.readouterr().out
    page = (tmp_path / progress.PAGE).read_text(encoding="utf-8")
    assert page.count("<li ") == len(exercises())
    assert page.count('<li class="done"') == 1
    assert f"<h1>1 of {len(exercises())} exercises are done</h1>" in page
    assert "http" not in page
    assert "<html" not in progress.progress(tmp_path)._repr_html_()


def test_every_exercise_has_an_answer_in_a_notebook():
    assert set(progress.answers_of_notebooks()) == set(exercises())


# --- a class ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Run the class table on all students, or in the short form on one."""
    folder = tmp_path_factory.mktemp("class")
    students = {
        "anna": {FILE: section("output_size", SIZE) + section("relu_backward", f"import numpy as np\n{RELU}")},
        "ben": {"01_x.ipynb": notebook("import numpy as np\nprint('conv2d_dx: right (dx; 3 cases)')\n%time 1", SIZE),
                "04_x.ipynb": notebook(RELU)},
        "carla": {"06_x.ipynb": notebook("from tinysegnet_lessons import grader",
                                         "my_softmax = grader.find_exercise('softmax').reference",
                                         "def my_output_size(*a):\n    import tinysegnet_lessons.grader.lesson01 as m\n"
                                         "    return m._size(*a)")},
        "dan": {FILE: section("softmax", "def my(logits):\n    while True:\n        pass\n")
                + section("output_size", SIZE)},
        "eva": {FILE: section("conv2d_dx", "def my(dout, weight):\n    import os\n    os._exit(0)\n")
                + section("relu_backward", "import sys\n\n\ndef my(dout, x):\n    sys.exit()\n")
                + section("output_size", SIZE)},
        "finn": {"01_x.ipynb": "not a notebook", "02_x.ipynb": notebook("def broken(:", SIZE)},
        "gina": {"06_x.ipynb": notebook("from tinysegnet import ops",
                                        "def my_softmax(logits):\n    return ops.softmax_forward(logits)[0]")},
    }  # fmt: skip
    students = {name: files for name, files in students.items() if name in amount(("anna",), students)}
    for student, files in students.items():
        (folder / student).mkdir()
        for name, text in files.items():
            (folder / student / name).write_text(text)
    command = [sys.executable, "-m", "tinysegnet_lessons.class_table", "--seconds", "3", "--csv", str(folder / "t.csv")]
    done = subprocess.run([*command, *(str(folder / name) for name in students)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    rows = [line.split(",") for line in (folder / "t.csv").read_text().splitlines()]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows}, done


@pytest.mark.long
def test_class_table_counts_per_lesson_from_the_list_of_exercises(table):
    rows, done = table
    assert int(rows[""]["all"]) == len(exercises())
    assert (rows["anna"]["01"], rows["anna"]["04"], rows["anna"]["all"]) == ("1", "1", "2")
    assert re.search(r"^anna +0 +1 ", done.stdout, re.M)


@pytest.mark.long
@pytest.mark.parametrize(("student", "count", "note"), [
    ("ben", "2", ""),  # what a notebook printed does not count
    ("carla", "0", ""), ("dan", "1", "softmax: takes more than 3 s"),
    ("eva", "1", "conv2d_dx: the process ended with code 0"), ("finn", "1", "01_x.ipynb:"), ("gina", "1", ""),
])  # fmt: skip
def test_code_that_cheats_hangs_or_ends_the_process_costs_only_its_own_exercise(student, count, note, table):
    rows, done = table
    assert rows[student]["all"] == count
    about = done.stderr.split(f"{student}: ")[1]
    assert note in about


@pytest.mark.long
def test_answers_that_call_the_library_are_named(table):
    rows, _ = table
    assert [name for name, row in rows.items() if row["calls tinysegnet"] not in ("", "calls tinysegnet")] == ["gina"]
    assert rows["gina"]["calls tinysegnet"] == "softmax"


@pytest.mark.long
def test_answer_cannot_write_files(tmp_path):
    code = f"def my(dout, x):\n    open({str(tmp_path / 'made')!r}, 'w').write('x')\n    return 1\n"
    (tmp_path / FILE).write_text(section("relu_backward", code))
    assert class_table.student(tmp_path / FILE).right == []
    assert not (tmp_path / "made").exists() or (tmp_path / "made").read_text() == ""
