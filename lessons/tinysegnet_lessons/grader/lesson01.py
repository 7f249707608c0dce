"""Exercises of lesson 01: the forward pass of a convolution, output sizes and the receptive field."""

import numpy as np

from tinysegnet.ops import conv2d_output_size
from tinysegnet.ops.conv import conv2d_forward_numpy

from .exercise import Exercise, generator


def _valid(x, weight, bias):
    return conv2d_forward_numpy(x, weight, bias, padding="valid")[0]


def _same(x, weight, bias):
    return conv2d_forward_numpy(x, weight, bias)[0]


def _cases():
    rng = generator(0)
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
    """Return a conv2d with these shares of the K - 1 zeros before and after the picture."""

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
            "The kernel is flipped. Multiply x[u + i, v + j] by weight[i, j], not by weight[K-1-i, K-1-j].":
                _flipped(_valid),
            "The kernel's rows and columns are exchanged; i counts rows and j counts columns.": _taps_exchanged(_valid),
            "Only the first input channel is summed. The loop over c is missing.": _one_channel(_valid),
            "The bias is missing.": _without_bias(_valid),
            "The bias is added at every tap of the kernel. Add the bias once to every output.":
                _bias_at_every_tap(_valid),
            "The last row and column of the kernel are left out. Use range(K), not range(K - 1).":
                _last_tap_missing(_valid),
            "The output has the size of the input, but without padding it has H - K + 1 rows.": _same,
        },
    ),
    Exercise(
        name="conv2d_shifted_products",
        results=("out",),
        reference=_same,
        cases=_cases,
        mistakes={
            "The kernel is flipped. For tap (i, j), multiply the shifted picture by weight[i, j].": _flipped(_same),
            "The kernel's rows and columns are exchanged; i counts rows and j counts columns.": _taps_exchanged(_same),
            "The bias is missing.": _without_bias(_same),
            "The bias is added at every tap of the kernel. Add the bias once to every output.":
                _bias_at_every_tap(_same),
            "Only the last tap remains. Add up the K*K products instead of overwriting the output.": _only_last_tap,
            "All the padding is at the end. Put K // 2 zeros on each side.": _padded(0, 1),
            "All the padding is in front. Put K // 2 zeros on each side.": _padded(1, 0),
            "The padding repeats the border, but \"same\" padding consists of zeros.": _edge_repeated,
            "The padding is missing, but the output must have the size of the input.": _valid,
        },
    ),
    Exercise(
        name="output_size",
        results=("size",),
        reference=lambda H, K, stride, padding: int(conv2d_output_size((H, H), K, stride=stride, padding=padding)[0]),
        cases=lambda: [(8, 3, 1, 0), (8, 5, 1, 2), (8, 2, 2, 0), (7, 2, 2, 0), (45, 3, 2, 1), (360, 7, 4, 3)],
        mistakes={
            "The + 1 is missing: with stride 1 the kernel fits at H + 2*padding - K + 1 positions.":
                lambda H, K, stride, padding: (H + 2 * padding - K) // stride,
            "The padding counts only once, but it is on both sides. Use 2 * padding.":
                lambda H, K, stride, padding: (H + padding - K) // stride + 1,
            "The division rounds up. An incomplete step gives no output, so round down.":
                lambda H, K, stride, padding: -(-(H + 2 * padding - K) // stride) + 1,
            "The stride is missing.": lambda H, K, stride, padding: H + 2 * padding - K + 1,
        },
    ),
    Exercise(
        name="receptive_field",
        results=("size",),
        reference=_receptive_field,
        cases=lambda: [((3,), (1,)), ((3, 3), (1, 1)), ((2, 3), (2, 1)), ((3, 3, 2, 3), (1, 1, 2, 1)),
                       ((3, 2) * 4, (1, 2) * 4)],
        mistakes={
            "Every kernel adds K pixels, but it must add only K - 1.": lambda kernels, strides: sum(kernels),
            "The strides are missing. After a stride of 2, one step spans two input pixels.":
                lambda kernels, strides: 1 + sum(K - 1 for K in kernels),
            "A stride is applied to its own kernel, but it must affect only later layers.": _jump_first,
            "The kernel sizes are multiplied; the field grows by addition.":
                lambda kernels, strides: int(np.prod(kernels)),
        },
    ),
]  # fmt: skip
