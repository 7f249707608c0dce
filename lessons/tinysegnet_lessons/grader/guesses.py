"""Guesses at mistakes that can occur in any exercise, based on the numbers alone.

Most guesses come from `gradcheck.hints`, which examines wrong gradients in the same way. This module adapts
their wording to results and adds guesses about wrong shapes, because a gradient check compares only equal shapes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinysegnet.gradcheck.hints import Scene, find_hint

from .compare import equal

__all__ = ["guess_entry_by_entry", "guess_shape", "guess_values"]

# Terms of a gradient check, and the words that replace them here.
WORDS = {
    r"\bthe analytic gradient\b": "your result",
    r"\bthe true gradient\b": "the right result",
    r"\bthe gradient does not reach them\b": "is nothing written there?",
    r"\bthe gradient\b": "the result",
    r"\bgradient 0\b": "0",
    r"\banalytic\b": "yours",
    r"\bnumeric\b": "expected",
    r"\bbackward uses\b": "you use",
    r"\bdoes backward use\b": "do you use",
}
NEARLY = 1e-5
MAX_ORDERS = 120


def guess_shape(got: np.ndarray, expected: np.ndarray) -> str | None:
    """Guess why the shape is wrong: reordered axes, extra axes, a missing or superfluous sum, or a wrong border."""
    if got.ndim == expected.ndim and sorted(got.shape) == sorted(expected.shape):
        for order in itertools.islice(itertools.permutations(range(got.ndim)), MAX_ORDERS):
            if equal(got.transpose(order), expected):
                return f"Your result is transposed: yours.transpose{order} would be right."
        return "The axes are in the wrong order."
    if equal(got.squeeze(), expected.squeeze()):
        return "The numbers are right, but an axis of length 1 is superfluous or missing. Check keepdims."
    return _not_summed(got, expected) or _broadcast(got, expected) or _cropped(got, expected)


def _not_summed(got, expected) -> str | None:
    for count in range(1, got.ndim + 1):
        for axes in itertools.combinations(range(got.ndim), count):
            if equal(got.sum(axes), expected):
                return f"A sum is missing: the sum of your result over axes {axes} would be right."
    return None


def _broadcast(got, expected) -> str | None:
    if got.ndim < expected.ndim:
        for count in range(1, expected.ndim + 1):
            for axes in itertools.combinations(range(expected.ndim), count):
                if equal(got, np.asarray(expected.sum(axes))):
                    return f"Your result is summed over axes {axes}, but these axes must remain."
    return None


def _cropped(got, expected) -> str | None:
    if got.ndim != expected.ndim:
        wanted, found = (_axes_in_words(array) for array in (expected, got))
        return f"The result must be {wanted}, not {found}."
    lost = {axis: g - e for axis, (g, e) in enumerate(zip(got.shape, expected.shape, strict=True)) if g != e}
    many = all(size > 0 for size in lost.values())
    few = all(size < 0 for size in lost.values())
    how = "too long" if many else "too short" if few else "of the wrong length"
    of_maps = expected.ndim == 4 and set(lost) <= {1, 2}  # the rows and columns of pictures
    question = "Was the padding not removed?" if many else "Is the padding missing?"
    question = question if of_maps and (many or few) else "What does each axis count, and how long must it be?"
    return (f"Axes {tuple(lost)} are {how}. " if len(lost) > 1 else f"Axis {min(lost)} is {how}. ") + question


def _axes_in_words(array) -> str:
    return f"an array with {array.ndim} {'axis' if array.ndim == 1 else 'axes'}" if array.ndim else "a single number"


# The hint, and the learner's entry where the right one is x.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Each entry of your result is the square of the right one.": np.square,
    "Each entry of your result is the root of the right one.": lambda x: np.sqrt(np.abs(x)),
    "Your result has no negative entries. Is there an absolute value where the sign counts?": np.abs,
    "Your result has no negative entries: where the right result is negative, yours is 0.": lambda x: np.maximum(x, 0),
    "Your result is rounded to whole numbers.": np.round,
    "Your result's fractions were cut off.": np.trunc,
    "Your result is rounded up to whole numbers.": np.ceil,
    "Your result is rounded down to whole numbers.": np.floor,
}


def guess_entry_by_entry(pairs: Sequence[tuple[np.ndarray, np.ndarray]], number: bool) -> str | None:
    """Guess a change that turns every right entry into the learner's in every case.

    Args:
        pairs: Learner's and right entries of each case, the case that failed first.
        number: Whether each case has a single number. `guess_values` names the factors and dtypes of arrays.
    """
    got, expected = pairs[0]
    if number and not np.isfinite(got).all():
        return _not_finite(got, ~np.isfinite(got))
    finite = all(np.isfinite(array).all() for pair in pairs for array in pair)
    if not finite or len(np.unique(np.concatenate([expected for _, expected in pairs]))) < 2:
        return None
    if all(np.linalg.norm(got - expected) <= NEARLY * np.linalg.norm(expected) for got, expected in pairs):
        return _nearly_right(got.dtype, float(np.abs(got - expected).max()))
    if not any(got.any() for got, _ in pairs):
        return "Your result is zero everywhere. Is it computed and returned?"

    def everywhere(change: Callable[[np.ndarray], np.ndarray]) -> bool:
        return all(equal(got, change(expected)) for got, expected in pairs)

    with np.errstate(all="ignore"):
        offset = got[0] - expected[0]
        if everywhere(lambda x: x + offset):
            return f"Your result is {abs(offset):.6g} too {'large' if offset > 0 else 'small'} everywhere."
        for words, change in CHANGES.items():
            if everywhere(change):
                return words
        factor = (got @ expected) / (expected @ expected)
        if number and abs(factor) > NEARLY and everywhere(lambda x: factor * x):
            return (f"Your result has the wrong {'sign' if abs(factor + 1) < NEARLY else 'factor'}: the right one is "
                    f"{1 / factor:.6g} x yours everywhere.")  # fmt: skip
    return None


def guess_values(
    got: np.ndarray,
    expected: np.ndarray,
    wrong: np.ndarray,
    arguments: Mapping[str, Any],
    right: Callable[..., np.ndarray | None],
    yours: Callable[..., np.ndarray | None],
) -> str | None:
    """Guess why numbers differ although the shapes agree.

    right(name=value) and yours(name=value) return the right and the learner's result for changed arguments, or None.
    """
    dtype = got.dtype
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    if (bad := ~np.isfinite(got) & np.isfinite(expected)).any():
        return _not_finite(got, bad)
    if dtype.kind in "iub" and (np.mod(expected, 1) > 0).any() and (np.abs(got - expected) < 1).all():
        return f"Your result's dtype is {dtype}, so fractions were lost. Create the array with the dtype of the input."
    if not np.isfinite(expected).all():
        return None
    if np.linalg.norm(got - expected) <= NEARLY * np.linalg.norm(expected):
        return _nearly_right(dtype, float(np.abs(got - expected).max()))
    scene = Scene(_same_shape(arguments, got), arguments, _sizes(arguments), _only_sample(arguments, right),
                  lambda name, value: _or_nothing(yours(**{name: value})))  # fmt: skip
    with np.errstate(all="ignore"):
        hint = find_hint(got, expected, wrong, scene)
    return None if hint is None else _told(hint)


def _nearly_right(dtype, apart: float) -> str:
    low = dtype in (np.float32, np.float16)
    cause = f"Was it computed in {dtype}?" if low else "Is a small constant such as eps missing or different?"
    return f"Your result is nearly right, with a largest error of {apart:.1e}. {cause}"


def _not_finite(got, bad) -> str:
    what = "NaN" if np.isnan(got[bad]).any() else "infinite"
    return f"{int(bad.sum())} entries are {what}. Is there a division by 0, a log of 0, or an exp of a large number?"


def _told(hint: str) -> str:
    for pattern, words in WORDS.items():
        hint = re.sub(pattern, words, hint)
    return hint[0].upper() + hint[1:] + ("" if hint.endswith((".", "?")) else ".")


def _same_shape(arguments, got) -> np.ndarray:
    """Return an argument with the shape of the result, or zeros if there is none."""
    for value in arguments.values():
        if isinstance(value, np.ndarray) and value.shape == got.shape and value.dtype.kind == "f":
            return value
    return np.zeros_like(got)


def _batch(arguments) -> np.ndarray | None:
    """Return the argument that is a batch: the first argument with the most axes."""
    arrays = [value for value in arguments.values() if isinstance(value, np.ndarray) and value.ndim > 1]
    return max(arrays, key=lambda array: array.ndim, default=None)


def _sizes(arguments) -> dict[str, int]:
    """Return names and values of factors that may be missing."""
    batch = _batch(arguments)
    if batch is None:
        longest = max((np.size(value) for value in arguments.values() if isinstance(value, np.ndarray)), default=1)
        return {"the size": longest, "2": 2}
    if batch.ndim == 4:
        N, H, W, C = batch.shape
        return {"N": N, "H*W": H * W, "N*H*W": N * H * W, "C": C, "2": 2}
    first, last = batch.shape[0], batch.shape[-1]
    return {"the first axis": first, "the size": batch.size, "the last axis": last,
            "all axes but the last": batch.size // max(last, 1), "2": 2}  # fmt: skip


def _only_sample(arguments, right) -> Callable[[int], np.ndarray | None]:
    """Return a function that computes the right result for sample n alone."""
    batch = _batch(arguments)
    N = 1 if batch is None else len(batch)
    batched = [name for name, value in arguments.items()
               if isinstance(value, np.ndarray) and value.ndim > 1 and len(value) == N]  # fmt: skip
    return lambda n: right(**{name: arguments[name][n : n + 1] for name in batched})


def _or_nothing(result: np.ndarray | None) -> np.ndarray:
    return np.zeros(0) if result is None else result
