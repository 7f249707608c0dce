"""Exercises of lesson 01: the forward pass of a convolution, sizes and the receptive field."""

import numpy as np

from tinysegnet.ops import conv2d_output_size
from tinysegnet.ops.conv import conv2d_forward_numpy

from .exercise import Exercise


def _valid(x, weight, bias):
    return conv2d_forward_numpy(x, weight, bias, padding="valid")[0]


def _same(x, weight, bias):
    return conv2d_forward_numpy(x, weight, bias)[0]


def _cases():
    rng = np.random.default_rng(0)
    sizes = (1, 4, 4, 1, 3, 1), (1, 5, 4, 2, 3, 1), (2, 5, 7, 3, 3, 2), (2, 6, 5, 2, 5, 3)
    return [(rng.standard_normal((N, H, W, C)), rng.standard_normal((K, K, C, F)), rng.standard_normal(F))
            for N, H, W, C, K, F in sizes]  # fmt: skip


def _flipped(conv2d):
    return lambda x, weight, bias: conv2d(x, weight[::-1, ::-1], bias)


def _taps_exchanged(conv2d):
    return lambda x, weight, bias: conv2d(x, weight.swapaxes(0, 1), bias)


def _one_channel(conv2d):
    return lambda x, weight, bias: conv2d(x[..., :1], weight[:, :, :1], bias)


def _without_bias(conv2d):
    return lambda x, weight, bias: conv2d(x, weight, 0 * bias)


def _bias_at_every_tap(conv2d):
    return lambda x, weight, bias: conv2d(x, weight, bias * weight.shape[0] * weight.shape[1])


def _last_tap_missing(conv2d):
    def wrong(x, weight, bias):
        kept = weight.copy()
        kept[-1], kept[:, -1] = 0, 0
        return conv2d(x, kept, bias)

    return wrong


def _only_last_tap(x, weight, bias):
    kept = np.zeros_like(weight)
    kept[-1, -1] = weight[-1, -1]
    return _same(x, kept, bias)


def _padded(before, after):
    """conv2d with so much of the K - 1 zeros before and after the picture."""

    def wrong(x, weight, bias):
        K = weight.shape[0] - 1
        sides = (before * K, after * K)
        return _valid(np.pad(x, ((0, 0), sides, sides, (0, 0))), weight, bias)

    return wrong


def _edge_repeated(x, weight, bias):
    p = weight.shape[0] // 2
    return _valid(np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), mode="edge"), weight, bias)


def _receptive_field(kernels, strides):
    size, jump = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        size, jump = size + (K - 1) * jump, jump * s
    return size


def _jump_first(kernels, strides):
    size, jump = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        jump *= s
        size += (K - 1) * jump
    return size


EXERCISES = [
    Exercise(
        name="conv2d_seven_loops",
        results=("out",),
        reference=_valid,
        cases=_cases,
        mistakes={
            "the kernel is flipped: x[u + i, v + j] goes with weight[i, j], not with weight[K-1-i, K-1-j]":
                _flipped(_valid),
            "the kernel's rows and columns are exchanged: i goes down, j goes right": _taps_exchanged(_valid),
            "only the first input channel is summed: the loop over c is missing": _one_channel(_valid),
            "the bias is missing": _without_bias(_valid),
            "the bias is added at every tap of the kernel; it belongs once to every output": _bias_at_every_tap(_valid),
            "the last row and column of the kernel are left out: range(K), not range(K - 1)": _last_tap_missing(_valid),
            "the output has the size of the input: without padding it has H - K + 1 rows": _same,
        },
    ),
    Exercise(
        name="conv2d_shifted_products",
        results=("out",),
        reference=_same,
        cases=_cases,
        mistakes={
            "the kernel is flipped: tap (i, j) goes with the picture shifted by (i, j)": _flipped(_same),
            "the kernel's rows and columns are exchanged: i goes down, j goes right": _taps_exchanged(_same),
            "the bias is missing": _without_bias(_same),
            "the bias is added at every tap of the kernel; it belongs once to every output": _bias_at_every_tap(_same),
            "only the last tap is left: add up the K*K products, do not overwrite them": _only_last_tap,
            "all the padding is at the end: half of K - 1 belongs in front": _padded(0, 1),
            "all the padding is in front: half of K - 1 belongs at the end": _padded(1, 0),
            "the border is repeated; \"same\" padding puts zeros around the picture": _edge_repeated,
            "the padding is missing: the output must have the size of the input": _valid,
        },
    ),
    Exercise(
        name="output_size",
        results=("size",),
        reference=lambda H, K, stride, padding: int(conv2d_output_size((H, H), K, stride=stride, padding=padding)[0]),
        cases=lambda: [(8, 3, 1, 0), (8, 5, 1, 2), (8, 2, 2, 0), (7, 2, 2, 0), (45, 3, 2, 1), (360, 7, 4, 3)],
        mistakes={
            "the kernel needs K rows, so its top row has H + 2*padding - K + 1 places: + 1 is missing":
                lambda H, K, stride, padding: (H + 2 * padding - K) // stride,
            "the padding is on both sides: 2 * padding": lambda H, K, stride, padding: (H + padding - K) // stride + 1,
            "an incomplete step at the end gives no output: divide rounding down":
                lambda H, K, stride, padding: -(-(H + 2 * padding - K) // stride) + 1,
            "the stride is missing": lambda H, K, stride, padding: H + 2 * padding - K + 1,
        },
    ),
    Exercise(
        name="receptive_field",
        results=("size",),
        reference=_receptive_field,
        cases=lambda: [((3,), (1,)), ((3, 3), (1, 1)), ((2, 3), (2, 1)), ((3, 3, 2, 3), (1, 1, 2, 1)),
                       ((3, 2) * 4, (1, 2) * 4)],
        mistakes={
            "a kernel of K adds K - 1 pixels, for one it has already": lambda kernels, strides: sum(kernels),
            "the strides are missing: after a stride of 2, one step is two input pixels":
                lambda kernels, strides: 1 + sum(K - 1 for K in kernels),
            "a stride counts for the layers after it, not for its own kernel": _jump_first,
            "sizes add up, they do not multiply": lambda kernels, strides: int(np.prod(kernels)),
        },
    ),
]  # fmt: skip
