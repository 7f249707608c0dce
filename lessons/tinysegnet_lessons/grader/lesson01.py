"""Exercises of lesson 01: the forward pass of a convolution, output sizes and the receptive field."""

from time import perf_counter

import numpy as np

from tinysegnet.ops import conv2d_output_size
from tinysegnet.ops.conv import conv2d_forward_numpy
from tinysegnet.ops.windows import same_padding

from .exercise import Challenge, Exercise, Prediction, generator


def _one_output(x, weight, u, v):
    K = len(weight)
    return (x[u : u + K, v : v + K] * weight).sum()


def _map_cases():
    rng = generator(1)
    shapes = ((4, 4), 3, 0, 1), ((5, 7), 3, 2, 4), ((6, 5), 2, 3, 1)
    return [(rng.standard_normal(size), rng.standard_normal((K, K)), u, v) for size, K, u, v in shapes]


def _valid(x, weight, bias):
    return conv2d_forward_numpy(*_as_float(x, weight, bias), padding="valid")[0]


def _same(x, weight, bias):
    return conv2d_forward_numpy(*_as_float(x, weight, bias))[0]


def _as_float(*arrays):
    """Convert to float64, as the learner's functions do, because the library refuses arrays of different types."""
    return (np.asarray(array, float) for array in arrays)


SIZES = (1, 4, 4, 1, 3, 1), (1, 5, 4, 2, 3, 1), (2, 5, 7, 3, 3, 2), (2, 6, 5, 2, 5, 3)


def _cases(*more):
    rng = generator(0)
    sizes = *SIZES, *more
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


def _negative_bias(conv2d):
    return lambda x, weight, bias: conv2d(x, weight, -bias)


def _last_product(x, weight, bias):
    kept = np.zeros_like(weight)
    kept[-1, -1, -1] = weight[-1, -1, -1]
    return _valid(x, kept, 0 * bias)


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


def _only_last_tap_without_bias(x, weight, bias):
    return _only_last_tap(x, weight, 0 * bias)


def _padded(before, after):
    """Return a conv2d with these shares of the K - 1 zeros before and after the picture."""

    def wrong(x, weight, bias):
        K = weight.shape[0] - 1
        sides = (before * K, after * K)
        return _valid(np.pad(x, ((0, 0), sides, sides, (0, 0))), weight, bias)

    return wrong


def _border(mode):
    def wrong(x, weight, bias):
        p = weight.shape[0] // 2
        return _valid(np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), mode=mode), weight, bias)

    return wrong


def _products_of_kernel_rows(x, weight, bias):
    """Convolve with one product per kernel row: the K pixels under it become K*C numbers side by side."""
    (N, H, W, C), (K, _, _, F) = x.shape, weight.shape
    p = K // 2
    x_padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    rows = np.concatenate([x_padded[:, :, j : j + W] for j in range(K)], axis=-1)
    out = np.zeros((N, H, W, F)) + bias
    for i in range(K):
        out += rows[:, i : i + H] @ weight[i].reshape(K * C, F)
    return out


def _shifted_products(x, weight, bias):
    (N, H, W, _), (K, _, _, F) = x.shape, weight.shape
    p = K // 2
    x_padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    out = np.zeros((N, H, W, F)) + bias
    for i, j in np.ndindex(K, K):
        out += x_padded[:, i : i + H, j : j + W] @ weight[i, j]
    return out


