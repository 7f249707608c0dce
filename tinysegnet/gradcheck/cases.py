"""Small test arguments of order 1 for every op, including many edge cases. The table `cases.toml` lists them.

They include odd sizes, H != W, two samples, channel counts that are not multiples of 4, kernels larger than the
picture, strides, overlapping windows and 1x1 pictures. Where an op has kinks (ReLU, pooling), the values come from a
shuffled grid whose spacing is far larger than any step.

A case draws its arguments from a generator, so they differ for every seed. The tests fail if an op has no case.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import numpy as np

from .. import ops

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Shape = tuple[int, ...]
Generator = np.random.Generator


@dataclass(frozen=True)
class Case:
    """Arguments of `<op>_forward(*arrays, **kwargs)`, drawn by `draw(rng)`. gradient: whether to check gradients."""

    op: str
    name: str
    draw: Callable[[Generator], Arguments]
    gradient: bool = True

    def arguments(self, seed: int = 0) -> Arguments:
        """Return (arrays, kwargs) for a seed."""
        return self.draw(np.random.default_rng([seed, 0]))


def cases_of(op: str) -> list[Case]:
    """Return all cases of an op, including those that check values only."""
    return [case for case in CASES if case.op == op]


# --- the functions that draw the arguments of a row; settings are passed to the op ------------------------------------


def _convolution(inputs: Shape, features: int, rng: Generator, x: Shape, weight: Shape, bias: bool = True,
                 **settings: Any) -> Arguments:  # fmt: skip
    """inputs: the axes of weight that an output value sums over. features: the axis of the bias."""
    scaled = rng.standard_normal(weight) / np.sqrt(np.prod([weight[axis] for axis in inputs]))
    return (rng.standard_normal(x), scaled, rng.standard_normal(weight[features]) if bias else None), settings


def _normal(rng: Generator, shape: Shape, scale: float = 1, **settings: Any) -> Arguments:
    return (scale * rng.standard_normal(shape),), settings


def _grid(rng: Generator, shape: Shape, **settings: Any) -> Arguments:
    """Draw numbers between -2 and 2, nonzero and 4/size apart, in random order."""
    size = int(np.prod(shape))
    return (rng.permutation((np.arange(size) + 0.5 - size // 2) * (4 / size)).reshape(shape),), settings


def _ties(rng: Generator, shape: Shape, end: int = 1, **settings: Any) -> Arguments:
    """Draw whole numbers from -1 to before `end`."""
    return (rng.integers(-1, end, shape).astype(float),), settings


def _enormous(rng: Generator, shape: Shape) -> Arguments:
    return (rng.choice([-1e4, -3.0, 0.0, 3.0, 1e4], shape),), {}


def _unpooled(rng: Generator, shape: Shape, **settings: Any) -> Arguments:
    (pooled, indices), _ = ops.max_pool2d_forward(rng.standard_normal(shape), **settings)
    return (rng.standard_normal(pooled.shape), indices), {"output_size": shape[1:3], **settings}


def _batchnorm(rng: Generator, shape: Shape, given: bool = False, **settings: Any) -> Arguments:
    """given: whether mean and variance are arguments."""
    C = shape[3]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 1.5, C) + rng.uniform(-2, 2, C)
    statistics = {"mean": rng.standard_normal(C), "var": rng.uniform(0.5, 2, C)} if given else {}
    gamma = rng.uniform(0.5, 1.5, C) * rng.choice([-1, 1], C)
    return (x, gamma, rng.standard_normal(C)), settings | statistics


def _far_from_0(rng: Generator, shape: Shape) -> Arguments:
    return (rng.standard_normal(shape) + 100, np.ones(shape[3]), np.zeros(shape[3])), {}


def _dropout(rng: Generator, shape: Shape, **settings: Any) -> Arguments:
    mask = rng.random(shape) >= settings.get("rate", 0.5)
    mask[0] = True
    return (rng.standard_normal(shape), mask), settings


def _loss(rng: Generator, shape: Shape, void: int | None = None, weighted: bool | None = None, scale: float = 1.0,
          **settings: Any) -> Arguments:  # fmt: skip
    """With a void label, about a third of the pixels are void, but never the first pixel of a picture."""
    K, settings = max(shape[-1], 2), {**settings, "ignore_label": void}
    if weighted is not None:  # None: the op has no class weights
        settings["class_weights"] = rng.uniform(0.5, 2, K) if weighted else None
    logits = scale * rng.standard_normal(shape)
    labels = rng.integers(0, K, shape[:-1]).astype(np.uint8)
    if void is not None:
        labels[rng.random(shape[:-1]) < 0.3] = void
        labels[:, 0, 0] = rng.integers(0, K, len(labels))
    return (logits, labels), settings


def _cross_entropy(rng: Generator, shape: Shape, normalizer: str = "count", **row: Any) -> Arguments:
    return _loss(rng, shape, normalizer=normalizer, **{"weighted": False, **row})


def _one_label(rng: Generator, classes: int, label: int, **settings: Any) -> Arguments:
    if "class_weights" in settings:
        settings["class_weights"] = np.array(settings["class_weights"])
    return (rng.standard_normal((2, 2, 3, classes)), np.full((2, 2, 3), label)), settings


_DRAWS: dict[str, Callable[..., Arguments]] = {
    "conv": partial(_convolution, (0, 1, 2), 3), "transposed": partial(_convolution, (0, 1, 3), 2),
    "depthwise": partial(_convolution, (0, 1), 3), "normal": _normal, "grid": _grid, "ties": _ties,
    "enormous": _enormous, "unpooled": _unpooled, "batchnorm": _batchnorm, "far_from_0": _far_from_0,
    "dropout": _dropout, "loss": _loss, "cross_entropy": _cross_entropy, "one_label": _one_label,
}  # fmt: skip


def _read_cases() -> list[Case]:
    """Read the table, and derive the cases of ops whose arguments are those of another op."""
    tables = tomllib.loads((files(__package__) / "cases.toml").read_text(encoding="utf-8"))
    pool = tables["max_pool2d"]["grid"]
    tables["max_unpool2d"] = {"unpooled": {name: row for name, row in pool.items() if "overlapping" not in name}}
    tables["max_pool2d"]["ties"] = {f"{name}: ties": row | {"gradient": False} for name, row in pool.items()}
    tables["batchnorm2d_relu"] = tables["batchnorm2d"]
    tables["upsample_bilinear2d"] = tables["upsample_nearest2d"]
    found = []
    for op, draws in tables.items():
        for draw, rows in draws.items():
            for name, row in rows.items():
                own = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
                gradient = bool(own.pop("gradient", True))
                found.append(Case(op, name, partial(_DRAWS[draw], **own), gradient))
    return found


CASES = _read_cases()  #: The cases of all ops, at least one per op.
