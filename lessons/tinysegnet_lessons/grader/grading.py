"""Grading of an answer: run it on every case of its exercise, and explain the first case that fails."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinysegnet.errors import TinySegNetError

from .compare import changed, equal, wrong_entries
from .exercise import Exercise, find_exercise
from .guesses import guess_shape, guess_values

__all__ = ["WrongAnswer", "grade"]


class WrongAnswer(TinySegNetError, AssertionError):
    """Error for a wrong answer. The message says where the answer is wrong and suggests why."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows instead of a traceback."""
        return str(self).splitlines()


def grade(exercise: str, answer: Any) -> None:
    """Check an answer, and print one line if it is right.

    An exception that the answer raises is passed on with a note that names the case.

    Args:
        exercise: Name of the exercise.
        answer: Function, or a value if the exercise asks for one.

    Raises:
        WrongAnswer: If the answer is wrong. The message says where it is wrong and which mistake is likely.
        SettingError: If no exercise has that name.
    """
    __tracebackhide__ = True  # a notebook then shows only the learner's own lines
    found = find_exercise(exercise)
    answer = answer if callable(answer) else _constant(answer)
    cases = found.cases()
    for number, case in enumerate(cases):
        try:
            problem = _examine(found, answer, case)
        except NotImplementedError:
            raise
        except Exception as error:
            if case:
                shapes = _shapes(found, case)
                error.add_note(f"{found.name}: this error occurred in case {number + 1} of {len(cases)}: {shapes}")
            raise
        if problem is not None:
            raise WrongAnswer(_message(found, answer, cases[: number + 1], problem))
    print(f"{found.name}: right ({', '.join(found.results)}; {len(cases)} case{'s' * (len(cases) != 1)})")


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_: value


@dataclass
class _Mismatch:
    """A difference from the right answer: its kind, a sentence about it, and the result that is wrong."""

    kind: str
    sentence: str
    at: int | None = None
    got: Any = None
    expected: Any = None

    def same_as(self, other: _Mismatch | None) -> bool:
        """Return whether the other mismatch is the same mistake with the same numbers."""
        if other is None or (self.kind, self.at) != (other.kind, other.at):
            return False
        if isinstance(self.got, np.ndarray):
            return equal(other.got, self.got)
        return type(self.got) is type(other.got) and not changed(self.got, other.got)


def _examine(exercise: Exercise, answer: Callable, case: tuple) -> _Mismatch | None:
    """Return the mismatch in this case, or None. The answer and the reference get copies of the case."""
    __tracebackhide__ = True
    arguments = copy.deepcopy(case)
    with np.errstate(all="ignore"):
        got = answer(*arguments)
        expected = _results(exercise, exercise.reference(*copy.deepcopy(case)))
    for name, before, after in zip(_names(exercise, case), case, arguments, strict=True):
        if changed(before, after):
            return _Mismatch("overwritten", f"it overwrites its argument {name}. Work on a copy", got=after)
    if len(exercise.results) > 1 and not (isinstance(got, (tuple, list)) and len(got) == len(exercise.results)):
        wanted = f"{len(exercise.results)} results ({', '.join(exercise.results)}) are expected"
        what = f"a tuple of {len(got)}" if isinstance(got, tuple) else _kind_of(got)
        return _Mismatch("count", f"it returns {what}, but {wanted}", got=len(got) if isinstance(got, tuple) else got)
    results = tuple(got) if len(exercise.results) > 1 else (got,)
    pairs = enumerate(zip(results, expected, strict=True))
    problems = (_compare(exercise.results[at], at, *pair) for at, pair in pairs)
    return next((problem for problem in problems if problem is not None), None)


def _compare(name: str, at: int, got: Any, expected: Any) -> _Mismatch | None:
    if expected is None:
        return None if got is None else _Mismatch("value", f"{name} must be None", at, np.asarray(got))
    if got is None:
        return _Mismatch("none", f"{name} is None. Is a return statement missing?", at)
    if isinstance(got, (list, tuple)) and isinstance(expected, np.ndarray):
        return _Mismatch("kind", f"{name} is a {type(got).__name__}. Turn it into an array with np.array(...)", at)
    values, expected = _as_array(got), np.asarray(expected)
    if values is None:
        return _Mismatch("kind", f"{name} is of type {type(got).__name__}, not an array or a number", at)
    if values.shape != expected.shape:
        return _Mismatch("shape", f"{name} has the shape {values.shape}, not {expected.shape}", at, values, expected)
    if wrong_entries(values, expected).any():
        return _Mismatch("value", f"{name} is wrong", at, values, expected)
    return None


