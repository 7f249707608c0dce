"""A second check of a forward and backward function: comparison with the library's own results."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinysegnet.gradcheck import find_variants
from tinysegnet.gradcheck.cases import cases_of
from tinysegnet.gradcheck.contract import draw_dout


def compare_op(op: str, forward: Callable, backward: Callable, *, seed: int = 0) -> float:
    """Compare a pair with the library's own NumPy pair on all cases of an op, including ties, zeros and void pixels.

    The comparison finds a mistake that forward and backward share, which a gradient check cannot find.

    Returns:
        The largest relative difference |a - b| / |b| of a result or gradient, or infinity if a shape, a NaN or an
        infinity differs.
    """
    worst, definition = 0.0, find_variants(op)["numpy"]
    for case in cases_of(op):
        arrays, kwargs = case.arguments(seed)
        mine, right = (_answers(pair, arrays, kwargs, seed) for pair in ((forward, backward), definition))
        worst = max([worst, *map(_difference, mine, right)])
    return worst


def _answers(pair: tuple[Callable, Callable], arrays: Any, kwargs: dict[str, Any], seed: int) -> list[Any]:
    """Return results and gradients of one call, for a dout that depends on the seed only."""
    out, cache = pair[0](*(a.copy() if isinstance(a, np.ndarray) else a for a in arrays), **kwargs)
    outs = out if isinstance(out, tuple) else (out,)
    gradients = pair[1](draw_dout(np.random.default_rng([seed, 1]), np.asarray(outs[0])), cache)
    return [*outs, *(gradients if isinstance(gradients, tuple) else [gradients])]


def _difference(a: Any, b: Any) -> float:
    if a is None or b is None:
        return 0.0 if a is b else np.inf
    a, b = np.asarray(a, float), np.asarray(b, float)
    finite = np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), finite):
        return np.inf
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return np.inf
    return float(np.linalg.norm((a - b)[finite]) / (np.linalg.norm(b[finite]) or 1.0))
