"""Read and run the lessons, in Jupyter kernels or, faster, in one process; find the names that a cell assigns."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import json
import linecache
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import nbformat

if __name__ == "__main__":
    sys.modules["numba"] = None  # in a quick run, importing numba fails

ROOT = Path(__file__).parents[1]
PREDICT = re.compile(r"grader\.predict\(\s*\"(\w+)\"")
GRADE = re.compile(r"grader\.grade\(\s*\"(\w+)\"")


def load_build():
    """Import lessons/build.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("lessons_build", ROOT / "lessons" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()


@dataclass
class Cell:
    """A cell of a lesson's source: its text, kind and first line in the file."""

    lesson: str
    number: int
    line: int
    text: str
    code: bool

    @property
    def place(self) -> str:
        return f"lessons/src/{self.lesson}.py:{self.line} (cell {self.number})"

    @property
    def solution(self) -> bool:
        return "### BEGIN SOLUTION" in self.text

    @property
    def asked(self) -> list[str]:
        return PREDICT.findall(self.text) if self.code else []

    @property
    def graded(self) -> list[str]:
        return GRADE.findall(self.text) if self.code else []


def cells(source: Path) -> list[Cell]:
    """Return the cells of a source, each with the line where its text begins."""
    return _cells(source, source.read_text(encoding="utf-8"))


@cache
def _cells(source: Path, text: str) -> list[Cell]:
    heads = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("# %%")]
    found = build.read(source).cells
    assert len(heads) == len(found), f"{source.name}: {len(heads)} lines with # %%, but {len(found)} cells"
    return [Cell(source.stem, number, line + 1, cell.source, cell.cell_type == "code")
            for number, (line, cell) in enumerate(zip(heads, found, strict=True))]  # fmt: skip


@dataclass
class Failure:
    """A cell that raised: the exception's name and message, and what the notebook shows."""

    number: int
    name: str
    message: str
    shown: str


# --- in a kernel ------------------------------------------------------------------------------------------------------


def _environment(folder: Path, **more: str) -> dict[str, str]:
    """Return a learner's environment with its own IPython folder, because two kernels must not share a history file.

    Tests that run side by side get one thread each: four threads on two cores take three times as long.
    """
    threads = str(1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1))
    path = filter(None, [str(ROOT), str(ROOT / "lessons"), os.environ.get("PYTHONPATH")])
    return {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": os.pathsep.join(path),
            "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, **more}  # fmt: skip


def run(notebook: nbformat.NotebookNode, folder: Path, *, go_on: bool = False) -> tuple[list[Failure], float]:
    """Run all cells in a new kernel, up to the first error or, with go_on, to the end; return failures and seconds.

    folder: where the kernel works; the lessons' data is copied there, as `tinysegnet lessons` does.
    """
    from nbclient import NotebookClient  # slow to import, and the short form runs no kernels

    build.copy_data(folder)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True, record_timing=False,
                            resources={"metadata": {"path": str(folder)}})  # fmt: skip
    began, failures = time.perf_counter(), []
    with client.setup_kernel(env=_environment(folder), cwd=str(folder)):
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
            for output in cell.get("outputs", ()):
                if output.output_type == "error":
                    shown = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))
                    failures.append(Failure(number, output.ename, output.evalue, shown))
            if failures and not go_on:
                break
    return failures, time.perf_counter() - began


# --- quickly: without a kernel, all lessons in one process ------------------------------------------------------------


@dataclass
class QuickRun:
    """A solved lesson's first failure or None, and what its exercises' checks say, with the solutions and without.

    Keys are the numbers of the cells that grade.
    """

    failure: Failure | None
    solved: dict[int, str]
    unsolved: dict[int, str | Failure]
    seconds: float


def run_quickly(sources: list[Path]) -> dict[str, QuickRun]:
    """Run solved lessons in the fast mode, in one new process, as on a computer without numba."""
    with tempfile.TemporaryDirectory() as name:
        environment = _environment(Path(name), TINYSEGNET_BACKEND="numpy", OPENBLAS_NUM_THREADS="1", MPLBACKEND="agg")
        build.copy_data(Path(name))
        done = subprocess.run([sys.executable, __file__, *map(str, sources)], cwd=name, env=environment, text=True,
                              capture_output=True, timeout=580, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = {}
    for stem, found in json.loads(done.stdout).items():
        unsolved = {int(cell): said if isinstance(said, str) else Failure(**said)
                    for cell, said in found["unsolved"].items()}  # fmt: skip
        solved = {int(cell): said for cell, said in found["solved"].items()}
        runs[stem] = QuickRun(found["failure"] and Failure(**found["failure"]), solved, unsolved, found["seconds"])
    return runs


def run_here(source: Path) -> QuickRun:
    """Run a solved lesson in this process. Before each check, run the check without the solution, too."""
    notebook = build.fast(build.read(source))
    solved, student = build.solved(notebook).cells, build.student(notebook).cells
    names, waiting, says, unsolved = {"__name__": "__main__"}, [], {}, {}
    began = time.process_time()
    for number, cell in enumerate(solved):
        if cell.cell_type != "code":
            continue
        if cell.source != student[number].source:
            waiting.append(number)
        graded = GRADE.search(cell.source)
        if graded:
            unsolved[number] = _without(student, [*waiting, number], names)
            waiting = []
        failure, said = _execute(source, number, cell.source, names)
        if failure:
            return QuickRun(failure, says, unsolved, time.process_time() - began)
        if graded:
            says[number] = said
    return QuickRun(None, says, unsolved, time.process_time() - began)


def _without(student, numbers: list[int], names: dict) -> str | Failure:
    """Run these cells of the student's copy; return what they print, or the first failure."""
    names = dict(names)
    said = ""
    for number in numbers:
        failure, printed = _execute(Path("student"), number, student[number].source, names)
        if failure:
            return failure
        said += printed
    return said


def _execute(source: Path, number: int, code: str, names: dict) -> tuple[Failure | None, str]:
    """Execute a cell as a notebook would, but draw nothing: only the text of the last expression is made.

    Returns:
        The failure or None, and what the cell printed.
    """
    file = f"<{source.stem}, cell {number}>"
    linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(compile(tree, file, "exec"), names)
            if last:
                str(eval(compile(ast.Expression(last.value), file, "eval"), names))
        except (Exception, SystemExit) as error:
            return Failure(number, type(error).__name__, str(error), traceback.format_exc()), printed.getvalue()
    return None, printed.getvalue()


# --- what a cell assigns ----------------------------------------------------------------------------------------------


def assigned(code: str) -> dict[str, int]:
    """Return every name that code binds at any depth, imports excepted, with its line."""
    found = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = node.lineno
    return found


if __name__ == "__main__":
    import matplotlib.pyplot  # noqa: F401  imported once, before the first lesson is timed

    from tinysegnet_lessons.grader import keep_answers

    with contextlib.redirect_stdout(io.StringIO()):
        keep_answers()
    results = {path.stem: asdict(run_here(path)) for path in map(Path, sys.argv[1:])}
    print(json.dumps(results))
