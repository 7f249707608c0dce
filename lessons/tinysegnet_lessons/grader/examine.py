"""Examination of one case: run the answer on copies of the arguments and compare its results with the right ones."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .compare import changed, equal, wrong_entries
from .exercise import Exercise

__all__ = ["Mismatch", "examine", "names_of", "results_of", "shapes_of", "silent"]


@dataclass
class Mismatch:
    """A difference from the right answer: its kind, a sentence about it, and the result that is wrong.

    `returned` contains all results, and `right` all that were expected.
    """

    kind: str
    sentence: str
    at: int | None = None
    got: Any = None
    expected: Any = None
    returned: tuple = ()
    right: tuple = ()

    def same_as(self, other: Mismatch | None) -> bool:
        """Return whether the other mismatch is the same mistake with the same numbers."""
        if other is None or (self.kind, self.at) != (other.kind, other.at):
            return False
        if isinstance(self.got, np.ndarray):
            return equal(other.got, self.got)
        return type(self.got) is type(other.got) and not changed(self.got, other.got)


def examine(exercise: Exercise, answer: Callable, case: tuple) -> Mismatch | None:
    """Return the mismatch in this case, or None. The answer and the reference get copies of the case."""
    __tracebackhide__ = True
    if (refused := _call_refused(exercise, answer, case)) is not None:
        return refused
    arguments = copy.deepcopy(case)
    with np.errstate(all="ignore"):
        got = answer(*arguments)
        expected = results_of(exercise, exercise.reference(*copy.deepcopy(case)))
    for name, before, after in zip(names_of(exercise, case), case, arguments, strict=True):
        if changed(before, after):
            return Mismatch("overwritten", f"it changes its argument {name}", got=after)
    if len(expected) > 1 and not _has_results(got, expected):
        wanted = f"{len(exercise.results)} results ({', '.join(exercise.results)}) are expected"
        what = f"a tuple of {len(got)}" if isinstance(got, tuple) else _kind_of(got)
        return Mismatch("count", f"it returns {what}, but {wanted}", got=len(got) if isinstance(got, tuple) else got)
    returned = results_of(exercise, got)
    for at, pair in enumerate(zip(returned, expected, strict=True)):
        problem = _compare(exercise.results[at], at, *pair) or _wrong_dtype(exercise, at, pair[0])
        if problem is not None:
            problem.returned, problem.right = returned, expected
            return problem
    if exercise.after is not None and (sentence := exercise.after(*arguments)):
        return Mismatch("left", sentence)
    return None


def _has_results(got: Any, expected: tuple) -> bool:
    """Return whether `got` contains as many results as expected: a tuple, a list, or an array with a row for each."""
    if isinstance(got, np.ndarray):
        return got.ndim > 0 and len(got) == len(expected) and got.shape[1:] == np.shape(expected[0])
    return isinstance(got, (tuple, list)) and len(got) == len(expected)


def _call_refused(exercise: Exercise, answer: Callable, case: tuple) -> Mismatch | None:
    """Return a mismatch if the answer cannot be called with the case's arguments."""
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # a function of C has none
        return None
    try:
        signature.bind(*case)
    except TypeError:
        given = ", ".join(names_of(exercise, case))
        takes = f"your function takes {signature}, but the exercise calls it with ({given})"
        return Mismatch("call", takes, got=str(signature))
    return None


def _compare(name: str, at: int, got: Any, expected: Any) -> Mismatch | None:
    if expected is None:
        return None if got is None else Mismatch("value", f"{name} must be None", at, np.asarray(got))
    if got is None:
        return Mismatch("none", f"{name} is None. Is a return statement missing?", at)
    values, expected = _as_array(got), np.asarray(expected)
    if values is None:
        return Mismatch("kind", f"{name} is of type {type(got).__name__}, not an array or a number", at)
    if values.shape != expected.shape:
        return Mismatch("shape", f"{name} has the shape {values.shape}, not {expected.shape}", at, values, expected)
    if wrong_entries(values, expected).any():
        return Mismatch("value", f"{name} is wrong", at, values, expected)
    return None


def _wrong_dtype(exercise: Exercise, at: int, got: Any) -> Mismatch | None:
    name = exercise.results[at]
    wanted = exercise.dtypes.get(name)
    if wanted is None or not isinstance(got, np.ndarray) or got.dtype == wanted:
        return None
    return Mismatch("dtype", f"{name} has the dtype {got.dtype}, not {wanted}. Its numbers are right", at, got)


def _as_array(value: Any) -> np.ndarray | None:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _kind_of(value: Any) -> str:
    return "None" if value is None else f"a single {type(value).__name__}"


def results_of(exercise: Exercise, returned: Any) -> tuple:
    return tuple(returned) if len(exercise.results) > 1 else (returned,)


def names_of(exercise: Exercise, case: tuple) -> list[str]:
    names = list(inspect.signature(exercise.reference).parameters)[: len(case)]
    return names + [f"argument {k}" for k in range(len(names), len(case))]


def shapes_of(exercise: Exercise, case: tuple) -> str:
    return ", ".join(f"{name} {_shape(value)}" for name, value in zip(names_of(exercise, case), case, strict=True))


def _shape(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape)
    text = repr(value)
    return text if len(text) <= 40 and "array" not in text else f"a {type(value).__name__}"


@contextlib.contextmanager
def silent():
    """Collect what is printed inside the block instead of showing it, and show no warnings."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield printed
