"""Mistakes that any exercise may see, recognised from the numbers alone.

Most guesses are those of `gradcheck.hints`, which examines a wrong gradient in the same way; here they are worded with
"your result" and "expected". Guesses about a wrong shape are added: there, both arrays always have the same shape.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinysegnet.gradcheck.hints import Scene, find_hint

from .compare import equal

__all__ = ["guess_shape", "guess_values"]

# What a gradient check says -> what is said here.
WORDS = {
    r"the analytic gradient is": "your result is",
    r"the true gradient is": "the right result is",
    r"the true gradient": "the right result",
    r"\banalytic\b": "yours",
    r"\bnumeric\b": "expected",
    r"\bbackward uses": "you use",
    r": the gradient does not reach them": ": nothing is written there?",
    r": they must get none \(void, or masked\?\)": "",
    r"pixels that do not count \(void\?\) must get gradient 0": "pixels that do not count (void?) must get 0",
    r": the gradient must add up over the batch": ": add up over the batch",
}
NEARLY = 1e-5
MAX_ORDERS = 120


def guess_shape(got: np.ndarray, expected: np.ndarray) -> str | None:
    """Why the shape is another: axes in another order, kept, not summed, summed, a border lost."""
    if got.ndim == expected.ndim and sorted(got.shape) == sorted(expected.shape):
        for order in itertools.islice(itertools.permutations(range(got.ndim)), MAX_ORDERS):
            if equal(got.transpose(order), expected):
                return f"it is transposed: yours.transpose{order} would be right"
        return "the axes are in another order"
    if equal(got.squeeze(), expected.squeeze()):
        return "the numbers are right, but axes of length 1 are too many or missing (keepdims?)"
    return _not_summed(got, expected) or _broadcast(got, expected) or _cropped(got, expected)


def _not_summed(got, expected) -> str | None:
    for count in range(1, got.ndim + 1):
        for axes in itertools.combinations(range(got.ndim), count):
            if equal(got.sum(axes), expected):
                return f"it is not summed up: the sum of yours over axes {axes} would be right"
    return None


def _broadcast(got, expected) -> str | None:
    if got.ndim < expected.ndim:
        for count in range(1, expected.ndim + 1):
            for axes in itertools.combinations(range(expected.ndim), count):
                if equal(got, np.asarray(expected.sum(axes))):
                    return f"it is summed up over axes {axes}, which must stay"
    return None


def _cropped(got, expected) -> str | None:
    if got.ndim != expected.ndim:
        wanted, found = (_axes_in_words(array) for array in (expected, got))
        return f"{wanted} is expected, not {found}"
    lost = {axis: g - e for axis, (g, e) in enumerate(zip(got.shape, expected.shape, strict=True)) if g != e}
    many = all(size > 0 for size in lost.values())
    few = all(size < 0 for size in lost.values())
    how = "too long" if many else "too short" if few else "of another length"
    of_maps = expected.ndim == 4 and set(lost) <= {1, 2}  # the rows and columns of pictures
    question = "is the padding still on?" if many else "is a padding missing?"
    question = question if of_maps and (many or few) else "what is each axis, and how long must it be?"
    return (f"axes {tuple(lost)} are {how}: " if len(lost) > 1 else f"axis {min(lost)} is {how}: ") + question


def _axes_in_words(array) -> str:
    return f"an array with {array.ndim} {'axis' if array.ndim == 1 else 'axes'}" if array.ndim else "one number"


def guess_values(
    got: np.ndarray,
    expected: np.ndarray,
    wrong: np.ndarray,
    arguments: Mapping[str, Any],
    right: Callable[..., np.ndarray | None],
    yours: Callable[..., np.ndarray | None],
) -> str | None:
    """Why numbers differ where shapes agree.

    right(name=value), yours(name=value): the right result and the learner's for other arguments, None if none.
    """
    dtype = got.dtype
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    if (bad := ~np.isfinite(got) & np.isfinite(expected)).any():
        return _not_finite(got, bad)
    if dtype.kind in "iub" and np.mod(expected, 1).any():
        return f"its dtype is {dtype}, so fractions were cut off: make the array with the dtype of the input"
    if not np.isfinite(expected).all():
        return None
    apart = float(np.abs(got - expected).max())
    if np.linalg.norm(got - expected) <= NEARLY * np.linalg.norm(expected):
        low = f" Was it computed in {dtype}?" if dtype in (np.float32, np.float16) else ""
        return f"nearly right: at most {apart:.1e} off. Is a small constant such as eps missing or another?{low}"
    scene = Scene(_same_shape(arguments, got), arguments, _sizes(arguments), _only_sample(arguments, right),
                  lambda name, value: _or_nothing(yours(**{name: value})))  # fmt: skip
    with np.errstate(all="ignore"):
        hint = find_hint(got, expected, wrong, scene)
    if hint is None or (got.size == 1 and "everywhere" in hint):  # one number is always a multiple of another
        return None
    return _told(hint)


def _not_finite(got, bad) -> str:
    what = "NaN" if np.isnan(got[bad]).any() else "infinite"
    return f"{int(bad.sum())} entries are {what}: a division by 0, a log of 0, or an exp of a large number?"


def _told(hint: str) -> str:
    for pattern, words in WORDS.items():
        hint = re.sub(pattern, words, hint)
    return hint


def _same_shape(arguments, got) -> np.ndarray:
    """An argument of the result's shape; zeros, which explain nothing, if there is none."""
    for value in arguments.values():
        if isinstance(value, np.ndarray) and value.shape == got.shape and value.dtype.kind == "f":
            return value
    return np.zeros_like(got)


def _batch(arguments) -> np.ndarray | None:
    """The argument that is a batch: the first of those with most axes."""
    arrays = [value for value in arguments.values() if isinstance(value, np.ndarray) and value.ndim > 1]
    return max(arrays, key=lambda array: array.ndim, default=None)


def _sizes(arguments) -> dict[str, int]:
    """What a forgotten factor may be called."""
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
    """n -> the right result for sample n alone."""
    batch = _batch(arguments)
    N = 1 if batch is None else len(batch)
    batched = [name for name, value in arguments.items()
               if isinstance(value, np.ndarray) and value.ndim > 1 and len(value) == N]  # fmt: skip
    return lambda n: right(**{name: arguments[name][n : n + 1] for name in batched})


def _or_nothing(result: np.ndarray | None) -> np.ndarray:
    return np.zeros(0) if result is None else result
