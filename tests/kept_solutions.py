"""The solutions in the lessons' sources as a learner's kept answers."""

import ast
import linecache
import re
from functools import cache

import numpy as np
from lesson_runs import build

from tinysegnet import ops
from tinysegnet_lessons.grader import find_exercise
from tinysegnet_lessons.grader.kept_answers import keep, keep_answers
from tinysegnet_lessons.own_network import OPS

GRADED = re.compile(r"^\w+ = grader\.grade\(\"(\w+)\", (\w+)\)", re.M)


@cache
def solutions():
    """Return the solutions in the lessons' sources by the name of their exercise."""
    found, waiting = {}, {}
    for source in build.SOURCES:
        student = build.student(build.read(source)).cells
        for number, cell in enumerate(build.solved(build.read(source)).cells):
            if cell.cell_type == "code" and cell.source != student[number].source:
                waiting |= _functions(f"<{source.stem}, cell {number} for keeping>", cell.source)
            for name, answer in GRADED.findall(cell.source) if cell.cell_type == "code" else ():
                found[name] = waiting.get(answer)
    return found


def _functions(file, code):
    tree = ast.parse(code)
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file
    names = {"__name__": "__main__", "np": np, "ops": ops}
    exec(compile(tree, file, "exec"), names)
    return {node.name: names[node.name] for node in tree.body}


def kept(folder, names):
    """Keep the lessons' solutions of these ops in a folder, as the grader does."""
    keep_answers(folder)
    for name in names:
        exercise = (*getattr(OPS.get(name), "kept_as", ()), name)[0]
        assert "not kept" not in (keep(find_exercise(exercise), solutions()[exercise], folder) or ""), name
