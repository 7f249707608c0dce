"""The workloads as tinysegnet computes them: `prepare(workload)` returns a function that does one run.

Inputs come from generators with fixed seeds, so that every worker computes with the same values. In float64, with the
NumPy pairs, the same functions compute the reference where there is no PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops, runtime
from ..models import Network, build
from ..training import optim
from .workloads import Workload

__all__ = ["draw", "outputs", "picture_and_labels", "prepare"]

CLASSES = 11


def draw(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    """Normally distributed random values, float32, with this standard deviation."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(scale)


def picture_and_labels(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A batch of random pictures, float32 in 0..255, of shape (N, H, W, 3), and its labels, uint8 (N, H, W)."""
    rng = np.random.default_rng(7)
    pictures = rng.integers(0, 256, shape).astype(np.float32)
    return pictures, rng.integers(0, CLASSES, shape[:3]).astype(np.uint8)


def prepare(workload: Workload, dtype: str = "float32") -> Callable[[], Any]:
    """Make inputs and network; returns a function that does one run and returns its results by name."""
    runtime.keep_freed_memory()
    return {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool, "loss": _loss,
            "train": _train, "infer": _infer}[workload.kind](workload, dtype)  # fmt: skip


def outputs(workload: Workload, dtype: str = "float32") -> dict[str, np.ndarray]:
    """The results of a run by name, to be compared with another worker's.

    A training takes two steps: the second loss is right only if every gradient and the optimizer were.
    """
    run = prepare(workload, dtype)
    found = {name: np.array(array) for name, array in run().items() if array is not None}
    return found | ({"next loss": np.array(run()["loss"])} if workload.kind == "train" else {})


def _conv(workload: Workload, dtype: str) -> Callable[[], Any]:
    C, F, K = workload.shape[3], workload.features, workload.kernel
    x, weight = draw(workload.shape, 1).astype(dtype), draw((K, K, C, F), 2, (K * K * C) ** -0.5).astype(dtype)
    bias, dout = draw((F,), 3).astype(dtype), draw((*workload.shape[:3], F), 4).astype(dtype)

    def run() -> dict[str, Any]:
        out, cache = ops.conv2d_forward(x, weight, bias)
        if not workload.backward:
            return {"out": out}
        dx, dweight, dbias = ops.conv2d_backward(dout, cache, input_gradient=workload.input_gradient)
        return {"out": out, "dx": dx, "dweight": dweight, "dbias": dbias}

    return run


def _batchnorm_relu(workload: Workload, dtype: str) -> Callable[[], Any]:
    C = workload.shape[3]
    x, dout = draw(workload.shape, 1).astype(dtype), draw(workload.shape, 4).astype(dtype)
    gamma, beta = (1 + draw((C,), 2, 0.1)).astype(dtype), draw((C,), 3, 0.1).astype(dtype)

    def run() -> dict[str, Any]:
        (out, _, _), cache = ops.batchnorm2d_relu_forward(x, gamma, beta)
        dx, dgamma, dbeta = ops.batchnorm2d_relu_backward(dout, cache)
        return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}

    return run


def _pool_unpool(workload: Workload, dtype: str) -> Callable[[], Any]:
    x, dout = draw(workload.shape, 1).astype(dtype), draw(workload.shape, 4).astype(dtype)

    def run() -> dict[str, Any]:
        (pooled, indices), pool_cache = ops.max_pool2d_forward(x)
        out, unpool_cache = ops.max_unpool2d_forward(pooled, indices, output_size=workload.shape[1:3])
        dx = ops.max_pool2d_backward(ops.max_unpool2d_backward(dout, unpool_cache), pool_cache)
        return {"out": out, "dx": dx}

    return run


def _loss(workload: Workload, dtype: str) -> Callable[[], Any]:
    logits, labels = draw(workload.shape, 1).astype(dtype), picture_and_labels(workload.shape)[1]

    def run() -> dict[str, Any]:
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
        return {"loss": np.asarray(loss), "dlogits": ops.softmax_cross_entropy_backward(1.0, cache)}

    return run


def _network(workload: Workload, dtype: str) -> Network:
    """The network; in float64, too, its weights are float32 values, or the reference would be another network."""
    model = build(workload.model, CLASSES, dtype=dtype)
    model.load_state(build(workload.model, CLASSES).state())
    return model


def _train(workload: Workload, dtype: str) -> Callable[[], Any]:
    model = _network(workload, dtype)
    optimizer = optim.SGD(model, learning_rate=0.01, momentum=0.9)
    pictures, labels = picture_and_labels(workload.shape)
    pictures = pictures.astype(model.dtype)

    def run() -> dict[str, Any]:
        logits = model.forward(pictures, training=True)
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
        model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        optimizer.step()
        return {"logits": logits, "loss": np.asarray(loss)}

    return run


def _infer(workload: Workload, dtype: str) -> Callable[[], Any]:
    model = _network(workload, dtype)
    pictures = picture_and_labels(workload.shape)[0].astype(model.dtype)
    return lambda: {"logits": model.forward(pictures)}
