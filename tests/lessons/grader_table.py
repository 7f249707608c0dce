"""What the grader accepts, refuses and names: `python tests/lessons/grader_table.py` prints one row per exercise.

Each right answer is written in three styles, which must be accepted, and spoiled in at least 24 mechanical ways, which
must be refused. A refusal names the corruption if its hint contains the corruption's words or is the hint of a listed
mistake with the same results.
"""

from __future__ import annotations

import contextlib
import copy
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tinysegnet_lessons.grader import Exercise, WrongAnswer, exercises, grade
from tinysegnet_lessons.grader.compare import wrong_entries

# --- styles -----------------------------------------------------------------------------------------------------------


def _as_lists(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _as_float32(value):
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == float else value


def _other_container(value):
    return np.asarray(value)


STYLES: dict[str, Callable] = {"lists": _as_lists, "float32": _as_float32, "arrays": _other_container}


def in_style(exercise: Exercise, style: Callable) -> Callable:
    """Return the right answer with each result in this style, and several results in a list."""

    def answer(*arguments):
        results = exercise.reference(*arguments)
        return [*map(style, results)] if len(exercise.results) > 1 else style(results)

    answer.__wrapped__ = exercise.reference  # with the same signature
    return answer


# --- corruptions ------------------------------------------------------------------------------------------------------


def _axis(array, axis=-1):
    """Return an axis with at least two entries, or none."""
    axes = [axis % array.ndim] if array.ndim else []
    return axes[0] if axes and array.shape[axes[0]] > 1 else None


def _along(axis, change):
    """Change an array along an axis, unless it is too short for that."""
    return lambda a: a if a.ndim == 0 or _axis(a, axis) is None else change(a, _axis(a, axis))


def _put(index, value):
    def change(a):
        a = np.array(a, float)
        a.flat[index] = value
        return a

    return change


def _swap_last(a):
    return a.swapaxes(-1, -2) if a.ndim > 1 else a


def _first_sample(a):
    return np.broadcast_to(a[:1], a.shape).copy() if a.ndim > 1 else a


def _without_sample(at):
    def change(a):
        a = np.array(a)
        if a.ndim:
            a[at] = 0
        return a

    return change


def _channel(a):
    a = np.array(a, float)
    if a.ndim > 1:
        a[..., 0] *= 3
    return a


# name: (change of one result, words that the hint must contain)
CORRUPTIONS: dict[str, tuple[Callable, str]] = {
    "sign": (np.negative, r"sign|-1 x|minus|negative|true values|right result is 0"),
    "doubled": (lambda a: 2 * a, r"0\.5 x|divide|half|twice"),
    "halved": (lambda a: a / 2, r"2 x|sum|twice|fractions"),
    "tripled": (lambda a: 3 * a, r"0\.33|factor|divide"),
    "one added": (lambda a: a + 1, r"\b1 too (large|much)|by 1\b|one too"),
    "one subtracted": (lambda a: a - 1.0, r"\b1 too small|by 1\b|one too"),
    "squared": (lambda a: np.asarray(a, float) ** 2, r"square"),
    "root": (lambda a: np.sqrt(np.abs(a)), r"root"),
    "absolute": (lambda a: np.abs(a), r"sign|negative"),
    "clipped at 0": (lambda a: np.maximum(a, 0), r"negative|0"),
    "rounded": (lambda a: np.round(a), r"round|fraction"),
    "cut to integers": (lambda a: np.asarray(a).astype(int), r"dtype|fraction"),
    "nearly right": (lambda a: np.asarray(a, float) * (1 + 1e-6), r"nearly|differ by only"),
    "one NaN": (_put(0, np.nan), r"NaN"),
    "one infinity": (_put(-1, np.inf), r"infinite"),
    "zeros": (lambda a: 0 * np.asarray(a, float), r"zero everywhere|0 at all|is 0"),
    "mean for a sum": (lambda a: a / 7, r"7 x|factor"),
    "an extra axis": (lambda a: np.asarray(a)[None], r"axis of length 1|axes|axis"),
    "too short": (_along(0, lambda a, k: a[:-1]), r"too short|of the wrong length"),
    "too long": (_along(-1, lambda a, k: np.concatenate([a, a[..., -1:]], -1)), r"too long"),
    "summed": (_along(0, lambda a, k: a.sum(0)), r"summed|must be"),
    "axes swapped": (_swap_last, r"transposed|order|axes|Axes|too"),
    "reversed rows": (_along(0, lambda a, k: np.flip(a, k)), r"flip"),
    "reversed channels": (_along(-1, lambda a, k: np.flip(a, k)), r"flip"),
    "shifted": (_along(-1, lambda a, k: np.roll(a, 1, k)), r"shift|roll|flip"),
    "shifted down": (_along(0, lambda a, k: np.roll(a, -1, k)), r"shift|roll|flip"),
    "first for all": (_first_sample, r"first|index|axis 0"),
    "first is empty": (_without_sample(0), r"index 0 of axis 0|nothing|only|0 at|zero everywhere"),
    "last is empty": (_without_sample(-1), r"axis 0|nothing|only|0 at|zero everywhere"),
    "one channel scaled": (_channel, r"channel|index 0 of axis|factor"),
    "nothing": (lambda a: None, r"None"),
}  # fmt: skip


def corrupted(exercise: Exercise, at: int, change: Callable) -> Callable:
    """Return the right answer with one result changed."""

    def answer(*arguments):
        results = exercise.reference(*arguments)
        results = list(results) if len(exercise.results) > 1 else [results]
        if results[at] is not None:
            array = np.asarray(results[at])
            results[at] = change(array.astype(int) if array.dtype == bool else array)
        return tuple(results) if len(results) > 1 else results[0]

    answer.__wrapped__ = exercise.reference  # with the same signature
    return answer


def _swapped(exercise: Exercise, first: int) -> Callable:
    """Return the right answer with two neighbouring results exchanged."""

    def answer(*arguments):
        results = list(exercise.reference(*arguments))
        results[first], results[first + 1] = results[first + 1], results[first]
        return tuple(results)

    answer.__wrapped__ = exercise.reference  # with the same signature
    return answer


def _one_result_only(exercise: Exercise) -> Callable:
    def answer(*arguments):
        return exercise.reference(*arguments)[0]

    answer.__wrapped__ = exercise.reference  # with the same signature
    return answer


def wrong_answers(exercise: Exercise, results: int | None = None) -> Iterator[tuple[str, Callable, str]]:
    """Yield the name of each corruption that changes a result, the spoiled answer, and the words that name it."""
    for at, result in enumerate(exercise.results[:results]):
        for name, (change, words) in CORRUPTIONS.items():
            answer = corrupted(exercise, at, change)
            if _differs(exercise, at, answer):
                yield f"{result}: {name}", answer, words
    for first in range(len(exercise.results) - 1):
        if _differs(exercise, first, _swapped(exercise, first)):
            yield f"results {first} and {first + 1} exchanged", _swapped(exercise, first), r"exchanged|order"
    if len(exercise.results) > 1:
        yield "one result only", _one_result_only(exercise), r"results .* are expected"


def _differs(exercise: Exercise, at: int, answer: Callable) -> bool:
    """Return whether an answer is wrong in some case, in value or shape."""
    with np.errstate(all="ignore"):
        for case in exercise.cases():
            found = [f(*copy.deepcopy(case)) for f in (exercise.reference, answer)]
            right, got = (np.asarray(each[at] if len(exercise.results) > 1 else each) for each in found)
            if right.dtype == object or got.dtype == object:
                if right.dtype != got.dtype:
                    return True
            elif right.shape != got.shape or wrong_entries(got, right).any():
                return True
    return False


@dataclass
class Row:
    """The counts of one exercise, the corruptions that were accepted, and those whose hint does not name them."""

    exercise: str
    accepted: list[str]
    refused: int
    wrong: int
    named: int
    missed: list[str]
    unnamed: list[tuple[str, str]]


def row(exercise: Exercise, results: int | None = None) -> Row:
    """Grade an exercise in all styles and with all corruptions of its first results, by default of all."""
    found = Row(exercise.name, [], 0, 0, 0, [], [])
    for style, change in STYLES.items():
        with contextlib.suppress(WrongAnswer), contextlib.redirect_stdout(io.StringIO()):
            grade(exercise.name, in_style(exercise, change))
            found.accepted.append(style)
    for name, answer, words in wrong_answers(exercise, results):
        found.wrong += 1
        try:
            with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                grade(exercise.name, answer)
            found.missed.append(name)
        except WrongAnswer as refusal:
            found.refused += 1
            text = str(refusal)
            hint = text.split("  hint    ")[-1]
            if re.search(words, text) or hint in exercise.mistakes:
                found.named += 1
            else:
                found.unnamed.append((name, text))
    return found


def main() -> None:
    rows = [row(exercise) for exercise in exercises().values() if exercise.cases()]
    print("| exercise | styles accepted | corruptions refused | named |\n|---|---|---|---|")
    for one in rows:
        print(f"| {one.exercise} | {len(one.accepted)} of {len(STYLES)} | {one.refused} of {one.wrong} | "
              f"{one.named / one.wrong:.0%} |")  # fmt: skip
    total = [sum(values) for values in zip(*((r.refused, r.wrong, r.named) for r in rows), strict=True)]
    print(f"| all {len(rows)} | | {total[0]} of {total[1]} | {total[2] / total[1]:.0%} |")


if __name__ == "__main__":
    main()
