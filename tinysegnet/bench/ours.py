"""The workloads as tinysegnet computes them, also as a reference in NumPy, and the measured limits of this machine."""

import timeit
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import ops, runtime
from ..layers import BatchNorm2d, BatchNormReLU2d, Conv2d, MaxPool2d, MaxUnpool2d, Tape
from ..models import Network, build
from ..ops.engine.gemm import multiply
from ..runtime import kernel, prange
from ..training import optim
from .workloads import CLASSES, Workload, inputs

SAMPLES = 8  #: The number of timed calls; only the fastest counts.
PRODUCT = (48, 64, 192)  #: Rows, columns and inner dimension; both operands fit into the L2 cache.
COPIED = 32 << 20  #: Number of float32 values, 128 MB, which is larger than common caches.
CACHED = 1 << 20  #: Number of float32 values, 4 MB, which most caches of two cores hold twice.

Array = np.ndarray
Results = dict[str, Any]


class Limits(NamedTuple):
    """The measured limits of this machine."""

    product_flops_per_second_1_thread: float
    product_flops_per_second: float  # all threads
    copy_bytes_per_second: float  # arrays of 128 MB
    cached_copy_bytes_per_second: float  # arrays of 4 MB


@kernel
def _multiply_repeatedly(a, b, out, rows, cols, inner, repeats):
    """Compute out = a @ b for every task, `repeats` times: a is (tasks, rows, inner), b is (tasks, inner, cols)."""
    for task in prange(out.size // (rows * cols)):
        for _ in range(repeats):
            multiply(a, task * rows * inner, inner, 1, 0, b, task * inner * cols, cols,
                     out, task * rows * cols, cols, rows, cols, 1, inner, False)  # fmt: skip


@kernel
def _copy(source, target):
    """Copy source to target, both (tasks, n)."""
    for task in prange(len(source)):
        target[task] = source[task]


def limits() -> Limits:
    """Measure products of matrices in the cache, and copies. The fastest sample counts, since other work only slows."""
    threads, (rows, cols, inner), repeats = runtime.threads(), PRODUCT, 2000
    found = []
    for tasks in (1, threads):
        runtime.set_threads(tasks)
        a, b, out = (np.ones(tasks * n, np.float32) for n in (rows * inner, inner * cols, rows * cols))
        seconds = _shortest(_multiply_repeatedly, a, b, out, rows, cols, inner, repeats)
        found.append(2 * rows * cols * inner * tasks * repeats / seconds)
    for count in (COPIED, CACHED):
        source, target = np.ones((2, 4 * threads, count // (4 * threads)), np.float32)
        found.append(2 * source.nbytes / _shortest(_copy, source, target))
    return Limits(*found)


def _shortest(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the seconds of the fastest call; the first call is not timed, because it may compile."""
    function(*arguments)
    return min(timeit.repeat(lambda: function(*arguments), number=1, repeat=SAMPLES))


def prepare(workload: Workload, variant: str = "", dtype: str = "float32") -> Callable[[], Results]:
    """Create inputs and network; return a function that does one run and returns its results by name.

    The variant is "" for the fast variants of the ops, or "numpy" for their definitions.
    """
    runtime.keep_freed_memory()
    arrays, tape = inputs(workload, dtype), Tape(training=workload.kind != "infer", definitions=variant == "numpy")
    loss_op = LOSS.variants["numpy"] if tape.definitions else LOSS
    if workload.kind == "loss":
        return partial(_loss, loss_op, **arrays)
    if not workload.model:
        layers = LAYERS[workload.kind](workload)
        layers[0].params.update({name: arrays.pop(name) for name in layers[0].params})
        return partial(_single_op, workload, layers, tape, **arrays)
    model = build(workload.model, CLASSES, dtype=dtype)
    model.load_state(build(workload.model, CLASSES).state())  # the weights of the reference are also rounded to float32
    if workload.kind == "infer":
        return lambda: {"logits": model.forward(arrays["pictures"], tape=tape if tape.definitions else None)}
    return partial(_train, model, optim.SGD(model, learning_rate=0.01, momentum=0.9), tape, loss_op, **arrays)


LOSS = ops.REGISTRY["softmax_cross_entropy"]
LAYERS: dict[str, Callable[[Workload], list[Any]]] = {
    "conv": lambda workload: [Conv2d(workload.shape[3], workload.features, workload.kernel, rng=None)],
    "batchnorm_relu": lambda workload: [BatchNormReLU2d(BatchNorm2d(workload.shape[3]))],
    "pool_unpool": lambda workload: [pool := MaxPool2d(), MaxUnpool2d(pool)],
}


def _loss(loss_op: Any, logits: Array, labels: Array) -> Results:
    loss, cache = loss_op.forward(logits, labels)
    return {"loss": loss, "dlogits": loss_op.backward(1.0, cache)}


def _single_op(workload: Workload, layers: list[Any], tape: Tape, x: Array, dout: Array) -> Results:
    for layer in layers:
        x = layer.forward(x, tape)
    if not workload.backward:
        return {"out": x}
    for layer in reversed(layers):
        dout = layer.backward(dout, tape, input_gradient=workload.input_gradient)
    gradients = {f"d{name}": gradient for layer in layers for name, gradient in layer.grads.items()}
    return {"out": x, **gradients, **({"dx": dout} if workload.input_gradient else {})}


def _train(model: Network, optimizer: optim.SGD, tape: Tape, loss_op: Any, pictures: Array, labels: Array) -> Results:
    logits = model.forward(pictures, tape=tape)
    loss, cache = loss_op.forward(logits, labels)
    model.backward(loss_op.backward(1.0, cache), tape=tape, input_gradient=False)
    optimizer.step()
    return {"logits": logits, "loss": loss}
