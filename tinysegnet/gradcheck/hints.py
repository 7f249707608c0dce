"""Hints about the error in a gradient: cheap guesses, each tested against the numeric gradient.

Every guess has a test that rarely passes by accident. For example, "numeric = 0.125 x analytic" must be true for the
whole tensor. The first guess that passes its test becomes the hint.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

CLOSE = 1e-5


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether a and b differ by at most CLOSE times the larger norm and are not both zero."""
    size = max(np.linalg.norm(a), np.linalg.norm(b))
    return bool(a.shape == b.shape and size > 0 and np.linalg.norm(a - b) <= CLOSE * size)


@dataclass(frozen=True)
class Scene:
    """The context that guesses may use besides the two gradients."""

    x: np.ndarray  # the argument itself
    arguments: Mapping[str, Any]  # the layer's other arguments, by name
    sizes: Mapping[str, int]  # candidates for a forgotten factor, such as {"N": 2, "N*H*W": 40}
    sample_gradient: Callable[[int], np.ndarray | None]  # the analytic gradient for the dout of sample n alone
    gradient_with: Callable[[str, np.ndarray], np.ndarray]  # the same for another value of an argument, by name


def find_hint(analytic: np.ndarray, numeric: np.ndarray, wrong: np.ndarray, scene: Scene) -> str | None:
    """Return the first guess that explains how `analytic` differs from `numeric`, or None.

    All three arrays have the same shape. `wrong` marks the entries that were rejected.
    """
    if not np.isfinite(analytic).all():
        return f"{int((~np.isfinite(analytic)).sum())} entries are NaN or infinite"
    guesses = itertools.chain(
        _zero(analytic, numeric), _factor(analytic, numeric, scene.sizes), _one_sample(analytic, scene),
        _rearranged(analytic, numeric), _shifted(analytic, numeric),
        _factor_per_channel(analytic, numeric, scene.arguments), _factor_per_pixel(analytic, numeric),
        _statistics(analytic, numeric, scene.x), _zero_somewhere(analytic, numeric, wrong),
        _other_argument(numeric, scene), _confined(wrong))  # fmt: skip
    return next(guesses, None)


def _zero(analytic, numeric) -> Iterator[str]:
    if not analytic.any():
        yield "the analytic gradient is zero everywhere: is it computed and returned?"
    elif np.linalg.norm(numeric) <= CLOSE * np.linalg.norm(analytic):
        yield "the true gradient is zero everywhere: does the result depend on this argument?"


def _ratio(analytic, numeric, axes) -> np.ndarray:
    """Return the factors c, one for all entries along `axes`, for which c * analytic is closest to numeric."""
    c = (analytic * numeric).sum(axes, keepdims=True) / (analytic**2).sum(axes, keepdims=True)
    return np.nan_to_num(c)  # 0 / 0 means 0


def _factor(analytic, numeric, sizes) -> Iterator[str]:
    c = float(_ratio(analytic, numeric, None).item())
    if not _same(numeric, c * analytic):
        return
    if abs(c - 1) < CLOSE:
        apart = np.linalg.norm(numeric - analytic) / np.linalg.norm(numeric)
        yield f"numeric and analytic differ by only {apart:.1e} of their size: does a constant such as eps differ?"
    if abs(c + 1) < CLOSE:
        yield "numeric = -1 x analytic: is it the wrong sign?"
    question = " The sign is wrong, too." if c < 0 else ""
    for name, n in sizes.items():
        if abs(abs(c) - 1 / n) < CLOSE * abs(c):
            yield f"numeric = {c:.4g} x analytic: perhaps you forgot to divide by {name} = {n:g}.{question}"
        elif abs(abs(c) - n) < CLOSE * abs(c):
            yield f"numeric = {c:.4g} x analytic: perhaps it is a mean where a sum belongs ({name} = {n:g}).{question}"
    yield f"numeric = {c:.6g} x analytic everywhere: a factor is missing or superfluous"


def _one_sample(analytic, scene) -> Iterator[str]:
    N = scene.sizes.get("N", 1)
    for n in range(N if N > 1 else 0):
        gradient = scene.sample_gradient(n)
        if gradient is not None and _same(gradient, analytic):
            name = "the first" if n == 0 else "the last" if n == N - 1 else f"number {n + 1}"
            yield f"only {name} of {N} samples counts: the gradient must be summed over the batch"


def _rearrangements(a) -> Iterator[tuple[np.ndarray, str]]:
    """Yield the array with axes of equal size swapped and axes flipped, simplest first, and a description."""
    if a.size > 5000 or a.ndim > 5:
        return
    axes = range(a.ndim)
    flips = [f for k in range(a.ndim + 1) for f in itertools.combinations(axes, k)]
    orders = [order for order in itertools.permutations(axes) if np.transpose(a, order).shape == a.shape]
    moved = {order: tuple(axis for axis in axes if order[axis] != axis) for order in orders}
    changes = sorted(itertools.product(orders, flips), key=lambda change: 2 * len(moved[change[0]]) + len(change[1]))
    for order, flip in changes[1:]:
        words = [f"transposed over axes {moved[order]}"] if moved[order] else []
        words += [f"flipped along axes {flip}"] if flip else []
        yield np.flip(np.transpose(a, order), flip), " and ".join(words)


