"""Build the lessons: src/NN_name.py (py:percent) -> NN_name.ipynb, the student's copy; NNa_name.py is an appendix.

    python lessons/build.py                       writes every student's copy (make lessons)
    python lessons/build.py --solutions DIR       writes the notebooks with their solutions into DIR, for teachers
    python lessons/build.py --nbgrader DIR        writes assignments for nbgrader into DIR/source

The script also copies the files that the notebooks read (`DATA`) into the same folder.

In a student's copy, `raise NotImplementedError` replaces the lines from `### BEGIN SOLUTION` to `### END SOLUTION`. The
same source always gives the same file: no outputs, no kernel, and each cell's id is derived from its text.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import re
import secrets
import shutil
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from tinysegnet_lessons.grader import find_exercise

FOLDER = Path(__file__).parent
SOURCES = sorted((FOLDER / "src").glob("[0-9][0-9]*_*.py"))
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION$", re.M | re.S)
YOUR_TURN = r'\1raise NotImplementedError("your turn")'
# Files that notebooks read: the name in the notebooks' folder, and the source.
DATA = {"decoder_study.csv": FOLDER.parent / "examples" / "results" / "runs.csv"}
GRADE = re.compile(r"grader\.grade\(\s*\"(\w+)\",\s*(\w+)")
POINTS = {"warm-up": 1, "core": 2, "challenge": 2}
MARKERS = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", re.M)


def read(source: Path) -> NotebookNode:
    """Read a source with its solutions; the metadata "fast" is the text of a cell in a quick run."""
    return jupytext.read(source, fmt="py:percent")


def student(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without solutions and metadata, except the language, which Jupyter needs to find a kernel."""
    return _cleaned(notebook, lambda text: SOLUTION.sub(YOUR_TURN, text))


def solved(notebook: NotebookNode) -> NotebookNode:
    """Return a copy with solutions, without the lines that mark them."""
    return _cleaned(notebook, lambda text: MARKERS.sub("", text).rstrip("\n"))


def assignment(notebook: NotebookNode, seed: int) -> NotebookNode:
    """Return a copy for nbgrader's folder source/: ids, points, and hidden tests with cases from another seed.

    nbgrader removes solutions and hidden tests from the copy for students, and puts the tests back to grade.
    """
    changed = _cleaned(notebook, lambda text: text)
    changed.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    answers = 0
    for cell in filter(lambda cell: cell.cell_type == "code", changed.cells):
        graded = GRADE.findall(cell.source)
        for name, answer in graded:
            hidden = f'grader.grade("{name}", {answer}, seed={seed}, required=True)'
            cell.source += f"\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
            points = POINTS[find_exercise(name).tier]
            cell.metadata["nbgrader"] = _grading(name, grade=True, locked=True, points=points)
        if SOLUTION.search(cell.source):
            answers += 1
            cell.metadata["nbgrader"] = _grading(f"answer_{answers}", solution=True)
    return changed


def _grading(grade_id: str, grade=False, solution=False, locked=False, **more) -> dict:
    return {"schema_version": 3, "grade_id": grade_id, "grade": grade, "solution": solution, "locked": locked,
            "task": False, **more}  # fmt: skip


def fast(notebook: NotebookNode) -> NotebookNode:
    """Return a copy in which the metadata "fast" replaces a cell's text: fewer steps, smaller pictures."""
    changed = copy.deepcopy(notebook)
    for cell in changed.cells:
        cell.source = cell.metadata.get("fast", cell.source)
    return changed


def _cleaned(notebook: NotebookNode, change) -> NotebookNode:
    clean, seen = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}}), Counter[str]()
    for cell in notebook.cells:
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        text = change(cell.source)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        seen[digest] += 1
        clean.cells.append(new(text, id=f"{digest}-{seen[digest]}"))
    nbformat.validate(clean)
    return clean


def number(source: Path) -> str:
    """Return the number of a lesson, such as 07, or of an appendix, such as 07a."""
    return source.stem.split("_")[0]


def written(notebook: NotebookNode) -> str:
    """Return the text of an .ipynb file."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def target(source: Path) -> Path:
    """Return the path of a source's student copy."""
    return FOLDER / f"{source.stem}.ipynb"


def copy_data(folder: Path) -> None:
    """Copy the files that notebooks read into the folder where they run."""
    for name, source in DATA.items():
        shutil.copyfile(source, folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solutions", type=Path, metavar="DIR", help="write notebooks with solutions to DIR instead")
    parser.add_argument(
        "--nbgrader", type=Path, metavar="DIR", help="write assignments for nbgrader to DIR/source instead"
    )
    arguments = parser.parse_args()
    if arguments.nbgrader:
        write_assignments(arguments.nbgrader / "source")
        return
    folder = arguments.solutions
    for old in FOLDER.glob("[0-9][0-9]*_*.ipynb") if folder is None else ():
        if old not in map(target, SOURCES):
            old.unlink()
    for source in SOURCES:
        notebook = read(source)
        path = target(source) if folder is None else folder / f"{source.stem}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(student(notebook) if folder is None else solved(notebook)), encoding="utf-8")
        print(path)
    copy_data(folder or FOLDER)


def write_assignments(folder: Path, seed: int | None = None) -> None:
    """Write a folder with a notebook for each lesson that has exercises; by default the hidden seed is drawn."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    for source in SOURCES:
        notebook = assignment(read(source), seed)
        if any("nbgrader" in cell.metadata for cell in notebook.cells):
            path = folder / source.stem / f"{source.stem}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(written(notebook), encoding="utf-8")
            copy_data(path.parent)
            print(path)


if __name__ == "__main__":
    main()