def _times_as_fast(answer):
    """Compare with the shifted products on SegNet-Basic's first layer; a slow answer only on a part of the picture."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.uniform(0, 255, (1, 96, 128, 3)), rng.standard_normal((7, 7, 3, 64)), np.zeros(64)
    repeats = 7
    if _seconds(answer, x[:, :8, :8], weight, bias) > 0.1:
        x, repeats = x[:, :8, :8], 1
    times = [(_seconds(_shifted_products, x, weight, bias), _seconds(answer, x, weight, bias)) for _ in range(repeats)]
    return float(np.divide(*np.min(times, 0)))


def _seconds(function, *arguments):
    began = perf_counter()
    function(*arguments)
    return perf_counter() - began


def _same_rows(H, K, stride):
    return same_padding(H, K, stride)


def _negative_padding(H, K, stride):
    total = (-(-H // stride) - 1) * stride + K - H
    return total // 2, total - total // 2


def _rounded_down(H, K, stride):
    total = max((H // stride - 1) * stride + K - H, 0)
    return total // 2, total - total // 2


def _receptive_field(kernels, strides):
    size, jump = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        size, jump = size + (K - 1) * jump, jump * s
    return size


def _all_taps(kernels, strides):
    size, jump = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        size, jump = size + K * jump, jump * s
    return size


def _last_stride_only(kernels, strides):
    size, jump = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        size, jump = size + (K - 1) * jump, s
    return size


def _own_stride_only(kernels, strides):
    return 1 + sum((K - 1) * s for K, s in zip(kernels, strides, strict=True))


def _jump_first(kernels, strides):
    size, jump = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        jump *= s
        size += (K - 1) * jump
    return size


EXERCISES = [
    Exercise(
        name="one_output",
        tier="warm-up",
        results=("value",),
        reference=_one_output,
        cases=_map_cases,
        mistakes={
            "The kernel is flipped. Multiply x[u + i, v + j] by weight[i, j].":
                lambda x, weight, u, v: _one_output(x, weight[::-1, ::-1], u, v),
            "u is the row and v the column; they are exchanged.":
                lambda x, weight, u, v: _one_output(x.T, weight, u, v),
            "The window is centred at (u, v), but its upper left corner must lie there.":
                lambda x, weight, u, v: _one_output(np.pad(x, 1), weight, u, v),
            "This is the mean of the products. Take their sum.":
                lambda x, weight, u, v: _one_output(x, weight, u, v) / weight.size,
            "This is a matrix product. Multiply each number by the number at the same place.":
                lambda x, weight, u, v: (x[u : u + len(weight), v : v + len(weight)] @ weight).sum(),
        },
    ),
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
            "The bias is subtracted. Add it.": _negative_bias(_valid),
            "Only the last product remains. Add the products up with +=.": _last_product,
            "The last row and column of the kernel are left out. Use range(K), not range(K - 1).":
                _last_tap_missing(_valid),
            "The output has the size of the input, but without padding it has H - K + 1 rows.": _same,
        },
    ),
    Exercise(
        name="conv2d_shifted_products",
        results=("out",),
        reference=_same,
        cases=lambda: _cases((2, 3, 4, 2, 1, 3)),
        mistakes={
            "The kernel is flipped. For tap (i, j), multiply the shifted picture by weight[i, j].": _flipped(_same),
            "The kernel's rows and columns are exchanged; i counts rows and j counts columns.": _taps_exchanged(_same),
            "The bias is missing.": _without_bias(_same),
            "The bias is added at every tap of the kernel. Add the bias once to every output.":
                _bias_at_every_tap(_same),
            "The bias is subtracted. Add it.": _negative_bias(_same),
            "Only the last tap remains, and the bias is lost. Add up the K*K products with +=.":
                _only_last_tap_without_bias,
            "Only the last tap remains. Add up the K*K products instead of overwriting the output.": _only_last_tap,
            "All the padding is at the end. Put K // 2 zeros on each side.": _padded(0, 1),
            "All the padding is in front. Put K // 2 zeros on each side.": _padded(1, 0),
            "The padding repeats the border, but \"same\" padding consists of zeros.": _border("edge"),
            "The picture wraps around at its borders, as with np.roll, but beyond them there are zeros.":
                _border("wrap"),
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
            "The padding is missing. It adds 2 * padding rows.":
                lambda H, K, stride, padding: (H - K) // stride + 1,
            "An output has a whole number of rows. Divide with //, which rounds down.":
                lambda H, K, stride, padding: (H + 2 * padding - K) / stride + 1,
            "The padding counts only once, but it is on both sides. Use 2 * padding.":
                lambda H, K, stride, padding: (H + padding - K) // stride + 1,
            "The division rounds up. An incomplete step gives no output, so round down.":
                lambda H, K, stride, padding: -(-(H + 2 * padding - K) // stride) + 1,
            "The stride is missing.": lambda H, K, stride, padding: H + 2 * padding - K + 1,
        },
    ),
    Exercise(
        name="same_padding",
        results=("before", "after"),
        reference=_same_rows,
        cases=lambda: [(8, 3, 1), (8, 2, 2), (8, 4, 1), (45, 3, 2), (7, 2, 2), (8, 1, 2), (9, 7, 4)],
        mistakes={
            "The extra row is in front, but it must be at the end.":
                lambda H, K, stride: _same_rows(H, K, stride)[::-1],
            "Both sides get K // 2 rows. An even kernel needs one row less.": lambda H, K, stride: (K // 2, K // 2),
            "The stride is missing: (H' - 1) * stride + K rows are needed, not H + K - 1.":
                lambda H, K, stride: _same_rows(H, K, 1),
            "The padding is negative. If no zeros are needed, it is 0.": _negative_padding,
            "The size is rounded down, but H' = ceil(H / stride).": _rounded_down,
            "Each side gets all zeros. Share them.": lambda H, K, stride: 2 * (sum(_same_rows(H, K, stride)),),
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
            "A kernel is multiplied by its own stride. Multiply K - 1 by the strides of all layers before it.":
                _own_stride_only,
            "The field begins at 0, but one number of the input is one pixel: begin at 1.":
                lambda kernels, strides: _receptive_field(kernels, strides) - 1,
            "A stride is applied to its own kernel, but it must affect only later layers.": _jump_first,
            "A kernel adds K steps to the field, but it must add K - 1: the first tap is there already.": _all_taps,
            "Strides multiply: after strides of 2 and 2, one step spans four input pixels.": _last_stride_only,
            "The kernel sizes are multiplied; the field grows by addition.":
                lambda kernels, strides: int(np.prod(kernels)),
        },
    ),
    Challenge(
        name="faster_convolution",
        results=("out",),
        reference=_products_of_kernel_rows,
        cases=lambda: _cases((2, 3, 4, 2, 1, 3)),
        mistakes={
            "The kernel is flipped. For tap (i, j), multiply the shifted picture by weight[i, j].": _flipped(_same),
            "The kernel's rows and columns are exchanged; i counts rows and j counts columns.": _taps_exchanged(_same),
            "The bias is missing.": _without_bias(_same),
        },
        measure=_times_as_fast,
        unit="times as fast as one product per tap",
        goal=1.5,
        timed=True,
    ),
]  # fmt: skip

PREDICTIONS = {
    "outputs_that_see_a_corner": Prediction(
        4, "The kernel covers the corner at the outputs (0, 0), (0, 1), (1, 0) and (1, 1)."
    ),
    "convolution_of_an_impulse": Prediction(
        "b", "The output above the 1 sees it through the kernel's lower row, so the kernel appears rotated."
    ),
    "receptive_field_with_pools": Prediction(
        "c", "Each pooling doubles the distance between the numbers under a kernel, which gives 106 pixels."
    ),
}
