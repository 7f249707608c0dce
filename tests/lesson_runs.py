"""What test_lessons.py needs to read and run the lessons: cells with their lines, a kernel, what a cell assigns."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
GRADE = re.compile(r"grader\.grade\(\s*\"(\w+)\"")


def load_build():
    """lessons/build.py, which belongs to no package."""
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
    def graded(self) -> list[str]:
        return GRADE.findall(self.text) if self.code else []


def cells(source: Path) -> list[Cell]:
    """The cells of a source, each with the line of its first text."""
    heads = [number for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1)
             if line.startswith("# %%")]  # fmt: skip
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


def _environment(folder: Path) -> dict[str, str]:
    """A learner's, but with a folder of its own for IPython (two kernels that start at once quarrel about its history),
    and where tests run side by side, with one thread each: four on two cores take three times as long.
    """
    threads = str(1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, os.cpu_count() or 1))
    path = filter(None, [str(ROOT), str(ROOT / "lessons"), os.environ.get("PYTHONPATH")])
    return {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": os.pathsep.join(path),
            "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}  # fmt: skip


def run(notebook: nbformat.NotebookNode, folder: Path, *, go_on: bool = False) -> tuple[list[Failure], float]:
    """Run all cells in a kernel of their own, to the first error or, with go_on, to the end. -> failures, seconds

    folder: where the kernel works; what lessons read is copied there, as `tinysegnet lessons` does.
    """
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


def assigned(code: str) -> dict[str, int]:
    """Every name that code binds, wherever, imports excepted -> the line."""
    found = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = node.lineno
    return found


def unexcused(failures: list[Failure], notebook: nbformat.NotebookNode) -> list[Failure]:
    """Those that are neither NotImplementedError nor a name that a cell would have bound, had it not failed for one."""
    missing: set[str] = set()
    bad = []
    for failure in failures:
        name = re.search(r"name '(\w+)' is not defined", failure.message)
        if failure.name == "NotImplementedError" or (failure.name == "NameError" and name and name[1] in missing):
            missing |= set(assigned(notebook.cells[failure.number].source))
        else:
            bad.append(failure)
    return bad
