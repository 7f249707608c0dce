"""Definitions of exercises, challenges and predictions, and the search for those of all lessons."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from tinysegnet.errors import SettingError

__all__ = ["TIERS", "Challenge", "Exercise", "Prediction", "exercises", "find_exercise", "find_prediction", "generator",
           "hidden_seed", "predictions"]  # fmt: skip

TIERS = ("warm-up", "core", "challenge")


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
        tier: "warm-up", "core" or "challenge".
        dtypes: For each result that must be an array of a certain dtype, the dtype.
        after: Function that takes the arguments after the call, and returns a sentence if the answer left them wrong.
            Only arrays among the arguments are compared with those before the call.
    """

    name: str
    results: tuple[str, ...]
    reference: Callable[..., Any]
    cases: Callable[[], Sequence[tuple]]
    mistakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    tier: str = "core"
    dtypes: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    after: Callable[..., str | None] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Challenge(Exercise):
    """An open exercise whose result is measured, such as a faster pooling.

    Attributes:
        measure: Function that takes the learner's answer, which has passed every case, and returns a number.
        unit: Words that follow the number, such as "times as fast as the lesson's loops".
        goal: Number to reach.
        lower_is_better: Whether the challenge is to stay at or below the goal.
        timed: Whether the measure is a time or a ratio of times, which differs from run to run.
    """

    tier: str = "challenge"
    measure: Callable[[Any], float] = field(kw_only=True)
    unit: str = field(kw_only=True)
    goal: float = field(kw_only=True)
    lower_is_better: bool = field(default=False, kw_only=True)
    timed: bool = field(default=False, kw_only=True)

    def reached(self, value: float) -> bool:
        """Return whether a measured value reaches the goal."""
        return value <= self.goal if self.lower_is_better else value >= self.goal


@dataclass(frozen=True)
class Prediction:
    """A question that a learner answers before the lesson shows what happens.

    Attributes:
        answer: The right number, or the letter of the right choice.
        why: One sentence that explains the answer.
        tolerance: Largest relative difference from a number that still counts as right.
    """

    answer: float | str
    why: str
    tolerance: float = 1e-6


# --- random numbers of the cases --------------------------------------------------------------------------------------

_hidden: ContextVar[int | None] = ContextVar("hidden seed", default=None)


def generator(k: int) -> np.random.Generator:
    """Return the random generator for the cases of an exercise; `hidden_seed` replaces its numbers."""
    seed = _hidden.get()
    return np.random.default_rng(k if seed is None else [seed, k])


@contextmanager
def hidden_seed(seed: int | None) -> Iterator[None]:
    """Draw the cases from another seed, for example from one that students do not know; None changes nothing."""
    token = _hidden.set(seed)
    try:
        yield
    finally:
        _hidden.reset(token)


# --- search -----------------------------------------------------------------------------------------------------------


@cache
def exercises(lesson: str = r"\d\d") -> dict[str, Exercise]:
    """Return a dictionary of all exercises by name, in the order of the lessons.

    Args:
        lesson: Number of one lesson in two digits, such as "01". By default, all lessons are searched.

    Raises:
        ValueError: If two exercises have the same name.
    """
    found: dict[str, Exercise] = {}
    for module in _modules(lesson):
        for exercise in module.EXERCISES:
            if exercise.name in found:
                raise ValueError(f"{module.__name__}: an exercise named {exercise.name} already exists")
            found[exercise.name] = exercise
    return found


@cache
def predictions(lesson: str = r"\d\d") -> dict[str, Prediction]:
    """Return a dictionary of all predictions by name, as `exercises` does."""
    found: dict[str, Prediction] = {}
    for module in _modules(lesson):
        asked = getattr(module, "PREDICTIONS", {})
        if both := found.keys() & asked:
            raise ValueError(f"{module.__name__}: predictions named {', '.join(both)} already exist")
        found |= asked
    return found


def _modules(lesson: str) -> Iterator[Any]:
    for module in sorted(module.name for module in pkgutil.iter_modules(import_module(__package__).__path__)):
        if re.fullmatch(f"lesson{lesson}", module):
            yield import_module(f".{module}", __package__)


def find_exercise(name: str) -> Exercise:
    """Return the exercise with the given name.

    Raises:
        SettingError: If no exercise has that name.
    """
    return _find(name, exercises(), "exercise")


def find_prediction(name: str) -> Prediction:
    """Return the prediction with the given name.

    Raises:
        SettingError: If no prediction has that name.
    """
    return _find(name, predictions(), "prediction")


def _find(name: str, known: Mapping[str, Any], kind: str) -> Any:
    if name not in known:
        close = get_close_matches(name, known, 1)
        advice = f"Did you mean {close[0]}?" if close else f"Choose one of {', '.join(known)}."
        raise SettingError(f"no {kind} is named {name!r}. {advice}")
    return known[name]
