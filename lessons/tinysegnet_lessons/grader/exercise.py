"""What an exercise is, and how the files of the lessons are found."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

from tinysegnet.errors import SettingError

__all__ = ["Exercise", "exercises", "find_exercise"]


@dataclass(frozen=True)
class Exercise:
    """One question with its right answer.

    Attributes:
        name: Unique over all lessons.
        results: Names of what the answer returns, in order. With one name the answer returns that array (or number)
            itself, with several a tuple.
        reference: The right answer, with the signature of the learner's function.
        cases: Returns argument tuples, the simplest first: the first that fails is the one reported. To ask for a
            value instead of a function, let the only case be the empty tuple.
        mistakes: What people get wrong: the hint that names a mistake, and a function that makes it.
    """

    name: str
    results: tuple[str, ...]
    reference: Callable[..., Any]
    cases: Callable[[], Sequence[tuple]]
    mistakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@cache
def exercises(lesson: str = r"\d\d") -> dict[str, Exercise]:
    """Every exercise by name, in the order of the lessons.

    Args:
        lesson: The two digits of one lesson, such as "01"; all lessons by default.

    Raises:
        ValueError: If two exercises have one name.
    """
    found: dict[str, Exercise] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(import_module(__package__).__path__)):
        if re.fullmatch(f"lesson{lesson}", module):
            for exercise in import_module(f".{module}", __package__).EXERCISES:
                if exercise.name in found:
                    raise ValueError(f"{module}: the exercise {exercise.name} exists already")
                found[exercise.name] = exercise
    return found


def find_exercise(name: str) -> Exercise:
    """The exercise of that name.

    Raises:
        SettingError: For an unknown name.
    """
    known = exercises()
    if name not in known:
        close = get_close_matches(name, known, 1)
        raise SettingError(f"no exercise {name!r} (expected one of {', '.join(known)})"
                           + (f": did you mean {close[0]}?" if close else ""))  # fmt: skip
    return known[name]
