"""Definition of an exercise, and the search for the exercises of all lessons."""

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
    """An exercise with its right answer.

    Attributes:
        name: Name of the exercise, unique over all lessons.
        results: Names of the results, in order. An answer with one result returns that array (or number) itself, and
            an answer with several results returns a tuple.
        reference: Right answer, with the signature of the learner's function.
        cases: Function that returns argument tuples, the simplest first. Only the first failure is reported. For an
            exercise that asks for a value instead of a function, the only case is the empty tuple.
        mistakes: Common mistakes: for each hint, a function that makes the mistake.
    """

    name: str
    results: tuple[str, ...]
    reference: Callable[..., Any]
    cases: Callable[[], Sequence[tuple]]
    mistakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@cache
def exercises(lesson: str = r"\d\d") -> dict[str, Exercise]:
    """Return a dictionary of all exercises by name, in the order of the lessons.

    Args:
        lesson: Number of one lesson in two digits, such as "01". By default, all lessons are searched.

    Raises:
        ValueError: If two exercises have the same name.
    """
    found: dict[str, Exercise] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(import_module(__package__).__path__)):
        if re.fullmatch(f"lesson{lesson}", module):
            for exercise in import_module(f".{module}", __package__).EXERCISES:
                if exercise.name in found:
                    raise ValueError(f"{module}: an exercise named {exercise.name} already exists")
                found[exercise.name] = exercise
    return found


def find_exercise(name: str) -> Exercise:
    """Return the exercise with the given name.

    Raises:
        SettingError: If no exercise has that name.
    """
    known = exercises()
    if name not in known:
        close = get_close_matches(name, known, 1)
        advice = f"Did you mean {close[0]}?" if close else f"Choose one of {', '.join(known)}."
        raise SettingError(f"no exercise is named {name!r}. {advice}")
    return known[name]
