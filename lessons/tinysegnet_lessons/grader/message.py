"""The message about a wrong answer: where it is wrong, the expected number, and the likely mistake."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .compare import equal, wrong_entries
from .examine import Mismatch, examine, names_of, results_of, shapes_of, silent
from .exercise import Exercise
from .guesses import guess_entry_by_entry, guess_shape, guess_values

__all__ = ["message"]


def message(exercise: Exercise, answer: Callable, cases: Sequence[tuple], problem: Mismatch) -> str:
    """Write the message; the last of `cases` failed, and the others passed. The answer's prints are not shown again."""
    lines = [f"{exercise.name}: {problem.sentence}"]
    if cases[-1]:
        lines.append(f"  case    {shapes_of(exercise, cases[-1])}")
    if problem.kind == "value" and problem.expected is not None:
        lines += _first_wrong(exercise.results[problem.at or 0], problem.got, problem.expected)
    with silent():
        hint = (_known_mistake(exercise, cases, problem) or _exchanged(exercise, problem)
                or _guess(exercise, answer, cases[-1], problem))  # fmt: skip
    if hint is None and problem.kind == "overwritten":
        hint = "Work on a copy."
    if hint is not None:
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


def _known_mistake(exercise: Exercise, cases: Sequence[tuple], problem: Mismatch) -> str | None:
    """Return the hint of the listed mistake that passes the same cases as the answer and fails in the same way."""
    for hint, wrong in exercise.mistakes.items():
        try:
            well = all(examine(exercise, wrong, case) is None for case in cases[:-1])
            if well and problem.same_as(examine(exercise, wrong, cases[-1])):
                return hint
        except Exception:  # some mistakes cannot run on every case
            continue
    return None


def _exchanged(exercise: Exercise, problem: Mismatch) -> str | None:
    """Return a hint if two results are right, but each stands in the other's place."""
    for one, other in itertools.combinations(range(len(problem.returned)), 2):
        exchanged = list(problem.returned)
        exchanged[one], exchanged[other] = exchanged[other], exchanged[one]
        if all(_compare(got, right) for got, right in zip(exchanged, problem.right, strict=True)):
            return f"The results {exercise.results[one]} and {exercise.results[other]} are exchanged."
    return None


def _compare(got: Any, right: Any) -> bool:
    if got is None or right is None:
        return got is right
    return np.shape(got) == np.shape(right) and equal(np.asarray(got), np.asarray(right))


def _guess(exercise: Exercise, answer: Callable, case: tuple, problem: Mismatch) -> str | None:
    if not isinstance(problem.expected, np.ndarray):
        return None
    if problem.kind == "shape":
        return guess_shape(problem.got, problem.expected)
    number = problem.expected.ndim == 0
    cut = problem.got.dtype.kind in "iub" and problem.expected.dtype.kind == "f" and not number
    if not cut and (hint := guess_entry_by_entry(_over_all_cases(exercise, answer, problem), number)) is not None:
        return hint
    if number:  # one number is a multiple and a rearrangement of every other
        return None
    arguments = dict(zip(names_of(exercise, case), case, strict=True))

    def result_of(function: Callable) -> Callable[..., np.ndarray | None]:
        def result(**others: Any) -> np.ndarray | None:
            try:
                returned = function(*copy.deepcopy(list((arguments | others).values())))
                return np.asarray(results_of(exercise, returned)[problem.at or 0], float)
            except Exception:  # the arguments do not fit together
                return None

        return result

    wrong = wrong_entries(problem.got, problem.expected)
    return guess_values(
        problem.got, problem.expected, wrong, arguments, result_of(exercise.reference), result_of(answer)
    )


def _over_all_cases(exercise: Exercise, answer: Callable, problem: Mismatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the entries of the wrong result and of the right one in each case that has the right shape."""
    pairs = [(problem.got, problem.expected)]
    for case in exercise.cases():
        try:
            found, right = (np.asarray(results_of(exercise, function(*copy.deepcopy(case)))[problem.at or 0])
                            for function in (answer, exercise.reference))  # fmt: skip
        except Exception:  # the answer fails in this case
            continue
        if found.shape == right.shape and found.dtype.kind in "biuf":
            pairs.append((found, right))
    return [(got.astype(float).ravel(), right.astype(float).ravel()) for got, right in pairs]
