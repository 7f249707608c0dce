"""The house rules that a machine can check: floors, sizes of files, what the text may mention."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinysegnet"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Imports go down only: a room may use those on lower floors, and its neighbours on its own.
FLOORS = [
    {"errors", "backend", "files", "settings"},
    {"weightfiles"},
    {"ops"},
    {"layers", "gradcheck", "metrics"},
    {"models", "optim", "data"},
    {"checks"},
    {"predict", "recipes", "statistics"},
    {"checkpoint", "viz", "report"},
    {"pretrained", "encoders"},
    {"runs", "signals"},
    {"train", "walk"},
    {"bench"},
    {"commands"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    """The rooms of tinysegnet that a file imports, wherever in the file the import stands."""
    package = ("tinysegnet", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            targets = [base] if len(base) > 1 else [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from (target[1] for target in targets if target[0] == "tinysegnet" and len(target) > 1)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in FLOOR, f"{room} has no floor yet: give it one in this test"
    for other in imported_rooms(path):
        assert FLOOR[other] <= FLOOR[room], f"{path.name} on floor {FLOOR[room]} imports {other} on {FLOOR[other]}"


def test_the_floor_test_can_fail():
    assert list(imported_rooms(PACKAGE / "cli.py"))
    assert FLOOR["cli"] > FLOOR["ops"]


def test_neighbours_do_not_import_each_other_in_a_circle():
    arrows = {}
    for path in SOURCES:
        arrows.setdefault(room_of(path), set()).update(room for room in imported_rooms(path) if room != room_of(path))

    def reaches(start, goal, seen):
        return any(
            room == goal or (room not in seen and reaches(room, goal, seen | {room})) for room in arrows.get(start, ())
        )

    assert not [room for room in FLOOR if reaches(room, room, {room})]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_too_long_to_read(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_are_as_readable(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith("// ")


def test_no_pickle_no_eval():
    for path in SOURCES:
        calls = {node.func.id for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert not calls & {"eval", "exec"}, path
        assert not re.search(r"^\s*(import|from) pickle\b", path.read_text(), re.M), path


def test_scipy_is_imported_where_it_is_used():
    """At the head of a file it would slow every start of the program, which seldom needs it."""
    for path in SOURCES:
        head = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not any("scipy" in ast.unparse(node) for node in head), path


def test_every_public_name_has_a_docstring():
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
