"""A work, ready to run with tinysegnet: `prepare(work)` -> a function of no arguments that does it once.

Inputs come from generators with fixed seeds, so that every side computes with the same numbers. In float64, and with
the NumPy pairs, the same functions give the reference where there is no PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops, runtime
from ..models import Network, build
from ..training import optim
from .workloads import Work

__all__ = ["draw", "outputs", "picture_and_labels", "prepare"]

CLASSES = 11


def draw(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    """Normal random numbers, float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(scale)


def picture_and_labels(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A batch of random pictures, 0..255, and labels."""
    rng = np.random.default_rng(7)
    pictures = rng.integers(0, 256, shape).astype(np.float32)
    return pictures, rng.integers(0, CLASSES, shape[:3]).astype(np.uint8)


def prepare(work: Work, dtype: str = "float32") -> Callable[[], Any]:
    """-> a function that does the work once and returns what `outputs` wants to see."""
    runtime.keep_freed_memory()
    return {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool, "loss": _loss,
            "train": _train, "infer": _infer}[work.kind](work, dtype)  # fmt: skip


def outputs(work: Work, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Do the work; -> its results by name, to be compared with another side's.

    A training is done twice: the loss of the next step is right only if every gradient and the optimizer were.
    """
    run = prepare(work, dtype)
    found = {name: np.array(array) for name, array in run().items() if array is not None}
    return found | ({"next loss": np.array(run()["loss"])} if work.kind == "train" else {})


def _conv(work: Work, dtype: str) -> Callable[[], Any]:
    C, F, K = work.shape[3], work.features, work.kernel
    x, weight = draw(work.shape, 1).astype(dtype), draw((K, K, C, F), 2, (K * K * C) ** -0.5).astype(dtype)
    bias, dout = draw((F,), 3).astype(dtype), draw((*work.shape[:3], F), 4).astype(dtype)

    def run() -> dict[str, Any]:
        out, cache = ops.conv2d_forward(x, weight, bias)
        if not work.backward:
            return {"out": out}
        dx, dweight, dbias = ops.conv2d_backward(dout, cache, input_gradient=work.input_gradient)
        return {"out": out, "dx": dx, "dweight": dweight, "dbias": dbias}

    return run


def _batchnorm_relu(work: Work, dtype: str) -> Callable[[], Any]:
    C = work.shape[3]
    x, dout = draw(work.shape, 1).astype(dtype), draw(work.shape, 4).astype(dtype)
    gamma, beta = (1 + draw((C,), 2, 0.1)).astype(dtype), draw((C,), 3, 0.1).astype(dtype)

    def run() -> dict[str, Any]:
        (out, _, _), cache = ops.batchnorm2d_relu_forward(x, gamma, beta)
        dx, dgamma, dbeta = ops.batchnorm2d_relu_backward(dout, cache)
        return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}

    return run


def _pool_unpool(work: Work, dtype: str) -> Callable[[], Any]:
    x, dout = draw(work.shape, 1).astype(dtype), draw(work.shape, 4).astype(dtype)

    def run() -> dict[str, Any]:
        (pooled, indices), pool_cache = ops.max_pool2d_forward(x)
        out, unpool_cache = ops.max_unpool2d_forward(pooled, indices, output_size=work.shape[1:3])
        dx = ops.max_pool2d_backward(ops.max_unpool2d_backward(dout, unpool_cache), pool_cache)
        return {"out": out, "dx": dx}

    return run


def _loss(work: Work, dtype: str) -> Callable[[], Any]:
    logits, labels = draw(work.shape, 1).astype(dtype), picture_and_labels(work.shape)[1]

    def run() -> dict[str, Any]:
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
        return {"loss": np.asarray(loss), "dlogits": ops.softmax_cross_entropy_backward(1.0, cache)}

    return run


def _network(work: Work, dtype: str) -> Network:
    """Its weights are float32 numbers in float64, too, or the reference would be another network."""
    model = build(work.model, CLASSES, dtype=dtype)
    model.load_state(build(work.model, CLASSES).state())
    return model


def _train(work: Work, dtype: str) -> Callable[[], Any]:
    model = _network(work, dtype)
    optimizer = optim.SGD(model, learning_rate=0.01, momentum=0.9)
    pictures, labels = picture_and_labels(work.shape)
    pictures = pictures.astype(model.dtype)

    def run() -> dict[str, Any]:
        logits = model.forward(pictures, training=True)
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
        model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        optimizer.step()
        return {"logits": logits, "loss": np.asarray(loss)}

    return run


def _infer(work: Work, dtype: str) -> Callable[[], Any]:
    model = _network(work, dtype)
    pictures = picture_and_labels(work.shape)[0].astype(model.dtype)
    return lambda: {"logits": model.forward(pictures)}
