"""What a wrong gradient looks like, in words: cheap guesses, each tested against the numeric gradient.

Every guess is a sentence with a test that nearly never passes by accident: "numeric = 0.125 x analytic" is printed only if
that holds for the whole tensor. The first guess that fits is the hint.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

__all__ = ["find_hint"]

CLOSE = 1e-5


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal up to CLOSE of the larger, as vectors; and not both zero."""
    size = max(np.linalg.norm(a), np.linalg.norm(b))
    return a.shape == b.shape and size > 0 and bool(np.linalg.norm(a - b) <= CLOSE * size)


def find_hint(
    analytic: np.ndarray,
    numeric: np.ndarray,
    wrong: np.ndarray,
    *,
    sizes: Mapping[str, int],
    arguments: Mapping[str, np.ndarray],
    x: np.ndarray,
    sample_gradient: Callable[[int], np.ndarray | None],
) -> str | None:
    """The first guess that explains how `analytic` differs from `numeric`, two arrays of one shape; None if none does.

    wrong: which entries were refused. sizes: what a forgotten factor may be called, {"N": 2, "N*H*W": 40}.
    arguments: the layer's other arguments by name. x: this argument. sample_gradient(n): the analytic gradient with
    dout cut down to sample n.
    """
    if not np.isfinite(analytic).all():
        return f"{int((~np.isfinite(analytic)).sum())} entries are NaN or infinite"
    guesses: tuple[Iterator[str], ...] = (
        _zero(analytic, numeric, wrong),
        _factor(analytic, numeric, sizes),
        _one_sample(analytic, sizes.get("N", 1), sample_gradient),
        _rearranged(analytic, numeric),
        _shifted(analytic, numeric),
        _factor_a_channel(analytic, numeric, arguments),
        _factor_a_pixel(analytic, numeric),
        _statistics(analytic, numeric, x),
        _zero_somewhere(analytic, numeric, wrong),
        _confined(wrong),
    )
    return next(itertools.chain(*guesses), None)


def _zero(analytic, numeric, wrong) -> Iterator[str]:
    if not analytic.any():
        yield "the analytic gradient is zero everywhere: is it computed, and returned?"
    elif np.linalg.norm(numeric) <= CLOSE * np.linalg.norm(analytic):
        yield "the true gradient is zero everywhere: does the result depend on this argument at all?"


def _factor(analytic, numeric, sizes) -> Iterator[str]:
    c = float((analytic * numeric).sum() / (analytic**2).sum())
    if not _same(numeric, c * analytic):
        return
    known = [(1.0, "1")] + [(float(n), name) for name, n in sizes.items() if n > 1]
    if abs(c + 1) < CLOSE:
        yield "numeric = -1 x analytic: wrong sign?"
        return
    for sign, value, name in ((s, v, n) for s in (1, -1) for v, n in known):
        if abs(c - sign / value) < CLOSE * abs(c):
            yield f"numeric = {c:.4g} x analytic: forgot to divide by {name} = {value:g}?" + (" And the sign?" if sign < 0 else "")
        elif abs(c - sign * value) < CLOSE * abs(c):
            yield f"numeric = {c:.4g} x analytic: a mean where a sum belongs ({name} = {value:g})?" + (
                " And the sign?" if sign < 0 else "")  # fmt: skip
    yield f"numeric = {c:.6g} x analytic everywhere: a factor is missing or too many"


def _one_sample(analytic, N, sample_gradient) -> Iterator[str]:
    for n in range(N if N > 1 else 0):
        gradient = sample_gradient(n)
        if gradient is not None and _same(gradient, analytic):
            name = "first" if n == 0 else "last" if n == N - 1 else f"{n}th"
            yield f"only the {name} of {N} samples counts: the gradient must add up over the batch"


def _rearranged(analytic, numeric) -> Iterator[str]:
    if analytic.size > 5000 or analytic.ndim > 5:
        return
    axes = range(analytic.ndim)
    flips = [f for k in range(analytic.ndim + 1) for f in itertools.combinations(axes, k)]
    orders = [order for order in itertools.permutations(axes) if np.transpose(analytic, order).shape == analytic.shape]
    for order, flip in sorted(itertools.product(orders, flips), key=lambda change: _complexity(*change)):
        if _complexity(order, flip) and _same(numeric, np.flip(np.transpose(analytic, order), flip)):
            moved = [axis for axis in axes if order[axis] != axis]
            words = ([f"transposed over axes {tuple(moved)}"] if moved else []) + ([f"flipped along axes {flip}"] if flip else [])
            yield f"numeric equals analytic {' and '.join(words)}: axes swapped or kernel flipped?"


