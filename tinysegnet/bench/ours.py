"""The workloads as tinysegnet computes them, and the measured peak performance of this machine.

`prepare(workload)` returns a function that does one run. Without PyTorch, the same functions compute the reference, in
float64 with the NumPy variants. `peaks()` measures multiply-adds in registers and cache, and memory copies.
"""

import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import ops, runtime
from ..models import Network, build
from ..ops.engine.gemm import multiply
from ..runtime import kernel, prange
from ..training import optim
from .workloads import CLASSES, Workload, inputs

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


def prepare(workload: Workload, dtype: str = "float32") -> Callable[[], dict[str, Any]]:
    """Create inputs and network; return a function that does one run and returns its results by name."""
    runtime.keep_freed_memory()
    arrays = inputs(workload, dtype)
    if workload.kind in OPS:
        return partial(OPS[workload.kind], workload, **arrays)
    model = build(workload.model, CLASSES, dtype=dtype)
    model.load_state(build(workload.model, CLASSES).state())  # the weights of the reference are also rounded to float32
    if workload.kind == "infer":
        return lambda: {"logits": model.forward(arrays["pictures"])}
    return partial(_train, model, optim.SGD(model, learning_rate=0.01, momentum=0.9), **arrays)


def outputs(workload: Workload, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Return the results of a run by name, to be compared with another worker's.

    Training takes two steps: the second loss is correct only if every gradient and the optimizer are.
    """
    run = prepare(workload, dtype)
    found = {name: np.array(array) for name, array in run().items() if array is not None}
    return found | ({"next loss": np.array(run()["loss"])} if workload.kind == "train" else {})


def _conv(workload: Workload, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dout: np.ndarray) -> dict[str, Any]:
    out, cache = ops.conv2d_forward(x, weight, bias)
    if not workload.backward:
        return {"out": out}
    dx, dweight, dbias = ops.conv2d_backward(dout, cache, input_gradient=workload.input_gradient)
    return {"out": out, "dx": dx, "dweight": dweight, "dbias": dbias}


def _batchnorm_relu(
    workload: Workload, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, dout: np.ndarray
) -> dict[str, Any]:
    (out, _, _), cache = ops.batchnorm2d_relu_forward(x, gamma, beta)
    dx, dgamma, dbeta = ops.batchnorm2d_relu_backward(dout, cache)
    return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def _pool_unpool(workload: Workload, x: np.ndarray, dout: np.ndarray) -> dict[str, Any]:
    (pooled, indices), pool_cache = ops.max_pool2d_forward(x)
    out, unpool_cache = ops.max_unpool2d_forward(pooled, indices, output_size=workload.shape[1:3])
    dx = ops.max_pool2d_backward(ops.max_unpool2d_backward(dout, unpool_cache), pool_cache)
    return {"out": out, "dx": dx}


def _loss(workload: Workload, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
    return {"loss": loss, "dlogits": ops.softmax_cross_entropy_backward(1.0, cache)}


#: The function that runs each kind of single op once.
OPS: dict[str, Callable] = {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool,
                            "loss": _loss}  # fmt: skip


def _train(model: Network, optimizer: optim.SGD, pictures: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    logits = model.forward(pictures, training=True)
    loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
    model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    optimizer.step()
    return {"logits": logits, "loss": loss}
