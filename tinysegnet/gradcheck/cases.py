"""Small test arguments of order 1 for every op, including many edge cases.

They include odd sizes, H != W, two samples, channel counts that are not multiples of 4, kernels larger than the
picture, strides, overlapping windows and 1x1 pictures. Where an op has kinks (ReLU, pooling), the values come from a
shuffled grid whose spacing is far larger than any step. Cases with gradient=False check only values.

A case draws its arguments from a generator, so they differ for every seed. The tests fail if an op has no case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import ops

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Draw = Callable[[np.random.Generator], Arguments]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """Arguments of `<op>_forward(*arrays, **kwargs)`, drawn by `draw(rng)`. gradient: whether to check gradients."""

    op: str
    name: str
    draw: Draw
    gradient: bool = True

    def arguments(self, seed: int = 0) -> Arguments:
        """Return (arrays, kwargs) for a seed."""
        return self.draw(np.random.default_rng([seed, 0]))


CASES: list[Case] = []  #: The cases of all ops, at least one per op.


def cases_of(op: str) -> list[Case]:
    """Return all cases of an op, including those that check values only."""
    return [case for case in CASES if case.op == op]


def add(op: str, name: str, draw: Draw, *, gradient: bool = True) -> None:
    """Add a case to CASES."""
    CASES.append(Case(op, name, draw, gradient))


def add_drawn(op: str, name: str, values: Callable[[np.random.Generator], np.ndarray], *, gradient: bool = True,
              **settings: Any) -> None:  # fmt: skip
    """Add a case with one array and fixed settings."""
    add(op, name, lambda rng: ((values(rng),), settings), gradient=gradient)


def normal(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator], np.ndarray]:
    """Return a function that draws normally distributed numbers."""
    return lambda rng: scale * rng.standard_normal(shape)


def grid(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Return a function that draws numbers between -2 and 2, nonzero and 4/size apart, in random order."""
    size = int(np.prod(shape))
    return lambda rng: rng.permutation((np.arange(size) + 0.5 - size // 2) * (4 / size)).reshape(shape)


STRIDES = {"stride": (2, 3), "padding": (1, 2)}
#     name                                        x               weight        bias   settings
CONV: list[tuple] = [
    ("3x3 same, odd sizes",                       (2, 5, 3, 3),   (3, 3, 3, 2), True,  {}),
    ("5x3, same",                                 (2, 4, 5, 2),   (5, 3, 2, 3), True,  {}),
    ("7x7, larger than the picture",              (2, 4, 3, 2),   (7, 7, 2, 1), True,  {}),
    ("2x2, same, with an extra zero at the end",  (2, 3, 4, 2),   (2, 2, 2, 3), True,  {}),
    ("3x3, stride 2",                             (2, 5, 6, 3),   (3, 3, 3, 2), True,  {"stride": 2}),
    ("3x2, stride (2, 3), padding (1, 2)",        (2, 5, 6, 2),   (3, 2, 2, 3), True,  STRIDES),
    ("2x2, stride 3: pixels no window reads",     (2, 6, 7, 2),   (2, 2, 2, 2), True,  {"stride": 3, "padding": 0}),
    ("3x3, padding wider than the kernel",        (2, 3, 2, 2),   (3, 3, 2, 2), True,  {"padding": 3}),
    ("3x3, valid, no bias",                       (2, 5, 4, 3),   (3, 3, 3, 2), False, {"padding": "valid"}),
    ("1x1 kernel",                                (2, 3, 4, 5),   (1, 1, 5, 3), True,  {}),
    ("1x1 picture",                               (3, 1, 1, 5),   (3, 3, 5, 2), True,  {}),
    ("larger: several tasks and register tiles",  (2, 7, 19, 18), (3, 3, 18, 21), True, {}),
]  # fmt: skip
TRANSPOSED: list[tuple] = [
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
DEPTHWISE: list[tuple] = [
    ("3x3 same, odd sizes",                         (2, 5, 3, 3),   (3, 3, 1, 3), True,  {}),
    ("2x4, same, with an extra zero at the end",    (2, 3, 6, 2),   (2, 4, 1, 2), True,  {}),
    ("5x5, larger than the picture",                (2, 3, 2, 2),   (5, 5, 1, 2), True,  {}),
    ("3x2, stride (2, 3), padding (1, 2)",          (2, 4, 5, 2),   (3, 2, 1, 2), True,  STRIDES),
    ("2x2, stride 3: pixels no window reads",       (2, 5, 6, 2),   (2, 2, 1, 2), True,  {"stride": 3, "padding": 0}),
    ("3x3, padding wider than the kernel",          (2, 3, 2, 2),   (3, 3, 1, 2), True,  {"padding": 3}),
    ("3x2, valid, no bias",                         (2, 5, 4, 2),   (3, 2, 1, 2), False, {"padding": "valid"}),
    ("1x1 kernel, 1x1 picture",                     (3, 1, 1, 5),   (1, 1, 1, 5), True,  {}),
    ("larger: several tasks and chunks of rows",    (2, 18, 7, 9),  (2, 3, 1, 9), True,  {}),
]  # fmt: skip


def _conv_case(op: str, inputs: Shape, features: int, name: str, x: Shape, weight: Shape, bias: bool,
               settings: dict[str, Any]) -> None:  # fmt: skip
    """Add a case. inputs: the axes of weight that an output value sums over. features: the axis of the bias."""

    def draw(rng: np.random.Generator) -> Arguments:
        scaled = rng.standard_normal(weight) / np.sqrt(np.prod([weight[axis] for axis in inputs]))
        return (rng.standard_normal(x), scaled, rng.standard_normal(weight[features]) if bias else None), settings

    add(op, name, draw)


for row in CONV:
    _conv_case("conv2d", (0, 1, 2), 3, *row)
for row in TRANSPOSED:
    _conv_case("conv_transpose2d", (0, 1, 3), 2, *row)
for row in DEPTHWISE:
    _conv_case("depthwise_conv2d", (0, 1), 3, *row)

#        name                           x              settings
POOL: list[tuple] = [
    ("2x2, odd sizes",                  (2, 5, 3, 5),  {}),
    ("2x2, even sizes",                 (2, 4, 6, 3),  {}),
    ("3x3, stride 3",                   (2, 7, 5, 2),  {"size": 3, "stride": 3}),
    ("2x2, stride 3: gaps",             (2, 7, 5, 2),  {"size": 2, "stride": 3}),
    ("1x1 picture",                     (2, 1, 1, 5),  {}),
    ("larger",                          (2, 13, 11, 9), {}),
]  # fmt: skip
OVERLAPPING: list[tuple] = [
    ("3x3, stride 2, overlapping",      (2, 5, 6, 3),  {"size": 3, "stride": 2}),
    ("3x3, stride 1, overlapping",      (2, 4, 3, 2),  {"size": 3, "stride": 1}),
    ("3x2, stride (2, 1), overlapping", (2, 6, 4, 2),  {"size": (3, 2), "stride": (2, 1)}),
]  # fmt: skip


def _unpool_case(name: str, shape: Shape, settings: dict[str, Any]) -> None:
    def draw(rng: np.random.Generator) -> Arguments:
        (pooled, indices), _ = ops.max_pool2d_forward(rng.standard_normal(shape), **settings)
        return (rng.standard_normal(pooled.shape), indices), {"output_size": shape[1:3], **settings}

    add("max_unpool2d", name, draw)


def _pool_case(name: str, shape: Shape, settings: dict[str, Any]) -> None:
    add_drawn("max_pool2d", name, grid(*shape), **settings)
    add_drawn("max_pool2d", f"{name}: ties", lambda rng: rng.integers(-1, 1, shape).astype(float), gradient=False,
              **settings)  # fmt: skip


for row in POOL:
    _pool_case(*row)
    _unpool_case(*row)
for row in OVERLAPPING:
    _pool_case(*row)


def _batchnorm_case(name: str, shape: Shape, given: bool = False, **settings: Any) -> None:
    def draw(rng: np.random.Generator) -> Arguments:
        C = shape[3]
        x = rng.standard_normal(shape) * rng.uniform(0.5, 1.5, C) + rng.uniform(-2, 2, C)
        statistics = {"mean": rng.standard_normal(C), "var": rng.uniform(0.5, 2, C)} if given else {}
        gamma = rng.uniform(0.5, 1.5, C) * rng.choice([-1, 1], C)
        return (x, gamma, rng.standard_normal(C)), settings | statistics

    add("batchnorm2d", name, draw)
    add("batchnorm2d_relu", name, draw)


_batchnorm_case("few pixels", (2, 3, 2, 3))
_batchnorm_case("one row", (2, 1, 5, 2))
_batchnorm_case("1x1 pictures", (5, 1, 1, 3))
_batchnorm_case("a large eps", (2, 2, 3, 2), eps=0.1)
_batchnorm_case("given statistics", (2, 3, 2, 3), given=True)
_batchnorm_case("given statistics, one pixel", (1, 1, 1, 5), given=True)
_batchnorm_case("larger", (2, 9, 14, 9))
for op in ("batchnorm2d", "batchnorm2d_relu"):
    add(op, "a mean far from 0", lambda rng: ((rng.standard_normal((2, 9, 7, 3)) + 100, np.ones(3), np.zeros(3)), {}),
        gradient=False)  # fmt: skip

add_drawn("relu", "a grid", grid(2, 5, 3, 5))
add_drawn("relu", "a vector", grid(7))
add_drawn("relu", "larger", grid(2, 13, 11, 9))
add_drawn("relu", "zeros", lambda rng: rng.integers(-1, 2, (2, 3, 4, 3)).astype(float), gradient=False)
add_drawn("softmax", "pixels", normal(2, 3, 2, 5))
add_drawn("softmax", "one vector", normal(4))
add_drawn("softmax", "larger", normal(2, 13, 11, 9))
add_drawn("sigmoid", "pixels", normal(2, 3, 2, 5))
add_drawn("sigmoid", "1x1 pictures", normal(2, 1, 1, 1))
add_drawn("sigmoid", "larger", normal(2, 13, 11, 9))
for op in ("softmax", "sigmoid"):
    add_drawn(op, "enormous", lambda rng: rng.choice([-1e4, -3.0, 0.0, 3.0, 1e4], (2, 5, 3, 4)), gradient=False)

RESPONSE = "local_response_norm"
add_drawn(RESPONSE, "3 channels, all in one window", normal(2, 3, 2, 3), alpha=1.0)
add_drawn(RESPONSE, "7 channels, windows of 5", normal(2, 3, 2, 7), alpha=1.0, k=2.0)
add_drawn(RESPONSE, "windows of 3, large alpha and beta", normal(2, 2, 3, 5), size=3, alpha=2.0, beta=2.0, k=0.5)
add_drawn(RESPONSE, "windows of 1", normal(2, 2, 3, 2), size=1, alpha=1.0, beta=0.5)
add_drawn(RESPONSE, "1x1 pictures, the usual settings", normal(2, 1, 1, 6))
add_drawn(RESPONSE, "larger: several tasks", normal(2, 13, 11, 9), alpha=1.0)
add_drawn(RESPONSE, "as large as pictures", normal(2, 5, 3, 3, scale=100), gradient=False)
add_drawn(RESPONSE, "tiny", normal(2, 5, 3, 6, scale=1e-30), gradient=False)


def _dropout_case(name: str, shape: Shape, **settings: Any) -> None:
    def draw(rng: np.random.Generator) -> Arguments:
        mask = rng.random(shape) >= settings.get("rate", 0.5)
        mask[0] = True
        return (rng.standard_normal(shape), mask), settings

    add("dropout", name, draw)


_dropout_case("a half", (2, 5, 3, 5))
_dropout_case("four fifths", (2, 3, 4, 3), rate=0.8)
_dropout_case("nothing", (2, 2, 3, 2), rate=0.0)
_dropout_case("1x1 pictures", (3, 1, 1, 5))
_dropout_case("larger", (2, 13, 11, 9), rate=0.3)


def _loss_case(op: str, name: str, shape: Shape, void: int | None, weights: bool | None, normalizer: str | None = None,
               scale: float = 1.0, gradient: bool = True, **more: float) -> None:  # fmt: skip
    """Add a case. With a void label, about a third of the pixels are void, but never the first pixel of a picture."""
    K = max(shape[-1], 2)
    if op.endswith("cross_entropy"):
        more = {"normalizer": normalizer or "count", **more}  # type: ignore[dict-item]

    def draw(rng: np.random.Generator) -> Arguments:
        settings: dict[str, Any] = {**more, "ignore_label": void}
        if weights is not None:  # None: the op has no class weights
            settings["class_weights"] = rng.uniform(0.5, 2, K) if weights else None
        logits = scale * rng.standard_normal(shape)
        labels = rng.integers(0, K, shape[:-1]).astype(np.uint8)
        if void is not None:
            labels[rng.random(shape[:-1]) < 0.3] = void
            labels[:, 0, 0] = rng.integers(0, K, len(labels))
        return (logits, labels), settings

    add(op, name, draw, gradient=gradient)


def _all_void(K: int, rng: np.random.Generator) -> Arguments:
    return (rng.standard_normal((2, 2, 3, K)), np.full((2, 2, 3), 11)), {"ignore_label": 11}


SOFTMAX_LOSS, SIGMOID_LOSS, FOCAL, DICE = "softmax_cross_entropy", "sigmoid_cross_entropy", "focal_loss", "dice_loss"
_loss_case(SOFTMAX_LOSS, "all labelled", (2, 3, 2, 4), None, False)
_loss_case(SOFTMAX_LOSS, "void pixels", (2, 3, 2, 4), 11, False)
_loss_case(SOFTMAX_LOSS, "void pixels, class weights", (2, 3, 2, 5), 255, True)
_loss_case(SOFTMAX_LOSS, "void pixels, class weights, divided by their sum", (2, 3, 2, 5), 255, True, "weights")
_loss_case(SOFTMAX_LOSS, "void is class 0", (2, 2, 3, 3), 0, True)
_loss_case(SOFTMAX_LOSS, "1x1 picture", (2, 1, 1, 3), None, True)
_loss_case(SOFTMAX_LOSS, "larger: several tasks", (2, 25, 27, 3), 255, True)
_loss_case(SOFTMAX_LOSS, "enormous logits", (2, 3, 4, 5), 255, True, scale=1e4, gradient=False)
_loss_case(SIGMOID_LOSS, "all labelled", (2, 3, 2, 1), None, False)
_loss_case(SIGMOID_LOSS, "void pixels, class weights", (2, 3, 5, 1), 2, True)
_loss_case(SIGMOID_LOSS, "void pixels, class weights, divided by their sum", (2, 3, 5, 1), 255, True, "weights")
_loss_case(SIGMOID_LOSS, "1x1 picture", (2, 1, 1, 1), None, True)
_loss_case(SIGMOID_LOSS, "larger: several tasks", (2, 25, 27, 1), 255, True)
_loss_case(SIGMOID_LOSS, "enormous logits", (2, 3, 4, 1), 255, True, scale=1e4, gradient=False)
_loss_case(SOFTMAX_LOSS, "label smoothing", (2, 3, 2, 4), 11, False, label_smoothing=0.1)
_loss_case(SOFTMAX_LOSS, "label smoothing, class weights", (2, 25, 27, 3), 255, True, "weights", label_smoothing=0.3)
_loss_case(FOCAL, "all labelled", (2, 3, 2, 4), None, False)
_loss_case(FOCAL, "void pixels, class weights, gamma 0.5", (2, 3, 2, 5), 255, True, gamma=0.5)
_loss_case(FOCAL, "gamma 0", (2, 2, 3, 3), 0, True, gamma=0.0)
_loss_case(FOCAL, "larger: several tasks", (2, 25, 27, 3), 255, True)
_loss_case(FOCAL, "enormous logits", (2, 3, 4, 5), 255, True, scale=1e4, gradient=False)
_loss_case(DICE, "all labelled", (2, 3, 2, 4), None, None)
_loss_case(DICE, "void pixels", (2, 3, 2, 5), 255, None)
_loss_case(DICE, "absent classes", (2, 1, 1, 7), None, None)
_loss_case(DICE, "larger", (2, 25, 27, 3), 255, None)
_loss_case(DICE, "enormous logits", (2, 3, 4, 5), 255, None, scale=1e4, gradient=False)
for op in (SOFTMAX_LOSS, SIGMOID_LOSS, FOCAL, DICE):
    add(op, "all void", partial(_all_void, 1 if op == SIGMOID_LOSS else 4), gradient=False)
add(SOFTMAX_LOSS, "only classes of weight 0", lambda rng: (
    (normal(2, 2, 3, 3)(rng), np.ones((2, 2, 3), int)),
    {"class_weights": np.array([1.0, 0.0, 1.0]), "normalizer": "weights"}), gradient=False)  # fmt: skip

#        name                           x              settings
UPSAMPLING: list[tuple] = [
    ("by 2, cropped",                   (2, 3, 4, 3),  {"output_size": (5, 7)}),
    ("by (1, 3)",                       (2, 3, 2, 5),  {"factor": (1, 3)}),
    ("by 4, cropped as far as possible", (2, 2, 3, 2),  {"factor": 4, "output_size": (5, 9)}),
    ("1x1 picture",                     (2, 1, 1, 5),  {"factor": (2, 3)}),
    ("larger",                          (2, 7, 11, 9), {}),
]  # fmt: skip
for name, shape, settings in UPSAMPLING:
    for op in ("upsample_nearest2d", "upsample_bilinear2d"):
        add_drawn(op, name, normal(*shape), **settings)
