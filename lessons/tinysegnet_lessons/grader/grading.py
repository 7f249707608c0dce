"""Grading of an answer: run it on every case of its exercise, and explain the first case that fails."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

import tinysegnet
from tinysegnet.errors import TinySegNetError

from .examine import examine, shapes_of, silent
from .exercise import Challenge, Exercise, find_exercise, find_prediction, hidden_seed
from .kept_answers import FILE, is_kept, keep
from .message import message

__all__ = ["StandIn", "WrongAnswer", "grade", "predict"]

CHOICES = tuple("abcd")
_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), str(Path(tinysegnet.__file__).parent),
              str(Path(__file__).parents[1]))  # fmt: skip


class WrongAnswer(TinySegNetError, AssertionError):
    """Error for a wrong answer. The message says where the answer is wrong and suggests why."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows instead of a traceback."""
        return str(self).splitlines()


class StandIn:
    """The right answer to an exercise, in place of a function that the learner has not written yet."""

    def __init__(self, exercise: Exercise) -> None:
        self.exercise = exercise.name
        self.__wrapped__ = exercise.reference

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Return the right results, silently where numbers are divided by 0 on purpose, as in the grader."""
        with np.errstate(all="ignore"):
            return self.__wrapped__(*arguments, **keywords)


def grade(exercise: str, answer: Any, *, seed: int | None = None, required: bool = False) -> Any:
    """Check an answer, print the verdict, and return the function with which the lesson continues.

    An answer that is not written yet, which raises NotImplementedError or is `...`, is replaced by the right one. A
    right answer is also kept if the learner has agreed to that (see `keep_answers`).

    Args:
        exercise: Name of the exercise.
        answer: Function, or a value if the exercise asks for one.
        seed: Seed for the random numbers of the cases. By default they are the same each time.
        required: Whether an answer that is not written yet counts as wrong.

    Returns:
        The answer, or a `StandIn` for it.

    Raises:
        WrongAnswer: If the answer is wrong. The message says where it is wrong and which mistake is likely.
        SettingError: If no exercise has that name.
    """
    __tracebackhide__ = True  # a notebook then shows only the learner's own lines
    found = find_exercise(exercise)
    with hidden_seed(seed):
        verdict = _verdict(found, answer)
    if verdict is None:
        if required:
            raise WrongAnswer(f"{found.name}: not written yet")
        if isinstance(answer, StandIn):
            print(f"{found.name}: not written yet. If you have written it, run the cell with your function first.")
        else:
            own = f" (Your earlier answer is in {FILE}.)" if is_kept(found.name) else ""
            print(f"{found.name}: not written yet. The lesson continues with the right answer.{own}")
        return answer if isinstance(answer, StandIn) else _stand_in(found)
    print(f"{found.name}: {verdict.words}")
    if verdict.counts and (note := keep(found, answer)):
        print(note)
    return answer


def predict(question: str, answer: Any) -> None:
    """Compare a prediction with what will happen, and print the result. Nothing is raised for a wrong prediction.

    Args:
        question: Name of the question.
        answer: Number or letter, or `...` for no prediction.

    Raises:
        SettingError: If no question has that name.
    """
    right = find_prediction(question)
    if answer is ...:
        print("No prediction yet. Replace the dots, and then read on.")
        return
    if isinstance(right.answer, str):
        letter = str(answer).strip(" ().").lower()
        if letter not in CHOICES:
            print(f'Choose one of the letters, such as "a". Your prediction was {answer!r}.')
            return
        as_predicted = letter == right.answer
    else:
        try:
            as_predicted = abs(float(answer) - right.answer) <= right.tolerance * abs(right.answer)
        except (TypeError, ValueError):
            as_predicted = False
    shown = right.answer if isinstance(right.answer, str) else f"{right.answer:.6g}"
    print(f"{'As you predicted: ' if as_predicted else f'You predicted {answer}. The answer is '}{shown}. {right.why}")


class _Verdict(NamedTuple):
    """The words about a right answer, and whether it counts: in a challenge, only if it reaches the goal."""

    words: str
    counts: bool = True


def _verdict(found: Exercise, answer: Any) -> _Verdict | None:
    """Return the verdict on a right answer, or None for an answer that is not written yet."""
    __tracebackhide__ = True
    if answer is ... or isinstance(answer, StandIn):
        return None
    function = answer if callable(answer) else lambda *_: answer
    cases = found.cases()
    try:
        for number in range(1, len(cases) + 1):
            _check_case(found, function, cases[:number], len(cases))
        value = found.measure(answer) if isinstance(found, Challenge) else None
    except NotImplementedError:
        return None
    if isinstance(found, Challenge) and value is not None:
        goal = f"{'at most' if found.lower_is_better else 'at least'} {found.goal:g}"
        measured = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
        reached = found.reached(value)
        end = "reached" if reached else "not reached yet"
        return _Verdict(f"{measured} {found.unit} (goal: {goal}, {end})", reached)
    return _Verdict(f"right ({', '.join(found.results)}; {len(cases)} case{'s' * (len(cases) != 1)})")


def _check_case(found: Exercise, answer: Callable, cases: Sequence[tuple], total: int) -> None:
    """Check the last of `cases`; show what the answer prints in the first case and in the case that fails."""
    __tracebackhide__ = True
    printed = None
    try:
        if len(cases) == 1:
            problem = examine(found, answer, cases[-1])
        else:
            with silent() as printed:
                problem = examine(found, answer, cases[-1])
    except NotImplementedError as error:
        if len(cases) == 1:
            raise
        raise WrongAnswer(f"{found.name}: not written for case {len(cases)}: {shapes_of(found, cases[-1])}") from error
    except RecursionError as error:
        line = next((line for line in traceback.extract_tb(error.__traceback__) if _is_learners(line.filename)), None)
        place = f" in line {line.lineno}: {line.line}" if line else ""
        raise WrongAnswer(f"{found.name}: your function calls itself without end{place}") from None
    except Exception as error:
        if cases[-1]:
            shapes = shapes_of(found, cases[-1])
            error.add_note(f"{found.name}: this error occurred in case {len(cases)} of {total}: {shapes}")
        raise error.with_traceback(_learners_part(error.__traceback__)) from None
    if problem is not None:
        if printed:
            print(printed.getvalue(), end="")
        raise WrongAnswer(message(found, answer, cases, problem))


def _is_learners(file: str) -> bool:
    return not file.startswith(_LIBRARIES)


def _learners_part(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback from the learner's first line to the last, or all of it if there is none."""
    entries = []
    entry = trace
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    own = [number for number, entry in enumerate(entries) if _is_learners(entry.tb_frame.f_code.co_filename)]
    shown = None
    for entry in reversed(entries[own[0] : own[-1] + 1] if own else []):
        shown = TracebackType(shown, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shown or trace


def _stand_in(found: Exercise) -> Any:
    value_alone = found.tier != "challenge" and list(found.cases()) == [()]
    return found.reference() if value_alone else StandIn(found)
