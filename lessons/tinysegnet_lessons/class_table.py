"""A table of a class: how many exercises each student has done.

    python -m tinysegnet_lessons.class_table HANDED_IN/*      a folder (or notebook, or mysegnet.py) per student
    python -m tinysegnet_lessons.class_table --csv FILE ...   also as a file

The exercises are counted from the graders' list, so that a deleted cell counts as not done. Nothing that a notebook
printed is believed: the functions are taken from the code and examined again, with a hidden seed, in a process of its
own for each student, which has limited time and memory, no `tinysegnet_lessons` and no way to change the verdicts of
others. Only imports, functions and simple constants of the code are executed. This keeps accidents away, not attacks:
run it where a student's code can do no harm. "calls tinysegnet" marks answers that use the library, for you to read.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .grader import exercises
from .grader.kept_answers import FILE
from .progress import answers_of_notebooks, lesson_titles

__all__ = ["Student", "main", "student"]

SECONDS, MEGABYTES = 20, 2000  # per exercise; of a student's process


@dataclass
class Student:
    """What a student has done: names of right answers, of those that call the library, and what could not be read."""

    name: str
    right: list[str] = field(default_factory=list)
    calls_library: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def student(path: Path, seconds: int = SECONDS) -> Student:
    """Examine what one student handed in.

    Args:
        path: Folder, notebook, or mysegnet.py.
        seconds: Time for each exercise.
    """
    found = Student(path.stem if path.is_file() else path.name)
    sources: dict[str, str] = {}
    for file in _files(path):
        try:
            sources |= _answers(file)
        except (ValueError, KeyError, TypeError) as error:  # not JSON, not a notebook, not Python
            found.notes.append(f"{file.name}: {error}")
    for name, verdict in _examined(sources, seconds, found.notes):
        if verdict == "right":
            found.right.append(name)
            if _calls_library(sources[name]):
                found.calls_library.append(name)
        elif verdict == "time":
            found.notes.append(f"{name}: takes more than {seconds} s")
    return found


def _files(path: Path) -> list[Path]:
    """Return the notebooks and, last because its answers were right once, mysegnet.py."""
    if path.is_file():
        return [path]
    return [*sorted(path.rglob("[0-9][0-9]*.ipynb")), *sorted(path.rglob(FILE))]


def _answers(file: Path) -> dict[str, str]:
    """Return the source of each answer in a file, with the imports, constants and functions that come before it."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        wanted = {name: exercise for exercise, name in answers_of_notebooks().items()}
        return _by_name("\n".join(_safe_lines(code) for code in codes), wanted)
    found = {}
    for section in text.split("\n# %% ")[1:]:
        head, _, code = section.partition("\n")
        found[head.split(",")[0].strip()] = _safe_lines(code)
    return {name: code for name, code in found.items() if name in exercises() and code}


def _by_name(code: str, wanted: dict[str, str]) -> dict[str, str]:
    """Return the code up to the last definition of each wanted function, by exercise."""
    body = ast.parse(code).body
    last = {node.name: at for at, node in enumerate(body) if isinstance(node, ast.FunctionDef) and node.name in wanted}
    return {wanted[name]: "\n".join(ast.unparse(node) for node in [*body[:at], *body[at + 1 :], body[at]])
            for name, at in last.items()}  # fmt: skip


def _safe_lines(code: str) -> str:
    """Return the imports, functions and simple constants of a cell; magics and all else are dropped."""
    lines = [line for line in code.splitlines() if not line.lstrip().startswith(("%", "!"))]
    try:
        body = ast.parse("\n".join(lines)).body
    except SyntaxError:
        return ""
    return "\n".join(ast.unparse(node) for node in body if _is_safe(node))


def _is_safe(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "tinysegnet_lessons" not in ast.unparse(node)
    if isinstance(node, ast.Assign):
        inside = list(ast.walk(node.value))
        return all(isinstance(part, ast.Constant | ast.Tuple | ast.List | ast.UnaryOp | ast.USub | ast.Load
                              | ast.Attribute | ast.Name | ast.Call) for part in inside) and all(
            ast.unparse(part.func) == "np.array" for part in inside if isinstance(part, ast.Call))  # fmt: skip
    return isinstance(node, ast.FunctionDef)


def _calls_library(source: str) -> bool:
    answer = ast.parse(source).body[-1]
    names = {part.id for part in ast.walk(answer) if isinstance(part, ast.Name)}
    imported = {alias.asname or alias.name.split(".")[0] for node in ast.parse(source).body
                if isinstance(node, ast.Import | ast.ImportFrom) and "tinysegnet" in ast.unparse(node)
                for alias in node.names}  # fmt: skip
    return bool(names & imported) or "tinysegnet" in ast.unparse(answer)


def _examined(sources: dict[str, str], seconds: int, notes: list[str]) -> Iterator[tuple[str, str]]:
    """Examine answers in a new process; after one that takes too long or ends the process, go on with the next."""
    waiting = {name: sources[name] for name in exercises() if name in sources}
    seed = secrets.randbelow(2**31)
    while waiting:
        with tempfile.TemporaryDirectory() as folder:
            work = json.dumps({"sources": waiting, "seed": seed, "seconds": seconds, "megabytes": MEGABYTES})
            limit = 60 + 2 * seconds * len(waiting)
            try:
                done = subprocess.run([sys.executable, "-m", f"{__package__}.class_worker"], input=work, cwd=folder,
                                      capture_output=True, text=True, timeout=limit, check=False)  # fmt: skip
                printed, ended = done.stdout, f"ended with code {done.returncode}"
            except subprocess.TimeoutExpired as expired:
                printed, ended = (expired.stdout or b"").decode(errors="replace"), "took too long"
        verdicts = [line.split()[1:3] for line in printed.splitlines() if line.startswith(f"{seed} ")]
        for name, verdict in verdicts:
            yield name, verdict
            waiting.pop(name, None)
        if waiting:
            name = next(iter(waiting))
            notes.append(f"{name}: the process {ended}")
            waiting.pop(name)


def main() -> None:
    """Print the table of a class."""
    parser = argparse.ArgumentParser(prog="python -m tinysegnet_lessons.class_table",
                                     description="Count the exercises that each student has done.")  # fmt: skip
    parser.add_argument("handed_in", type=Path, nargs="+", help="a folder, notebook or mysegnet.py per student")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the table to this file")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="time for each exercise (default: %(default)s)")
    arguments = parser.parse_args()
    lessons = {number: set(exercises(number)) for number in lesson_titles()}
    head = ["student", *lessons, "all", "calls tinysegnet"]
    total = ["", *(str(len(names)) for names in lessons.values()), str(len(exercises())), ""]
    rows = [head, total]
    for path in arguments.handed_in:
        one = student(path, arguments.seconds)
        counts = [str(len(names & set(one.right))) for names in lessons.values()]
        rows.append([one.name, *counts, str(len(one.right)), " ".join(one.calls_library)])
        print(f"{one.name}: {len(one.right)} of {len(exercises())}", *one.notes, sep="\n    ", file=sys.stderr)
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