def _rearranged(analytic, numeric) -> Iterator[str]:
    for changed, words in _rearrangements(analytic):
        if _same(numeric, changed):
            yield f"numeric equals analytic {words}: are axes swapped or is a kernel flipped?"


def _other_argument(numeric, scene) -> Iterator[str]:
    """Guess that backward flips or transposes an argument: with that argument rearranged, the gradient is right."""
    for name, value in scene.arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim > 1:
            for changed, words in itertools.islice(_rearrangements(value), 40):
                if _same(numeric, scene.gradient_with(name, changed)):
                    yield f"it would be right for {name} {words}: does backward use {name} the wrong way round?"


def _shifted(analytic, numeric) -> Iterator[str]:
    for step, axis in itertools.product((1, -1, 2, -2, 3, -3), range(analytic.ndim)):
        n = analytic.shape[axis] - abs(step)
        if n < 2:
            continue
        here = np.take(analytic, range(max(-step, 0), max(-step, 0) + n), axis)
        there = np.take(numeric, range(max(step, 0), max(step, 0) + n), axis)
        if _same(here, there):
            yield f"numeric equals analytic shifted by {step:+d} along axis {axis}: is the wrong side cropped?"


def _factor_per_channel(analytic, numeric, arguments) -> Iterator[str]:
    if analytic.ndim < 2:
        return
    c = _ratio(analytic, numeric, tuple(range(analytic.ndim - 1))).ravel()
    if _same(numeric, c * analytic):
        for name, value in arguments.items():
            if isinstance(value, np.ndarray) and value.shape == c.shape:
                if _same(c, value):
                    yield f"numeric = {name} x analytic: {name} is missing"
                elif _same(c * value, np.ones_like(c)):
                    yield f"numeric = analytic / {name}: the factor {name} is superfluous"
        yield f"numeric = c x analytic with one c per channel, {_few(c)}: a factor per channel is missing"


def _factor_per_pixel(analytic, numeric) -> Iterator[str]:
    if analytic.ndim < 2 or analytic.shape[-1] < 2:
        return
    c = _ratio(analytic, numeric, -1)
    if _same(numeric, c * analytic):
        values = np.unique(np.round(c[np.abs(analytic).max(-1, keepdims=True) > 0], 6))
        if 0 in values:
            yield (f"numeric = c x analytic with one c per pixel, 0 at {int((np.abs(c) < CLOSE).sum())} pixels: "
                   "pixels that do not count, such as void ones, must get gradient 0")  # fmt: skip
        yield f"numeric = c x analytic with one c per pixel, {_few(values)}: is a weight missing?"


def _statistics(analytic, numeric, x) -> Iterator[str]:
    """Guess that terms through mean and variance are missing: numeric - analytic = alpha + beta * x per channel."""
    if analytic.ndim < 2 or analytic.size // analytic.shape[-1] < 4:
        return
    C = analytic.shape[-1]
    missing, values = (numeric - analytic).reshape(-1, C), x.reshape(-1, C)
    if _same(missing, np.broadcast_to(missing.mean(0), missing.shape)):
        yield "numeric - analytic is one value per channel: is the term through the mean missing?"
    values = values - values.mean(0)
    slope = _ratio(values, missing, 0)
    if _same(missing, slope * values):
        yield "numeric - analytic is a multiple of x - mean in each channel: is the term through the variance missing?"
    if _same(missing, missing.mean(0) + slope * values):
        yield "numeric - analytic is alpha + beta * x in each channel: are the terms through mean and variance missing?"


def _zero_somewhere(analytic, numeric, wrong) -> Iterator[str]:
    size = np.abs(numeric).max()
    if wrong.any() and (analytic[wrong] == 0).all():
        yield f"analytic is 0 at all {int(wrong.sum())} wrong entries: the gradient does not reach them"
    if wrong.any() and (np.abs(numeric[wrong]) <= CLOSE * size).all():
        yield f"the true gradient is 0 at all {int(wrong.sum())} wrong entries: are they void or masked?"


def _confined(wrong) -> Iterator[str]:
    places = np.argwhere(wrong)
    if not len(places) or wrong.ndim < 2:
        return
    for axis, n in enumerate(wrong.shape):
        seen = np.unique(places[:, axis])
        if n > 1 and len(seen) == 1:
            yield f"all wrong entries are at index {seen[0]} of axis {axis} (of {n})"
        elif n > 2 and set(seen) == {0, n - 1}:
            yield f"all wrong entries are at the two ends of axis {axis}: is it a border?"


def _few(values: np.ndarray) -> str:
    return ", ".join(f"{v:.4g}" for v in values[:4]) + (", ..." if len(values) > 4 else "")
