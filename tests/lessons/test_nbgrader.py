"""Assignments for nbgrader: students see neither solutions nor hidden tests, and get the points that they earn."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lesson_runs import build

from tinysegnet_lessons.grader import exercises

SEED = 987654321
ASSIGNMENTS = [source for source in build.SOURCES if build.GRADE.search(source.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("source", ASSIGNMENTS, ids=lambda source: source.stem)
def test_assignment_has_an_id_and_points_for_each_exercise(source):
    notebook = build.assignment(build.read(source), SEED)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    ids = [cell.metadata.nbgrader.grade_id for cell in cells]
    assert len(set(ids)) == len(ids)
    graded = [cell for cell in cells if cell.metadata.nbgrader.grade]
    assert graded
    for cell in graded:
        exercise = exercises()[cell.metadata.nbgrader.grade_id]
        assert cell.metadata.nbgrader.points == build.POINTS[exercise.tier]
        hidden = re.search(r"### BEGIN HIDDEN TESTS\n(.*)\n### END HIDDEN TESTS$", cell.source, re.S)
        assert f'"{exercise.name}"' in hidden[1]
        assert f"seed={SEED}" in hidden[1]
    assert all("### BEGIN SOLUTION" in cell.source for cell in cells if cell.metadata.nbgrader.solution)


# --- through nbgrader itself ------------------------------------------------------------------------------------------

LESSON = "01_convolution_forward"


@pytest.fixture
def course(tmp_path):
    """Return a function that runs nbgrader in a course folder with one assignment."""
    pytest.importorskip("nbgrader", reason="nbgrader is not installed: `make test-all` installs it")
    (source,) = (one for one in build.SOURCES if one.stem == LESSON)
    folder = tmp_path / "source" / LESSON
    folder.mkdir(parents=True)
    (folder / f"{LESSON}.ipynb").write_text(build.written(build.assignment(build.fast(build.read(source)), SEED)))

    # nbgrader starts a program of its environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def nbgrader(*command):
        done = subprocess.run([sys.executable, "-m", "nbgrader", *command], cwd=tmp_path, text=True, check=False,
                              timeout=550, capture_output=True, env={**os.environ, "PATH": path})  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return nbgrader


def hand_in(folder, student, notebook):
    path = folder / "submitted" / student / LESSON / f"{LESSON}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


@pytest.mark.long
def test_nbgrader_gives_the_points_that_students_earn(course, tmp_path):
    course("generate_assignment", LESSON, "--create")
    path = tmp_path / "release" / LESSON / f"{LESSON}.ipynb"
    text = path.read_text(encoding="utf-8")
    for secret in ("HIDDEN", "SOLUTION", str(SEED)):
        assert secret not in text
    released = nbformat.read(path, as_version=4)
    source = nbformat.read(tmp_path / "source" / LESSON / f"{LESSON}.ipynb", as_version=4)
    solved = copy.deepcopy(released)
    for cell, right in zip(solved.cells, source.cells, strict=True):
        if right.metadata.get("nbgrader", {}).get("solution"):
            cell.source = build.MARKERS.sub("", right.source)
    wrong = copy.deepcopy(solved)
    (cell,) = (cell for cell in wrong.cells if "def my_output_size(" in cell.source)
    cell.source = "def my_output_size(H, K, stride, padding):\n    return H"
    hand_in(tmp_path, "anna", solved)
    hand_in(tmp_path, "ben", released)
    hand_in(tmp_path, "carla", wrong)
    course("autograde", LESSON, "--create")
    course("export", "--to", "grades.csv")
    rows = [line.split(",") for line in (tmp_path / "grades.csv").read_text().splitlines()]
    score, student, most = (rows[0].index(name) for name in ("raw_score", "student_id", "max_score"))
    scores = {row[student]: float(row[score]) for row in rows[1:]}
    points = {name: build.POINTS[exercise.tier] for name, exercise in exercises(LESSON[:2]).items()}
    assert {float(row[most]) for row in rows[1:]} == {sum(points.values())}
    assert scores == {"anna": sum(points.values()), "ben": 0, "carla": sum(points.values()) - points["output_size"]}
