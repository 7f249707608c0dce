"""The peak performance of this machine, measured: multiply-adds from registers and cache, and copies of memory."""

import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import runtime
from ..ops.engine.gemm import multiply
from ..runtime import kernel, prange

SAMPLES = 8
PRODUCT = (48, 64, 192)  #: rows, columns, inner; both operands stay in the nearest caches
COPIED = 32 << 20  #: float32 values, 128 MB, larger than any cache


@kernel
def _multiply_repeatedly(a, b, out, rows, cols, inner, repeats):
    """One product per task, `repeats` times: a (tasks, rows, inner) @ b (tasks, inner, cols) -> out."""
    for task in prange(out.size // (rows * cols)):
        for _ in range(repeats):
            multiply(a, task * rows * inner, inner, 1, b, task * inner * cols, cols,
                     out, task * rows * cols, cols, rows, cols, inner, False)  # fmt: skip


@kernel
def _copy(source, target):
    """target = source, (tasks, n)."""
    for task in prange(len(source)):
        target[task] = source[task]


def peaks() -> tuple[float, float]:
    """Flops per second of the register-tiled product, and bytes per second that a copy reads and writes: all threads.

    The best of several samples: a peak is what the machine does when nothing disturbs it.
    """
    rows, cols, inner = PRODUCT
    tasks, repeats = runtime.threads(), 2000
    a, b, out = (np.ones(tasks * n, np.float32) for n in (rows * inner, inner * cols, rows * cols))
    flops = 2 * rows * cols * inner * tasks * repeats
    product = flops / _shortest(_multiply_repeatedly, a, b, out, rows, cols, inner, repeats)
    source, target = np.ones((2, 4 * tasks, COPIED // (4 * tasks)), np.float32)
    return product, 2 * source.nbytes / _shortest(_copy, source, target)


def _shortest(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of the fastest call; the first is not timed, because it may compile."""
    function(*arguments)
    return min(timeit.repeat(lambda: function(*arguments), number=1, repeat=SAMPLES))
