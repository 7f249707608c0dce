"""Tiny arguments for every op: of order 1, and awkward on purpose.

Odd sizes, H != W, two samples, channels that are no multiple of 4, kernels larger than the picture, strides,
overlapping windows, 1x1 pictures. Where an op has kinks (ReLU, pooling), numbers come from a shuffled grid whose
spacing is far larger than any step. Cases with gradient=False are about values only: ties, zeros, enormous logits.

A case draws its arguments from a generator, so that there is one for every seed. An op without a case fails the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops

__all__ = ["CASES", "Case", "cases_of"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """`draw(rng)` -> (arrays, kwargs) for `<op>_forward(*arrays, **kwargs)`. gradient: to be differentiated there."""

    op: str
    name: str
    draw: Callable[[np.random.Generator], Arguments]
    gradient: bool = True

    def arguments(self, seed: int = 0) -> Arguments:
        """(arrays, kwargs) for a seed."""
        return self.draw(np.random.default_rng([seed, 0]))


CASES: list[Case] = []


def cases_of(op: str) -> list[Case]:
    """All cases of an op, those about values only included."""
    return [case for case in CASES if case.op == op]


def case(op: str, name: str, *, gradient: bool = True) -> Callable:
    """Register the function below as a case."""

    def register(draw: Callable[[np.random.Generator], Arguments]) -> Callable:
        CASES.append(Case(op, name, draw, gradient))
        return draw

    return register


def grid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers between -2 and 2, no two closer than 4/size, none at 0, in random order."""
    size = int(np.prod(shape))
    return rng.permutation((np.arange(size) + 0.5 - size // 2) * (4 / size)).reshape(shape)


# --- convolution -----------------------------------------------------------------------------------------------------

STRIDES = {"stride": (2, 3), "padding": (1, 2)}
#     name                                        x               weight        bias   settings
CONV: list[tuple[str, tuple[int, ...], tuple[int, ...], bool, dict[str, Any]]] = [
    ("3x3 same, odd sizes",                       (2, 5, 3, 3),   (3, 3, 3, 2), True,  {}),
    ("5x3, same",                                 (2, 4, 5, 2),   (5, 3, 2, 3), True,  {}),
    ("7x7, larger than the picture",              (2, 4, 3, 2),   (7, 7, 2, 1), True,  {}),
    ("2x2, same: the surplus is at the end",      (2, 3, 4, 2),   (2, 2, 2, 3), True,  {}),
    ("3x3, stride 2",                             (2, 5, 6, 3),   (3, 3, 3, 2), True,  {"stride": 2}),
    ("3x2, stride (2, 3), padding (1, 2)",        (2, 5, 6, 2),   (3, 2, 2, 3), True,  STRIDES),
    ("2x2, stride 3: pixels that nobody reads",   (2, 6, 7, 2),   (2, 2, 2, 2), True,  {"stride": 3, "padding": 0}),
    ("3x3, padding wider than the kernel",        (2, 3, 2, 2),   (3, 3, 2, 2), True,  {"padding": 3}),
    ("3x3, valid, no bias",                       (2, 5, 4, 3),   (3, 3, 3, 2), False, {"padding": "valid"}),
    ("1x1 kernel",                                (2, 3, 4, 5),   (1, 1, 5, 3), True,  {}),
    ("1x1 picture",                               (3, 1, 1, 5),   (3, 3, 5, 2), True,  {}),
    ("larger: several tasks and register tiles",  (2, 7, 19, 18), (3, 3, 18, 21), True, {}),
]  # fmt: skip


#     name                                          x               weight
TRANSPOSED: list[tuple[str, tuple[int, ...], tuple[int, ...], bool, dict[str, Any]]] = [
    ("3x3 same, odd sizes",                         (2, 3, 5, 2),   (3, 3, 3, 2), True,  {}),
    ("2x2, stride 2",                               (2, 3, 4, 2),   (2, 2, 3, 2), True,  {"stride": 2}),
    ("4x3, stride 2, the smallest output",          (2, 3, 2, 2),   (4, 3, 2, 2), True,
     {"stride": 2, "output_size": (5, 3)}),
    ("3x2, stride (2, 3), padding (1, 2), largest", (2, 3, 3, 2),   (3, 2, 2, 2), True,
     STRIDES | {"output_size": (6, 6)}),
    ("2x2, stride 3: pixels that get nothing",      (2, 2, 3, 2),   (2, 2, 2, 2), True,
     {"stride": 3, "padding": 0, "output_size": (7, 10)}),
    ("5x5, larger than the picture",                (2, 3, 2, 1),   (5, 5, 2, 1), True,  {}),
    ("2x2, padding wider than the kernel",          (2, 5, 4, 2),   (2, 2, 2, 2), True,  {"padding": 2}),
    ("3x2, valid, no bias",                         (2, 3, 2, 3),   (3, 2, 2, 3), False, {"padding": "valid"}),
    ("1x1 kernel",                                  (2, 3, 2, 5),   (1, 1, 3, 5), True,  {}),
    ("1x1 picture, stride 2",                       (3, 1, 1, 5),   (3, 3, 1, 5), True,  {"stride": 2}),
    ("larger: several tasks, stride 2",             (2, 8, 9, 15),  (3, 3, 16, 15), True, {"stride": 2}),
]  # fmt: skip
DEPTHWISE: list[tuple[str, tuple[int, ...], tuple[int, ...], bool, dict[str, Any]]] = [
    ("3x3 same, odd sizes",                         (2, 5, 3, 3),   (3, 3, 1, 3), True,  {}),
    ("2x4, same: the surplus is at the end",        (2, 3, 6, 2),   (2, 4, 1, 2), True,  {}),
    ("5x5, larger than the picture",                (2, 3, 2, 2),   (5, 5, 1, 2), True,  {}),
    ("3x2, stride (2, 3), padding (1, 2)",          (2, 4, 5, 2),   (3, 2, 1, 2), True,  STRIDES),
    ("2x2, stride 3: pixels that nobody reads",     (2, 5, 6, 2),   (2, 2, 1, 2), True,  {"stride": 3, "padding": 0}),
    ("3x3, padding wider than the kernel",          (2, 3, 2, 2),   (3, 3, 1, 2), True,  {"padding": 3}),
    ("3x2, valid, no bias",                         (2, 5, 4, 2),   (3, 2, 1, 2), False, {"padding": "valid"}),
    ("1x1 kernel, 1x1 picture",                     (3, 1, 1, 5),   (1, 1, 1, 5), True,  {}),
    ("larger: several tasks and chunks of rows",    (2, 18, 7, 9),  (2, 3, 1, 9), True,  {}),
]  # fmt: skip


def _conv_case(op: str, inputs: tuple[int, ...], features: int, name: str, x: tuple[int, ...], weight: tuple[int, ...],
               bias: bool, settings: dict[str, Any]) -> None:  # fmt: skip
    """inputs: the axes of weight that an output number sums over. features: the one that bias has."""

    @case(op, name)
    def draw(rng: np.random.Generator) -> Arguments:
        scaled = rng.standard_normal(weight) / np.sqrt(np.prod([weight[axis] for axis in inputs]))
        return (rng.standard_normal(x), scaled, rng.standard_normal(weight[features]) if bias else None), settings


for row in CONV:
    _conv_case("conv2d", (0, 1, 2), 3, *row)
for row in TRANSPOSED:
    _conv_case("conv_transpose2d", (0, 1, 3), 2, *row)
for row in DEPTHWISE:
    _conv_case("depthwise_conv2d", (0, 1), 3, *row)


# --- pooling and unpooling -------------------------------------------------------------------------------------------

#        name                           x              settings
POOL: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("2x2, odd sizes",                  (2, 5, 3, 5),  {}),
    ("2x2, even sizes",                 (2, 4, 6, 3),  {}),
    ("3x3, stride 3",                   (2, 7, 5, 2),  {"size": 3, "stride": 3}),
    ("2x2, stride 3: gaps",             (2, 7, 5, 2),  {"size": 2, "stride": 3}),
    ("1x1 picture",                     (2, 1, 1, 5),  {}),
    ("larger",                          (2, 13, 11, 9), {}),
]  # fmt: skip
OVERLAPPING: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("3x3, stride 2, overlapping",      (2, 5, 6, 3),  {"size": 3, "stride": 2}),
    ("3x3, stride 1, overlapping",      (2, 4, 3, 2),  {"size": 3, "stride": 1}),
    ("3x2, stride (2, 1), overlapping", (2, 6, 4, 2),  {"size": (3, 2), "stride": (2, 1)}),
]  # fmt: skip


