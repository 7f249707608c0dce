"""The measured peak performance of this machine: multiply-adds in registers and cache, and memory copies."""

import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import runtime
from ..ops.engine.gemm import multiply
from ..runtime import kernel, prange

SAMPLES = 8  #: The number of timed calls; only the fastest counts.
PRODUCT = (48, 64, 192)  #: Rows, columns and inner dimension; both operands fit into the L2 cache.
COPIED = 32 << 20  #: Number of float32 values, 128 MB, which is larger than common caches.


@kernel
def _multiply_repeatedly(a, b, out, rows, cols, inner, repeats):
    """Compute out = a @ b for every task, `repeats` times: a is (tasks, rows, inner), b is (tasks, inner, cols)."""
    for task in prange(out.size // (rows * cols)):
        for _ in range(repeats):
            multiply(a, task * rows * inner, inner, 1, b, task * inner * cols, cols,
                     out, task * rows * cols, cols, rows, cols, inner, False)  # fmt: skip


@kernel
def _copy(source, target):
    """Copy source to target, both (tasks, n)."""
    for task in prange(len(source)):
        target[task] = source[task]


def peaks() -> tuple[float, float]:
    """Return operations per second of the register-tiled product, and bytes per second that a copy reads and writes.

    All threads are used. The best of several samples counts, since other processes can only slow the machine down.
    """
    rows, cols, inner = PRODUCT
    tasks, repeats = runtime.threads(), 2000
    a, b, out = (np.ones(tasks * n, np.float32) for n in (rows * inner, inner * cols, rows * cols))
    flops = 2 * rows * cols * inner * tasks * repeats
    product = flops / _shortest(_multiply_repeatedly, a, b, out, rows, cols, inner, repeats)
    source, target = np.ones((2, 4 * tasks, COPIED // (4 * tasks)), np.float32)
    return product, 2 * source.nbytes / _shortest(_copy, source, target)


def _shortest(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the seconds of the fastest call; the first call is not timed, because it may compile."""
    function(*arguments)
    return min(timeit.repeat(lambda: function(*arguments), number=1, repeat=SAMPLES))
