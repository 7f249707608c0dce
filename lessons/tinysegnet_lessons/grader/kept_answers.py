"""The learner's right answers, kept as source in the file mysegnet.py beside the notebooks.

    keep_answers()                     the learner agrees: the file is created
    keep(exercise, function)           called by `grade` for each right answer
    kept_answers()                     the functions by name, for the learner's own network

The file is Python, with one section per answer, which begins with `# %% NAME, kept on DATE`. An answer is only ever
appended. If an exercise has several sections, the last one counts.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import inspect
import linecache
import re
import symtable
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinysegnet.errors import DataError

from .examine import examine, silent
from .exercise import Exercise, exercises

__all__ = ["FILE", "is_kept", "keep", "keep_answers", "kept_answers"]

FILE = "mysegnet.py"
HEAD = '"""My answers to the exercises of the lessons. The grader appends each right answer; the last one counts."""\n'
SECTION = re.compile(r"^# %% (\w+), kept on .*$", re.M)
SMALL = 64  # numbers in an array that is kept
SIMPLE = (bool, int, float, complex, str, bytes, type(None))


class CannotKeep(Exception):
    """Reason why the source of an answer does not stand alone."""


def keep_answers(folder: str | Path = ".") -> None:
    """Agree that right answers are kept: create mysegnet.py in a folder unless it exists. Delete the file to stop.

    Args:
        folder: Folder of the notebooks, by default the current one.
    """
    path = Path(folder) / FILE
    if path.exists():
        print(f"{path} exists already and contains {len(kept_answers(folder))} of your answers.")
    else:
        path.write_text(HEAD, encoding="utf-8")
        print(f"From now on, your right answers are kept in {path}. Delete this file if you no longer want that.")
        print("To see what you have done: python -m tinysegnet_lessons.progress")


def keep(exercise: Exercise, answer: Any, folder: str | Path = ".") -> str | None:
    """Append the source of a right answer to mysegnet.py, if the learner has agreed and it is not there already.

    Returns:
        A sentence about what happened, or None if nothing is to be said.
    """
    path = Path(folder) / FILE
    if not path.exists() or not isinstance(answer, FunctionType) or _is_from(path, answer):
        return None
    try:
        section = _source_that_stands_alone(answer)
        _check(exercise, section)
    except CannotKeep as reason:
        return f"  not kept in {path}: {reason}"
    text = path.read_text(encoding="utf-8")
    if dict(_sections(text)).get(exercise.name, "").strip() == section.strip():
        return None
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if text.endswith(chr(10)) else chr(10)}\n\n# %% {exercise.name}, kept on "
                   f"{datetime.date.today()}\n{section}")  # fmt: skip
    return f"  kept in {path}"


def kept_answers(folder: str | Path = ".") -> dict[str, Callable[..., Any]]:
    """Return the functions kept in mysegnet.py by the name of their exercise, in the order of the lessons.

    Raises:
        DataError: If a section cannot be executed.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    found: dict[str, Callable[..., Any]] = {}
    for match, section in zip(SECTION.finditer(text), _sections(text), strict=True):
        line = text.count("\n", 0, match.end()) + 1  # the section's code begins after this line
        try:
            found[match[1]] = _function("\n" * line + section[1], str(path))
        except Exception as error:
            raise DataError(f"{path}, line {line}: the answer to {match[1]} cannot be executed: {error}") from error
    linecache.checkcache(str(path))
    return {name: found[name] for name in exercises() if name in found}


def is_kept(exercise: str, folder: str | Path = ".") -> bool:
    """Return whether mysegnet.py contains an answer to an exercise."""
    path = Path(folder) / FILE
    return path.exists() and exercise in dict(_sections(path.read_text(encoding="utf-8")))


