"""The workloads as tinysegnet computes them, and the measured limits of this machine.

The functions are those of peers/. With the NumPy variants and in float64, they compute the reference.
"""

import timeit
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import ops, runtime
from ..layers import Tape
from ..models import Network, build
from ..ops.engine.gemm import multiply
from ..runtime import kernel, prange
from ..training import optim
from .workloads import CLASSES, Workload, inputs

SAMPLES = 8  #: The number of timed calls; only the fastest counts.
PRODUCT = (48, 64, 192)  #: Rows, columns and inner dimension; both operands fit into the L2 cache.
COPIED = 32 << 20  #: Number of float32 values, 128 MB, which is larger than common caches.
CACHED = 1 << 20  #: Number of float32 values, 4 MB, which most caches of two cores hold twice.

Array, Results = np.ndarray, dict[str, Any]


class Limits(NamedTuple):
    """The measured limits of this machine."""

    product_flops_per_second: float  # all threads
    copy_bytes_per_second: float  # arrays of 128 MB
    product_flops_per_second_1_thread: float
    cached_copy_bytes_per_second: float  # arrays of 4 MB


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


def limits() -> Limits:
    """Measure products of matrices in the cache, and copies, which read and write each value.

    The best of several samples counts, since other processes can only slow the machine down.
    """
    threads, (rows, cols, inner), repeats = runtime.threads(), PRODUCT, 2000
    products, copies = [], []
    for tasks in (threads, 1):
        runtime.set_threads(tasks)
        a, b, out = (np.ones(tasks * n, np.float32) for n in (rows * inner, inner * cols, rows * cols))
        seconds = _shortest(_multiply_repeatedly, a, b, out, rows, cols, inner, repeats)
        products.append(2 * rows * cols * inner * tasks * repeats / seconds)
    runtime.set_threads(threads)
    for count in (COPIED, CACHED):
        source, target = np.ones((2, 4 * threads, count // (4 * threads)), np.float32)
        copies.append(2 * source.nbytes / _shortest(_copy, source, target))
    return Limits(products[0], copies[0], products[1], copies[1])


def _shortest(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the seconds of the fastest call; the first call is not timed, because it may compile."""
    function(*arguments)
    return min(timeit.repeat(lambda: function(*arguments), number=1, repeat=SAMPLES))


def prepare(workload: Workload, variant: str = "", dtype: str = "float32") -> Callable[[], Results]:
    """Create inputs and network; return a function that does one run and returns its results by name.

    The variant is "" for the fast variants of the ops, or "numpy" for their definitions.
    """
    runtime.keep_freed_memory()
    arrays = inputs(workload, dtype)
    op = partial(_op, definitions=variant == "numpy")
    if not workload.model:
        return partial(OPS[workload.kind], workload, op, **arrays)
    model, tape = build(workload.model, CLASSES, dtype=dtype), Tape(definitions=variant == "numpy")
    model.load_state(build(workload.model, CLASSES).state())  # the weights of the reference are also rounded to float32
    if workload.kind == "infer":
        return lambda: {"logits": model.forward(arrays["pictures"], tape=tape)}
    optimizer = optim.SGD(model, learning_rate=0.01, momentum=0.9)
    return partial(_train, model, optimizer, tape, op("softmax_cross_entropy"), **arrays)


def _op(name: str, definitions: bool) -> Any:
    return ops.REGISTRY[name].variants["numpy"] if definitions else ops.REGISTRY[name]


def _conv(workload: Workload, op: Callable, x: Array, weight: Array, bias: Array, dout: Array) -> Results:
    out, cache = op("conv2d").forward(x, weight, bias)
    if not workload.backward:
        return {"out": out}
    dx, dweight, dbias = op("conv2d").backward(dout, cache, input_gradient=workload.input_gradient)
    return {"out": out, "dx": dx, "dweight": dweight, "dbias": dbias}


def _batchnorm_relu(workload: Workload, op: Callable, x: Array, gamma: Array, beta: Array, dout: Array) -> Results:
    (out, _, _), cache = op("batchnorm2d_relu").forward(x, gamma, beta)
    dx, dgamma, dbeta = op("batchnorm2d_relu").backward(dout, cache)
    return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def _pool_unpool(workload: Workload, op: Callable, x: Array, dout: Array) -> Results:
    pool, unpool = op("max_pool2d"), op("max_unpool2d")
    (pooled, indices), pool_cache = pool.forward(x)
    out, unpool_cache = unpool.forward(pooled, indices, output_size=workload.shape[1:3])
    return {"out": out, "dx": pool.backward(unpool.backward(dout, unpool_cache), pool_cache)}


def _loss(workload: Workload, op: Callable, logits: Array, labels: Array) -> Results:
    loss, cache = op("softmax_cross_entropy").forward(logits, labels)
    return {"loss": loss, "dlogits": op("softmax_cross_entropy").backward(1.0, cache)}


#: The function that runs each kind of single op once.
OPS: dict[str, Callable] = {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool,
                            "loss": _loss}  # fmt: skip


def _train(model: Network, optimizer: optim.SGD, tape: Tape, loss_op: Any, pictures: Array, labels: Array) -> Results:
    logits = model.forward(pictures, training=True, tape=tape)
    loss, cache = loss_op.forward(logits, labels)
    model.backward(loss_op.backward(1.0, cache), tape=tape, input_gradient=False)
    optimizer.step()
    return {"logits": logits, "loss": loss}
