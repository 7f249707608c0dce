"""Small test arguments of order 1 for every op, including many edge cases.

They include odd sizes, H != W, two samples, channel counts that are not multiples of 4, kernels larger than the
picture, strides, overlapping windows and 1x1 pictures. Where an op has kinks (ReLU, pooling), the values come from a
shuffled grid whose spacing is far larger than any step. Cases with gradient=False check only values.

A case draws its arguments from a generator, so they differ for every seed. The tests fail if an op has no case.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from .. import ops

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Shape = tuple[int, ...]
NOTHING: dict[str, Any] = {}  # no settings


@dataclass(frozen=True)
class Case:
    """Arguments of `<op>_forward(*arrays, **kwargs)`, drawn by `draw(rng)`. gradient: whether to check gradients."""

    op: str
    name: str
    draw: Callable[[np.random.Generator], Arguments]
    gradient: bool = True

    def arguments(self, seed: int = 0) -> Arguments:
        """Return (arrays, kwargs) for a seed."""
        return self.draw(np.random.default_rng([seed, 0]))


CASES: list[Case] = []  #: The cases of all ops, at least one per op.


def cases_of(op: str) -> list[Case]:
    """Return all cases of an op, including those that check values only."""
    return [case for case in CASES if case.op == op]


def add(ops: str, draw: Callable[..., Arguments], rows: Mapping[str, list], *, gradient: bool = True) -> None:
    """Add a case for each of the ops, separated by spaces, and each row: `draw(rng, *row)` draws its arguments."""
    for op, name in product(ops.split(), rows):
        CASES.append(Case(op, name, partial(_drawn, draw, rows[name]), gradient))


def _drawn(draw: Callable[..., Arguments], row: list, rng: np.random.Generator) -> Arguments:
    return draw(rng, *row)


# --- convolutions: the shapes of x and weight, settings, and whether there is a bias ----------------------------------


def _conv(inputs: Shape, features: int, rng: np.random.Generator, x: Shape, weight: Shape,
          settings: dict[str, Any] = NOTHING, bias: bool = True) -> Arguments:  # fmt: skip
    """inputs: the axes of weight that an output value sums over. features: the axis of the bias."""
    scaled = rng.standard_normal(weight) / np.sqrt(np.prod([weight[axis] for axis in inputs]))
    return (rng.standard_normal(x), scaled, rng.standard_normal(weight[features]) if bias else None), settings


STRIDES = {"stride": (2, 3), "padding": (1, 2)}
add("conv2d", partial(_conv, (0, 1, 2), 3), {
    "3x3 same, odd sizes":                      [(2, 5, 3, 3),   (3, 3, 3, 2)],
    "5x3, same":                                [(2, 4, 5, 2),   (5, 3, 2, 3)],
    "7x7, larger than the picture":             [(2, 4, 3, 2),   (7, 7, 2, 1)],
    "2x2, same, with an extra zero at the end": [(2, 3, 4, 2),   (2, 2, 2, 3)],
    "3x3, stride 2":                            [(2, 5, 6, 3),   (3, 3, 3, 2), {"stride": 2}],
    "3x2, stride (2, 3), padding (1, 2)":       [(2, 5, 6, 2),   (3, 2, 2, 3), STRIDES],
    "2x2, stride 3: pixels no window reads":    [(2, 6, 7, 2),   (2, 2, 2, 2), {"stride": 3, "padding": 0}],
    "3x3, padding wider than the kernel":       [(2, 3, 2, 2),   (3, 3, 2, 2), {"padding": 3}],
    "3x3, valid, no bias":                      [(2, 5, 4, 3),   (3, 3, 3, 2), {"padding": "valid"}, False],
    "1x1 kernel":                               [(2, 3, 4, 5),   (1, 1, 5, 3)],
    "1x1 picture":                              [(3, 1, 1, 5),   (3, 3, 5, 2)],
    "larger: several tasks and register tiles": [(2, 7, 19, 18), (3, 3, 18, 21)],
})  # fmt: skip
add("conv_transpose2d", partial(_conv, (0, 1, 3), 2), {
    "3x3 same, odd sizes":                         [(2, 3, 5, 2),  (3, 3, 3, 2)],
    "2x2, stride 2":                               [(2, 3, 4, 2),  (2, 2, 3, 2), {"stride": 2}],
    "4x3, stride 2, the smallest output":          [(2, 3, 2, 2),  (4, 3, 2, 2), {"stride": 2, "output_size": (5, 3)}],
    "3x2, stride (2, 3), padding (1, 2), largest": [(2, 3, 3, 2),  (3, 2, 2, 2), STRIDES | {"output_size": (6, 6)}],
    "2x2, stride 3: pixels that get nothing":      [(2, 2, 3, 2),  (2, 2, 2, 2),
                                                    {"stride": 3, "padding": 0, "output_size": (7, 10)}],
    "5x5, larger than the picture":                [(2, 3, 2, 1),  (5, 5, 2, 1)],
    "2x2, padding wider than the kernel":          [(2, 5, 4, 2),  (2, 2, 2, 2), {"padding": 2}],
    "3x2, valid, no bias":                         [(2, 3, 2, 3),  (3, 2, 2, 3), {"padding": "valid"}, False],
    "1x1 kernel":                                  [(2, 3, 2, 5),  (1, 1, 3, 5)],
    "1x1 picture, stride 2":                       [(3, 1, 1, 5),  (3, 3, 1, 5), {"stride": 2}],
    "larger: several tasks, stride 2":             [(2, 8, 9, 15), (3, 3, 16, 15), {"stride": 2}],
})  # fmt: skip
add("depthwise_conv2d", partial(_conv, (0, 1), 3), {
    "3x3 same, odd sizes":                      [(2, 5, 3, 3),  (3, 3, 1, 3)],
    "2x4, same, with an extra zero at the end": [(2, 3, 6, 2),  (2, 4, 1, 2)],
    "5x5, larger than the picture":             [(2, 3, 2, 2),  (5, 5, 1, 2)],
    "3x2, stride (2, 3), padding (1, 2)":       [(2, 4, 5, 2),  (3, 2, 1, 2), STRIDES],
    "2x2, stride 3: pixels no window reads":    [(2, 5, 6, 2),  (2, 2, 1, 2), {"stride": 3, "padding": 0}],
    "3x3, padding wider than the kernel":       [(2, 3, 2, 2),  (3, 3, 1, 2), {"padding": 3}],
    "3x2, valid, no bias":                      [(2, 5, 4, 2),  (3, 2, 1, 2), {"padding": "valid"}, False],
    "1x1 kernel, 1x1 picture":                  [(3, 1, 1, 5),  (1, 1, 1, 5)],
    "larger: several tasks and chunks of rows": [(2, 18, 7, 9), (2, 3, 1, 9)],
})  # fmt: skip

# --- ops of one array: its shape and settings -------------------------------------------------------------------------


def _normal(rng: np.random.Generator, shape: Shape, settings: dict[str, Any] = NOTHING, scale: float = 1) -> Arguments:
    return (scale * rng.standard_normal(shape),), settings


def _grid(rng: np.random.Generator, shape: Shape, settings: dict[str, Any] = NOTHING) -> Arguments:
    """Draw numbers between -2 and 2, nonzero and 4/size apart, in random order."""
    size = int(np.prod(shape))
    return (rng.permutation((np.arange(size) + 0.5 - size // 2) * (4 / size)).reshape(shape),), settings


def _ties(rng: np.random.Generator, shape: Shape, settings: dict[str, Any] = NOTHING, end: int = 1) -> Arguments:
    """Draw whole numbers from -1 to before `end`."""
    return (rng.integers(-1, end, shape).astype(float),), settings


def _enormous(rng: np.random.Generator, shape: Shape) -> Arguments:
    return (rng.choice([-1e4, -3.0, 0.0, 3.0, 1e4], shape),), {}


def _unpooled(rng: np.random.Generator, shape: Shape, settings: dict[str, Any] = NOTHING) -> Arguments:
    (pooled, indices), _ = ops.max_pool2d_forward(rng.standard_normal(shape), **settings)
    return (rng.standard_normal(pooled.shape), indices), {"output_size": shape[1:3], **settings}


POOL: dict[str, list] = {
    "2x2, odd sizes":                  [(2, 5, 3, 5)],
    "2x2, even sizes":                 [(2, 4, 6, 3)],
    "3x3, stride 3":                   [(2, 7, 5, 2), {"size": 3, "stride": 3}],
    "2x2, stride 3: gaps":             [(2, 7, 5, 2), {"size": 2, "stride": 3}],
    "1x1 picture":                     [(2, 1, 1, 5)],
    "larger":                          [(2, 13, 11, 9)],
}  # fmt: skip
OVERLAPPING: dict[str, list] = {
    "3x3, stride 2, overlapping":      [(2, 5, 6, 3), {"size": 3, "stride": 2}],
    "3x3, stride 1, overlapping":      [(2, 4, 3, 2), {"size": 3, "stride": 1}],
    "3x2, stride (2, 1), overlapping": [(2, 6, 4, 2), {"size": (3, 2), "stride": (2, 1)}],
}  # fmt: skip
add("max_pool2d", _grid, POOL | OVERLAPPING)
add("max_pool2d", _ties, {f"{name}: ties": row for name, row in (POOL | OVERLAPPING).items()}, gradient=False)
add("max_unpool2d", _unpooled, POOL)
add("relu", _grid, {"a grid": [(2, 5, 3, 5)], "a vector": [(7,)], "larger": [(2, 13, 11, 9)]})
add("relu", _ties, {"zeros": [(2, 3, 4, 3), {}, 2]}, gradient=False)
add("softmax", _normal, {"pixels": [(2, 3, 2, 5)], "one vector": [(4,)], "larger": [(2, 13, 11, 9)]})
add("sigmoid", _normal, {"pixels": [(2, 3, 2, 5)], "1x1 pictures": [(2, 1, 1, 1)], "larger": [(2, 13, 11, 9)]})
add("softmax sigmoid", _enormous, {"enormous": [(2, 5, 3, 4)]}, gradient=False)
add("local_response_norm", _normal, {
    "3 channels, all in one window":     [(2, 3, 2, 3), {"alpha": 1.0}],
    "7 channels, windows of 5":          [(2, 3, 2, 7), {"alpha": 1.0, "k": 2.0}],
    "windows of 3, large alpha and beta": [(2, 2, 3, 5), {"size": 3, "alpha": 2.0, "beta": 2.0, "k": 0.5}],
    "windows of 1":                      [(2, 2, 3, 2), {"size": 1, "alpha": 1.0, "beta": 0.5}],
    "1x1 pictures, the usual settings":  [(2, 1, 1, 6)],
    "larger: several tasks":             [(2, 13, 11, 9), {"alpha": 1.0}],
})  # fmt: skip
add("local_response_norm", _normal, {
    "as large as pictures":              [(2, 5, 3, 3), {}, 100],
    "tiny":                              [(2, 5, 3, 6), {}, 1e-30],
}, gradient=False)  # fmt: skip
add("upsample_nearest2d upsample_bilinear2d", _normal, {
    "by 2, cropped":                     [(2, 3, 4, 3), {"output_size": (5, 7)}],
    "by (1, 3)":                         [(2, 3, 2, 5), {"factor": (1, 3)}],
    "by 4, cropped as far as possible":  [(2, 2, 3, 2), {"factor": 4, "output_size": (5, 9)}],
    "1x1 picture":                       [(2, 1, 1, 5), {"factor": (2, 3)}],
    "larger":                            [(2, 7, 11, 9)],
})  # fmt: skip

# --- batch norm and dropout: the shape of x, settings, and whether the statistics are given ---------------------------


def _batchnorm(rng: np.random.Generator, shape: Shape, settings: dict[str, Any] = NOTHING,
               given: bool = False) -> Arguments:  # fmt: skip
    C = shape[3]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 1.5, C) + rng.uniform(-2, 2, C)
    statistics = {"mean": rng.standard_normal(C), "var": rng.uniform(0.5, 2, C)} if given else {}
    gamma = rng.uniform(0.5, 1.5, C) * rng.choice([-1, 1], C)
    return (x, gamma, rng.standard_normal(C)), settings | statistics


def _far_from_0(rng: np.random.Generator, shape: Shape) -> Arguments:
    return (rng.standard_normal(shape) + 100, np.ones(shape[3]), np.zeros(shape[3])), {}


def _dropout(rng: np.random.Generator, shape: Shape, settings: dict[str, Any] = NOTHING) -> Arguments:
    mask = rng.random(shape) >= settings.get("rate", 0.5)
    mask[0] = True
    return (rng.standard_normal(shape), mask), settings


add("batchnorm2d batchnorm2d_relu", _batchnorm, {
    "few pixels": [(2, 3, 2, 3)], "one row": [(2, 1, 5, 2)], "1x1 pictures": [(5, 1, 1, 3)],
    "a large eps": [(2, 2, 3, 2), {"eps": 0.1}], "given statistics": [(2, 3, 2, 3), {}, True],
    "given statistics, one pixel": [(1, 1, 1, 5), {}, True], "larger": [(2, 9, 14, 9)],
})  # fmt: skip
add("batchnorm2d batchnorm2d_relu", _far_from_0, {"a mean far from 0": [(2, 9, 7, 3)]}, gradient=False)
add("dropout", _dropout, {
    "a half": [(2, 5, 3, 5)], "four fifths": [(2, 3, 4, 3), {"rate": 0.8}], "nothing": [(2, 2, 3, 2), {"rate": 0.0}],
    "1x1 pictures": [(3, 1, 1, 5)], "larger": [(2, 13, 11, 9), {"rate": 0.3}],
})  # fmt: skip

# --- losses: the shape of the logits, the label of void, whether there are class weights, and settings ----------------


def _loss(rng: np.random.Generator, shape: Shape, void: int | None, weighted: bool | None,
          settings: dict[str, Any] = NOTHING, scale: float = 1.0) -> Arguments:  # fmt: skip
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


def _same_label(rng: np.random.Generator, K: int, label: int, settings: dict[str, Any]) -> Arguments:
    return (rng.standard_normal((2, 2, 3, K)), np.full((2, 2, 3), label)), settings


COUNT, SUM, SMOOTH = {"normalizer": "count"}, {"normalizer": "weights"}, {"normalizer": "count", "label_smoothing": 0.1}
ZERO = {"class_weights": np.array([1.0, 0.0, 1.0]), "normalizer": "weights"}
add("softmax_cross_entropy", _loss, {
    "all labelled":                                      [(2, 3, 2, 4), None, False, COUNT],
    "void pixels":                                       [(2, 3, 2, 4), 11, False, COUNT],
    "void pixels, class weights":                        [(2, 3, 2, 5), 255, True, COUNT],
    "void pixels, class weights, divided by their sum":  [(2, 3, 2, 5), 255, True, SUM],
    "void is class 0":                                   [(2, 2, 3, 3), 0, True, COUNT],
    "1x1 picture":                                       [(2, 1, 1, 3), None, True, COUNT],
    "larger: several tasks":                             [(2, 25, 27, 3), 255, True, COUNT],
    "label smoothing":                                   [(2, 3, 2, 4), 11, False, SMOOTH],
    "label smoothing, class weights":                    [(2, 25, 27, 3), 255, True, SUM | {"label_smoothing": 0.3}],
})  # fmt: skip
add("sigmoid_cross_entropy", _loss, {
    "all labelled":                                      [(2, 3, 2, 1), None, False, COUNT],
    "void pixels, class weights":                        [(2, 3, 5, 1), 2, True, COUNT],
    "void pixels, class weights, divided by their sum":  [(2, 3, 5, 1), 255, True, SUM],
    "1x1 picture":                                       [(2, 1, 1, 1), None, True, COUNT],
    "larger: several tasks":                             [(2, 25, 27, 1), 255, True, COUNT],
})  # fmt: skip
add("focal_loss", _loss, {
    "all labelled":                                      [(2, 3, 2, 4), None, False],
    "void pixels, class weights, gamma 0.5":             [(2, 3, 2, 5), 255, True, {"gamma": 0.5}],
    "gamma 0":                                           [(2, 2, 3, 3), 0, True, {"gamma": 0.0}],
    "larger: several tasks":                             [(2, 25, 27, 3), 255, True],
})  # fmt: skip
add("dice_loss", _loss, {
    "all labelled": [(2, 3, 2, 4), None, None], "void pixels": [(2, 3, 2, 5), 255, None],
    "absent classes": [(2, 1, 1, 7), None, None], "larger": [(2, 25, 27, 3), 255, None],
})  # fmt: skip
for op, logits, weighted, more in (
    ("softmax_cross_entropy", (2, 3, 4, 5), True, COUNT), ("sigmoid_cross_entropy", (2, 3, 4, 1), True, COUNT),
    ("focal_loss", (2, 3, 4, 5), True, NOTHING), ("dice_loss", (2, 3, 4, 5), None, NOTHING),
):  # fmt: skip
    add(op, _loss, {"enormous logits": [logits, 255, weighted, more, 1e4]}, gradient=False)
    all_void = {"all void": [1 if op == "sigmoid_cross_entropy" else 4, 11, {"ignore_label": 11}]}
    add(op, _same_label, all_void, gradient=False)
add("softmax_cross_entropy", _same_label, {"only classes of weight 0": [3, 1, ZERO]}, gradient=False)