def _source_that_stands_alone(answer: FunctionType) -> str:
    """Return the source of a function with the imports, constants and functions of the notebook that it uses.

    Raises:
        CannotKeep: If it uses something else of the notebook.
    """
    imports: set[str] = set()
    constants: dict[str, str] = {}
    functions: dict[str, str] = {}
    _collect(answer, imports, constants, functions)
    values = [f"{name} = {value}" for name, value in constants.items()]
    parts = ["\n".join(sorted(imports)), "\n".join(values), *reversed(functions.values())]
    return "\n\n\n".join(filter(None, parts)) + "\n"


def _collect(function: FunctionType, imports: set[str], constants: dict[str, str], functions: dict[str, str]) -> None:
    source = _source(function)
    functions[function.__name__] = source
    for name in _globals(source):
        if name not in function.__globals__:
            if not hasattr(builtins, name):
                raise CannotKeep(f"it uses {name}, which does not exist")
            continue
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            imports.add(f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else ""))
        elif isinstance(value, FunctionType) and value.__module__ in (None, "__main__", function.__module__):
            if name != value.__name__:
                raise CannotKeep(f"it calls {name}, which is another name of {value.__name__}")
            if name not in functions:
                _collect(value, imports, constants, functions)
        elif callable(value) and hasattr(value, "__qualname__") and value.__module__ != "__main__":
            alias = f" as {name}" if value.__qualname__ != name else ""
            imports.add(f"from {value.__module__} import {value.__qualname__}{alias}")
        elif isinstance(value, SIMPLE) or (isinstance(value, tuple) and all(isinstance(v, SIMPLE) for v in value)):
            constants[name] = repr(value)
        elif isinstance(value, np.ndarray) and value.size <= SMALL and value.dtype.kind in "biuf":
            constants[name] = f"np.array({value.tolist()}, np.{value.dtype})"
            imports.add("import numpy as np")
        else:
            raise CannotKeep(f"it uses {name} of the notebook. Define {name} inside the function")


def _source(function: FunctionType) -> str:
    if function.__name__ == "<lambda>":
        raise CannotKeep("it is a lambda. Write it with def")
    if function.__closure__:
        raise CannotKeep(f"{function.__name__} was made inside another function. Define it in a cell of its own")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError as error:
        raise CannotKeep("its source is not available") from error
    tree = ast.parse(source)
    if not (len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef)):
        raise CannotKeep("its source is not a single def")
    return source.rstrip()


def _globals(source: str) -> list[str]:
    """Return the global names that a function's source reads, in alphabetical order."""

    def of(table: symtable.SymbolTable) -> Iterator[str]:
        yield from (
            symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()
        )
        for child in table.get_children():
            yield from of(child)

    table = symtable.symtable(source, "answer", "exec")
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    return sorted({name for child in table.get_children() for name in of(child)} - own)


def _check(exercise: Exercise, section: str) -> None:
    """Refuse a section that is not right when it is executed alone."""
    try:
        with silent():
            function = _function(section, FILE)
            right = all(examine(exercise, function, case) is None for case in exercise.cases())
    except Exception as error:
        raise CannotKeep(f"alone, without the notebook, it raises {type(error).__name__}: {error}") from error
    if not right:
        raise CannotKeep("alone, without the notebook, its answer is wrong")


def _function(section: str, file: str) -> Callable[..., Any]:
    """Execute a section and return its last function."""
    names: dict[str, Any] = {"__name__": FILE.removesuffix(".py"), "np": np}
    last = next(node for node in reversed(ast.parse(section).body) if isinstance(node, ast.FunctionDef))
    exec(compile(section, file, "exec"), names)
    return names[last.name]


def _sections(text: str) -> list[tuple[str, str]]:
    """Return the name and the code of each section."""
    _, *parts = SECTION.split(text)
    return list(zip(parts[::2], (part.removeprefix("\n") for part in parts[1::2]), strict=True))


def _is_from(path: Path, answer: FunctionType) -> bool:
    """Return whether a function was read from the file itself."""
    return Path(answer.__code__.co_filename).absolute() == path.absolute()
