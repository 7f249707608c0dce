"""Networks in JAX: arrays (N, H, W, C), pure functions, automatic differentiation and jit."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ...models import build
from ..workloads import CLASSES, Workload, inputs

NUMBERS = ("NHWC", "HWIO", "NHWC")  #: the layouts of input, weight and output
Arrays = dict[str, dict[str, jax.Array]]  # by layer, and within a layer by name


def prepare(workload: Workload, variant: str, threads: int, dtype: str = "float32") -> Callable[[], dict[str, Any]]:
    """Create inputs and network; return a function that does one run and returns its results by name."""
    os.environ["NPROC"] = str(threads)  # XLA reads it when JAX computes for the first time
    layers = build(workload.model, CLASSES).layers
    params = jax.tree.map(jnp.array, {name: layer.params for name, layer in layers.items()})
    pictures, labels = map(jnp.array, inputs(workload, dtype).values())
    if workload.kind == "infer":
        infer = jax.jit(lambda params, x: {"logits": _forward(layers, params, x, training=False)})
        return lambda: jax.block_until_ready(infer(params, pictures))
    step, state = jax.jit(partial(_step, layers), donate_argnums=0), (params, jax.tree.map(jnp.zeros_like, params))

    def run() -> dict[str, Any]:
        nonlocal state
        state, results = step(state, pictures, labels)
        return jax.block_until_ready(results)

    return run


def _step(layers: dict[str, Any], state: tuple[Arrays, Arrays], x: jax.Array, labels: jax.Array) -> Any:
    """Return parameters and velocities after a step of SGD, and the results."""

    def loss_of(params: Arrays) -> tuple[jax.Array, jax.Array]:
        logits = _forward(layers, params, x, training=True)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean(), logits

    params, velocity = state
    (loss, logits), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    velocity = jax.tree.map(lambda v, gradient: 0.9 * v + gradient, velocity, grads)
    params = jax.tree.map(lambda param, v: param - 0.01 * v, params, velocity)
    return (params, velocity), {"logits": logits, "loss": loss}


def _forward(layers: dict[str, Any], params: Arrays, x: jax.Array, training: bool) -> jax.Array:
    """Return the logits. Training leaves the running statistics as they are, which hardly saves time."""
    pooled = []
    for name, layer in layers.items():
        match layer.op:
            case "conv2d":
                x = jax.lax.conv_general_dilated(x, params[name]["weight"], (1, 1), "SAME", dimension_numbers=NUMBERS)
                x += params[name].get("bias", 0)
            case "batchnorm2d":
                mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else layer.buffers.values()
                x = (x - mean) * (params[name]["gamma"] / jnp.sqrt(var + layer.eps)) + params[name]["beta"]
            case "relu":
                x = jax.nn.relu(x)
            case "max_pool2d":
                size = x.shape[1:3]
                x, chosen = _max_pool(x)
                pooled.append((chosen, size))
            case "max_unpool2d":
                x = _max_unpool(x, *pooled.pop())  # the first unpooling mirrors the last pooling
            case "local_response_norm":
                size, alpha, beta, k = (layer.settings[key] for key in ("size", "alpha", "beta", "k"))
                squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (size // 2, size // 2)))
                x = x * (k + alpha / size * sum(squares[..., i : i + x.shape[3]] for i in range(size))) ** -beta
            case _:
                x = (x - layer.mean) / layer.scale
    return x


def _max_pool(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the maximum of each 2x2 window, and where it is, as a mask (N, h, w, 4, C)."""
    N, H, W, C = x.shape
    h, w = (H + 1) // 2, (W + 1) // 2
    x = jnp.pad(x, ((0, 0), (0, H % 2), (0, W % 2), (0, 0)), constant_values=-jnp.inf)
    windows = x.reshape(N, h, 2, w, 2, C).swapaxes(2, 3).reshape(N, h, w, 4, C)
    chosen = jax.nn.one_hot(windows.argmax(3), 4, axis=3, dtype=bool)
    return jnp.where(chosen, windows, 0).sum(3), chosen


def _max_unpool(x: jax.Array, chosen: jax.Array, size: tuple[int, int]) -> jax.Array:
    N, h, w, C = x.shape
    windows = jnp.where(chosen, x[:, :, :, None], 0).reshape(N, h, w, 2, 2, C)
    return windows.swapaxes(2, 3).reshape(N, 2 * h, 2 * w, C)[:, : size[0], : size[1]]
