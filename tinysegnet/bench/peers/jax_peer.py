"""Networks in JAX: arrays (N, H, W, C), pure functions, automatic differentiation and jit."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ...models import build
from ..workloads import CLASSES, Workload, inputs

Arrays = dict[str, dict[str, jax.Array]]  # by layer, and within a layer by name


def prepare(workload: Workload, variant: str, threads: int, dtype: str = "float32") -> Callable[[], dict[str, Any]]:
    """Create inputs and network; return a function that does one run and returns its results by name."""
    os.environ["NPROC"] = str(threads)  # XLA reads it when JAX computes for the first time
    layers = build(workload.model, CLASSES).layers
    state = tuple({name: {key: jnp.array(array) for key, array in getattr(layer, kind).items()}
                   for name, layer in layers.items()} for kind in ("params", "buffers"))  # fmt: skip
    pictures, labels = map(jnp.array, inputs(workload, dtype).values())
    if workload.kind == "infer":
        infer = jax.jit(lambda params, running, x: {"logits": _forward(layers, params, running, x, False)[0]})
        return lambda: jax.block_until_ready(infer(*state, pictures))
    step, state = jax.jit(partial(_step, layers), donate_argnums=0), (*state, jax.tree.map(jnp.zeros_like, state[0]))

    def run() -> dict[str, Any]:
        nonlocal state
        state, results = step(state, pictures, labels)
        return jax.block_until_ready(results)

    return run


def _step(layers: dict[str, Any], state: tuple[Arrays, Arrays, Arrays], x: jax.Array, labels: jax.Array) -> Any:
    """Return the parameters, running statistics and velocities after a step of SGD, and the results."""
    params, running, velocity = state

    def loss_of(params: Arrays) -> Any:
        logits, updated = _forward(layers, params, running, x, True)
        loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean()
        return loss, (logits, updated)

    (loss, (logits, running)), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    velocity = jax.tree.map(lambda v, gradient: 0.9 * v + gradient, velocity, grads)
    params = jax.tree.map(lambda param, v: param - 0.01 * v, params, velocity)
    return (params, running, velocity), {"logits": logits, "loss": loss}


def _forward(layers: dict[str, Any], params: Arrays, running: Arrays, x: jax.Array, training: bool) -> Any:
    """Return the logits and the new running statistics."""
    pooled, running = [], dict(running)
    for name, layer in layers.items():
        match layer.op:
            case "conv2d":
                numbers = ("NHWC", "HWIO", "NHWC")
                x = jax.lax.conv_general_dilated(x, params[name]["weight"], (1, 1), "SAME", dimension_numbers=numbers)
                x += params[name].get("bias", 0)
            case "batchnorm2d":
                mean, var = running[name]["running_mean"], running[name]["running_var"]
                if training:
                    mean, var, old, n = x.mean((0, 1, 2)), x.var((0, 1, 2)), running[name], x.size // x.shape[3]
                    new = {"running_mean": mean, "running_var": var * (n / (n - 1))}
                    running[name] = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, old, new)
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
                x = _local_response_norm(x, **layer.settings)
            case _:
                x = (x - layer.mean) / layer.scale
    return x, running


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


def _local_response_norm(x: jax.Array, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (size // 2, size // 2)))
    return x * (k + alpha / size * sum(squares[..., i : i + x.shape[3]] for i in range(size))) ** -beta