def _pool_case(name: str, shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    @case("max_pool2d", name)
    def draw(rng: np.random.Generator) -> Arguments:
        return (grid(rng, shape),), settings

    @case("max_pool2d", f"{name}: ties", gradient=False)
    def draw_ties(rng: np.random.Generator) -> Arguments:
        return (rng.integers(-1, 1, shape).astype(float),), settings


def _unpool_case(name: str, shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    @case("max_unpool2d", name)
    def draw(rng: np.random.Generator) -> Arguments:
        (pooled, indices), _ = ops.max_pool2d_forward(rng.standard_normal(shape), **settings)
        return (rng.standard_normal(pooled.shape), indices), {"output_size": shape[1:3], **settings}


for name, shape, settings in POOL:
    _pool_case(name, shape, settings)
    _unpool_case(name, shape, settings)
for name, shape, settings in OVERLAPPING:
    _pool_case(name, shape, settings)


# --- normalisation and activations -----------------------------------------------------------------------------------


def _batchnorm_case(name: str, shape: tuple[int, ...], given: bool = False, **settings: Any) -> None:
    @case("batchnorm2d_relu", name)
    @case("batchnorm2d", name)
    def draw(rng: np.random.Generator) -> Arguments:
        C = shape[3]
        x = rng.standard_normal(shape) * rng.uniform(0.5, 1.5, C) + rng.uniform(-2, 2, C)
        statistics = {"mean": rng.standard_normal(C), "var": rng.uniform(0.5, 2, C)} if given else {}
        gamma = rng.uniform(0.5, 1.5, C) * rng.choice([-1, 1], C)
        return (x, gamma, rng.standard_normal(C)), settings | statistics


_batchnorm_case("few pixels", (2, 3, 2, 3))
_batchnorm_case("one row", (2, 1, 5, 2))
_batchnorm_case("1x1 pictures", (5, 1, 1, 3))
_batchnorm_case("a large eps", (2, 2, 3, 2), eps=0.1)
_batchnorm_case("given statistics", (2, 3, 2, 3), given=True)
_batchnorm_case("given statistics, one pixel", (1, 1, 1, 5), given=True)
_batchnorm_case("larger", (2, 9, 14, 9))


@case("batchnorm2d_relu", "a mean far from 0", gradient=False)
@case("batchnorm2d", "a mean far from 0", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal((2, 9, 7, 3)) + 100, np.ones(3), np.zeros(3)), {}


@case("relu", "a grid")
def _(rng: np.random.Generator) -> Arguments:
    return (grid(rng, (2, 5, 3, 5)),), {}


@case("relu", "a vector")
def _(rng: np.random.Generator) -> Arguments:
    return (grid(rng, (7,)),), {}


@case("relu", "larger")
def _(rng: np.random.Generator) -> Arguments:
    return (grid(rng, (2, 13, 11, 9)),), {}


@case("relu", "zeros", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    return (rng.integers(-1, 2, (2, 3, 4, 3)).astype(float),), {}


@case("softmax", "pixels")
def _(rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal((2, 3, 2, 5)),), {}


@case("softmax", "one vector")
def _(rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal(4),), {}


@case("softmax", "larger")
def _(rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal((2, 13, 11, 9)),), {}


@case("softmax", "enormous", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    return (rng.choice([-1e4, -3.0, 0.0, 3.0, 1e4], (2, 5, 3, 4)),), {}


# --- loss ------------------------------------------------------------------------------------------------------------


def _labels(rng: np.random.Generator, shape: tuple[int, ...], K: int, void: int | None) -> np.ndarray:
    """Random classes; about a third void where asked, and never a picture's first pixel."""
    labels = rng.integers(0, K, shape).astype(np.uint8)
    if void is not None:
        labels[rng.random(shape) < 0.3] = void
        labels[:, 0, 0] = rng.integers(0, K, len(labels))
    return labels


def _loss_case(name: str, shape: tuple[int, ...], void: int | None, weights: bool, normalizer: str = "count",
               scale: float = 1.0, gradient: bool = True) -> None:  # fmt: skip
    @case("softmax_cross_entropy", name, gradient=gradient)
    def draw(rng: np.random.Generator) -> Arguments:
        settings: dict[str, Any] = {"normalizer": normalizer, "ignore_label": void}
        settings["class_weights"] = rng.uniform(0.5, 2, shape[-1]) if weights else None
        return (scale * rng.standard_normal(shape), _labels(rng, shape[:-1], shape[-1], void)), settings


_loss_case("all labelled", (2, 3, 2, 4), None, False)
_loss_case("void pixels", (2, 3, 2, 4), 11, False)
_loss_case("void pixels, class weights", (2, 3, 2, 5), 255, True)
_loss_case("void pixels, class weights, divided by their sum", (2, 3, 2, 5), 255, True, "weights")
_loss_case("void is class 0", (2, 2, 3, 3), 0, True)
_loss_case("1x1 picture", (2, 1, 1, 3), None, True)
_loss_case("larger: several tasks", (2, 25, 27, 3), 255, True)
_loss_case("enormous logits", (2, 3, 4, 5), 255, True, scale=1e4, gradient=False)


@case("softmax_cross_entropy", "all void", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal((2, 2, 3, 4)), np.full((2, 2, 3), 11)), {"ignore_label": 11}


@case("softmax_cross_entropy", "only classes of weight 0", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    settings = {"class_weights": np.array([1.0, 0.0, 1.0]), "normalizer": "weights"}
    return (rng.standard_normal((2, 2, 3, 3)), np.ones((2, 2, 3), int)), settings


# --- sigmoid and its loss --------------------------------------------------------------------------------------------


def _sigmoid_case(name: str, shape: tuple[int, ...]) -> None:
    @case("sigmoid", name)
    def draw(rng: np.random.Generator) -> Arguments:
        return (rng.standard_normal(shape),), {}


_sigmoid_case("pixels", (2, 3, 2, 5))
_sigmoid_case("1x1 pictures", (2, 1, 1, 1))
_sigmoid_case("larger", (2, 13, 11, 9))


@case("sigmoid", "enormous", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    return (rng.choice([-1e4, -3.0, 0.0, 3.0, 1e4], (2, 5, 3, 4)),), {}


def _binary_loss_case(name: str, shape: tuple[int, ...], void: int | None, weights: bool, normalizer: str = "count",
                      scale: float = 1.0, gradient: bool = True) -> None:  # fmt: skip
    @case("sigmoid_cross_entropy", name, gradient=gradient)
    def draw(rng: np.random.Generator) -> Arguments:
        settings: dict[str, Any] = {"normalizer": normalizer, "ignore_label": void}
        settings["class_weights"] = rng.uniform(0.5, 2, 2) if weights else None
        return (scale * rng.standard_normal((*shape, 1)), _labels(rng, shape, 2, void)), settings


_binary_loss_case("all labelled", (2, 3, 2), None, False)
_binary_loss_case("void pixels, class weights", (2, 3, 5), 2, True)
_binary_loss_case("void pixels, class weights, divided by their sum", (2, 3, 5), 255, True, "weights")
_binary_loss_case("1x1 picture", (2, 1, 1), None, True)
_binary_loss_case("larger: several tasks", (2, 25, 27), 255, True)
_binary_loss_case("enormous logits", (2, 3, 4), 255, True, scale=1e4, gradient=False)


@case("sigmoid_cross_entropy", "all void", gradient=False)
def _(rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal((2, 2, 3, 1)), np.full((2, 2, 3), 255)), {"ignore_label": 255}


# --- dropout and local response --------------------------------------------------------------------------------------


def _dropout_case(name: str, shape: tuple[int, ...], **settings: Any) -> None:
    @case("dropout", name)
    def draw(rng: np.random.Generator) -> Arguments:
        mask = rng.random(shape) >= settings.get("rate", 0.5)
        mask[0] = True
        return (rng.standard_normal(shape), mask), settings


_dropout_case("a half", (2, 5, 3, 5))
_dropout_case("four fifths", (2, 3, 4, 3), rate=0.8)
_dropout_case("nothing", (2, 2, 3, 2), rate=0.0)
_dropout_case("1x1 pictures", (3, 1, 1, 5))
_dropout_case("larger", (2, 13, 11, 9), rate=0.3)


def _response_case(name: str, shape: tuple[int, ...], scale: float = 1.0, gradient: bool = True,
                   **settings: Any) -> None:  # fmt: skip
    @case("local_response_norm", name, gradient=gradient)
    def draw(rng: np.random.Generator) -> Arguments:
        return (scale * rng.standard_normal(shape),), settings


_response_case("3 channels, all in one window", (2, 3, 2, 3), alpha=1.0)
_response_case("7 channels, windows of 5", (2, 3, 2, 7), alpha=1.0, k=2.0)
_response_case("windows of 3, a strong one", (2, 2, 3, 5), size=3, alpha=2.0, beta=2.0, k=0.5)
_response_case("windows of 1", (2, 2, 3, 2), size=1, alpha=1.0, beta=0.5)
_response_case("1x1 pictures, the usual settings", (2, 1, 1, 6))
_response_case("larger: several tasks", (2, 13, 11, 9), alpha=1.0)
_response_case("as large as pictures", (2, 5, 3, 3), scale=100, gradient=False)
_response_case("tiny", (2, 5, 3, 6), scale=1e-30, gradient=False)


# --- upsampling ------------------------------------------------------------------------------------------------------

#        name                           x              settings
UPSAMPLING: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("by 2, cropped",                   (2, 3, 4, 3),  {"output_size": (5, 7)}),
    ("by (1, 3)",                       (2, 3, 2, 5),  {"factor": (1, 3)}),
    ("by 4, cropped as far as it goes", (2, 2, 3, 2),  {"factor": 4, "output_size": (5, 9)}),
    ("1x1 picture",                     (2, 1, 1, 5),  {"factor": (2, 3)}),
    ("larger",                          (2, 7, 11, 9), {}),
]  # fmt: skip


def _upsampling_case(name: str, shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    @case("upsample_bilinear2d", name)
    @case("upsample_nearest2d", name)
    def draw(rng: np.random.Generator) -> Arguments:
        return (rng.standard_normal(shape),), settings


for name, shape, settings in UPSAMPLING:
    _upsampling_case(name, shape, settings)