def _complexity(order, flip) -> int:
    return 2 * sum(axis != k for k, axis in enumerate(order)) + len(flip)


def _shifted(analytic, numeric) -> Iterator[str]:
    for axis, step in itertools.product(range(analytic.ndim), (1, -1)):
        if analytic.shape[axis] < 3:
            continue
        first, last = (np.take(t, range(s, t.shape[axis] - 1 + s), axis) for t, s in
                       ((analytic, step < 0), (numeric, step > 0)))  # fmt: skip
        if _same(first, last):
            yield f"numeric equals analytic shifted by {step:+d} along axis {axis}: padding cropped on the wrong side?"


def _factor_a_channel(analytic, numeric, arguments) -> Iterator[str]:
    if analytic.ndim < 2 or not analytic.any():
        return
    leading = tuple(range(analytic.ndim - 1))
    c = (analytic * numeric).sum(leading) / np.maximum((analytic**2).sum(leading), 1e-300)
    if _same(numeric, c * analytic):
        for name, value in arguments.items():
            if np.shape(value) == c.shape:
                if _same(c, value):
                    yield f"numeric = {name} x analytic: {name} is missing"
                elif _same(c * value, np.ones_like(c)):
                    yield f"numeric = analytic / {name}: {name} is one factor too many"
        yield f"numeric = c x analytic with one c a channel, {np.array2string(c, precision=4)}: a factor a channel is missing"


def _factor_a_pixel(analytic, numeric) -> Iterator[str]:
    if analytic.ndim < 2 or analytic.shape[-1] < 2 or not analytic.any():
        return
    c = (analytic * numeric).sum(-1, keepdims=True) / np.maximum((analytic**2).sum(-1, keepdims=True), 1e-300)
    if _same(numeric, c * analytic):
        values = np.unique(np.round(c[np.abs(analytic).max(-1, keepdims=True) > 0], 6))
        if 0 in values:
            yield (f"numeric = c x analytic with one c a pixel, 0 at {int((c == 0).sum() or (np.abs(c) < CLOSE).sum())} pixels: "
                   "pixels that do not count (void?) must get gradient 0")  # fmt: skip
        yield f"numeric = c x analytic with one c a pixel, {_few(values)}: is a weight missing?"


def _statistics(analytic, numeric, x) -> Iterator[str]:
    """numeric - analytic = alpha + beta * x in every channel: what comes through mean and variance is missing."""
    if analytic.ndim < 2 or analytic.size // analytic.shape[-1] < 4:
        return
    C = analytic.shape[-1]
    missing, values = (numeric - analytic).reshape(-1, C), x.reshape(-1, C)
    if _same(missing, np.broadcast_to(missing.mean(0), missing.shape)):
        yield "numeric - analytic is one number a channel: a term is missing, the one that comes through the mean?"
    values = values - values.mean(0)
    slope = (missing * values).sum(0) / np.maximum((values**2).sum(0), 1e-300)
    if _same(missing, slope * values):
        yield "numeric - analytic is a multiple of x - mean in each channel: the term through the variance is missing?"
    if _same(missing, missing.mean(0) + slope * values):
        yield "numeric - analytic is alpha + beta * x in each channel: the terms through mean and variance are missing?"


def _zero_somewhere(analytic, numeric, wrong) -> Iterator[str]:
    size = np.abs(numeric).max()
    if wrong.any() and (analytic[wrong] == 0).all():
        yield f"analytic is 0 at all {int(wrong.sum())} wrong entries: the gradient does not reach them"
    if wrong.any() and (np.abs(numeric[wrong]) <= CLOSE * size).all():
        yield f"the true gradient is 0 at all {int(wrong.sum())} wrong entries: they must get none (void, or masked?)"


def _confined(wrong) -> Iterator[str]:
    """All wrong entries at one place of an axis, or at the border."""
    places = np.argwhere(wrong)
    if not len(places) or wrong.ndim < 2:
        return
    for axis, n in enumerate(wrong.shape):
        seen = np.unique(places[:, axis])
        if n > 1 and len(seen) == 1:
            yield f"all wrong entries are at index {seen[0]} of axis {axis} (of {n})"
        elif n > 2 and set(seen) == {0, n - 1}:
            yield f"all wrong entries are at the two ends of axis {axis}: a border?"


def _few(values: np.ndarray) -> str:
    return ", ".join(f"{v:.4g}" for v in values[:4]) + (", ..." if len(values) > 4 else "")