def _as_array(value: Any) -> np.ndarray | None:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _kind_of(value: Any) -> str:
    return "None" if value is None else f"a single {type(value).__name__}"


def _results(exercise: Exercise, returned: Any) -> tuple:
    return tuple(returned) if len(exercise.results) > 1 else (returned,)


# --- the message ------------------------------------------------------------------------------------------------------


def _message(exercise: Exercise, answer: Callable, cases: Sequence[tuple], problem: _Mismatch) -> str:
    """Write the message; the last of `cases` failed, and the others passed."""
    lines = [f"{exercise.name}: {problem.sentence}"]
    if cases[-1]:
        lines.append(f"  case    {_shapes(exercise, cases[-1])}")
    if problem.kind == "value" and problem.expected is not None:
        lines += _first_wrong(exercise.results[problem.at or 0], problem.got, problem.expected)
    if (hint := _known_mistake(exercise, cases, problem) or _guess(exercise, answer, cases[-1], problem)) is not None:
        lines.append(f"  hint    {hint}")
    return "\n".join(lines)


def _first_wrong(name: str, got: np.ndarray, expected: np.ndarray) -> list[str]:
    wrong = wrong_entries(got, expected)
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    wanted, found = _numbers(expected[index], got[index])
    lines = [f"  first   {place}   expected {wanted}   got {found}"]
    return lines + ([f"  wrong   {int(wrong.sum())} of {wrong.size} entries"] if index else [])


def _numbers(*values: Any) -> list[str]:
    """Return each value as text, with at least six digits and enough of them to tell the values apart."""
    for digits in (6, 9, 17):
        texts = [f"{value:.{digits}g}" if np.asarray(value).dtype.kind == "f" else str(value) for value in values]
        if len(set(texts)) == len(texts):
            break
    return texts


def _names(exercise: Exercise, case: tuple) -> list[str]:
    names = list(inspect.signature(exercise.reference).parameters)[: len(case)]
    return names + [f"argument {k}" for k in range(len(names), len(case))]


def _shapes(exercise: Exercise, case: tuple) -> str:
    return ", ".join(f"{name} {_shape(value)}" for name, value in zip(_names(exercise, case), case, strict=True))


def _shape(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape)
    text = repr(value)
    return text if len(text) <= 40 and "array" not in text else f"a {type(value).__name__}"


def _known_mistake(exercise: Exercise, cases: Sequence[tuple], problem: _Mismatch) -> str | None:
    """Return the hint of the listed mistake that passes the same cases as the answer and fails in the same way."""
    for hint, wrong in exercise.mistakes.items():
        try:
            well = all(_examine(exercise, wrong, case) is None for case in cases[:-1])
            if well and problem.same_as(_examine(exercise, wrong, cases[-1])):
                return hint
        except Exception:  # some mistakes cannot run on every case
            continue
    return None


def _guess(exercise: Exercise, answer: Callable, case: tuple, problem: _Mismatch) -> str | None:
    if not isinstance(problem.expected, np.ndarray):
        return None
    if problem.kind == "shape":
        return guess_shape(problem.got, problem.expected)
    arguments = dict(zip(_names(exercise, case), case, strict=True))

    def result_of(function: Callable) -> Callable[..., np.ndarray | None]:
        def result(**others: Any) -> np.ndarray | None:
            try:
                returned = function(*copy.deepcopy(list((arguments | others).values())))
                return np.asarray(_results(exercise, returned)[problem.at or 0], float)
            except Exception:  # the arguments do not fit together
                return None

        return result

    wrong = wrong_entries(problem.got, problem.expected)
    return guess_values(
        problem.got, problem.expected, wrong, arguments, result_of(exercise.reference), result_of(answer)
    )
