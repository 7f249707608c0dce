"""Exercises of lesson 17: grids of few bits for weights and activations, and sums of integers."""

import numpy as np

import tinysegnet as ts
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.prediction import evaluate

from .exercise import Challenge, Exercise, Prediction, generator

# --- the symmetric grid -----------------------------------------------------------------------------------------------


def _symmetric(w, bits, *, top=lambda bits: 2 ** (bits - 1) - 1, largest=lambda w: np.abs(w).max(), rounded=np.round):
    scale = largest(w) / top(bits)
    return rounded(w / scale).astype(int), scale


def _symmetric_cases():
    rng = generator(0)
    return [
        (np.array([-3.0, 0.9, 1.9, 1.4]), 3),
        (rng.standard_normal((3, 4)), 4),
        (rng.standard_normal((3, 3, 2, 5)), 8),
    ]


def _fake_quantize(weight, bits, per_channel, *, axes=(0, 1, 2), top=lambda bits: 2 ** (bits - 1) - 1, back=True,
                   rounded=np.round, safe=True):  # fmt: skip
    scale = np.abs(weight).max(axes if per_channel else None, keepdims=True) / top(bits)
    scale = np.where(scale > 0, scale, 1) if safe else scale
    return (rounded(weight / scale) * (scale if back else 1)).astype(weight.dtype)


def _fake_quantize_cases():
    rng = generator(1)
    sizes = rng.uniform(0.1, 4, 4)
    silent = rng.standard_normal((3, 3, 2, 4)) * np.array([1, 0, 3, 0.2])
    return [(rng.standard_normal((1, 1, 2, 3)), 4, False), (rng.standard_normal((3, 3, 5, 4)) * sizes, 3, True),
            (rng.standard_normal((3, 3, 4, 4)).astype(np.float32), 8, True), (silent, 4, True)]  # fmt: skip


# --- the affine grid --------------------------------------------------------------------------------------------------


def _affine(x, low, high, bits, *, extend=True, levels=lambda bits: 2**bits - 1, clip=True, rounded=np.round,
            shift=lambda low, scale: int(np.round(-low / scale))):  # fmt: skip
    if extend:
        low, high = min(low, 0), max(high, 0)
    top = levels(bits)
    scale = (high - low) / top
    zero = shift(low, scale)
    q = rounded(x / scale) + zero
    return (np.clip(q, 0, top) if clip else q).astype(int), scale, zero


def _affine_cases():
    rng = generator(2)
    return [(np.array([0.0, 0.4, 1.7, 3.0]), 0.0, 3.0, 4), (rng.uniform(-1, 2, (3, 4)), -1.0, 2.0, 8),
            (rng.uniform(-2, 3, (2, 3, 4, 2)), -0.7, 1.9, 4), (rng.uniform(1, 4, (3, 2)), 1.0, 4.0, 8),
            (rng.uniform(-5, -2, (2, 5)), -5.0, -2.0, 6)]  # fmt: skip


# --- sums of integers -------------------------------------------------------------------------------------------------


def _convolve(centre=lambda qx, zero: qx.astype(np.int32) - zero, pad_value=lambda zero: 0,
              kernel=lambda qw: qw.astype(np.int32), flip=False):  # fmt: skip
    """Return an integer convolution with one step changed."""

    def convolution(qx, zero, qw):
        (N, H, W, _), (K, _, _, F) = qx.shape, qw.shape
        p = K // 2
        padded = np.pad(centre(qx, zero), ((0, 0), (p, p), (p, p), (0, 0)), constant_values=pad_value(zero))
        taps, out = kernel(qw), np.zeros((N, H, W, F), np.int32)
        for i in range(K):
            for j in range(K):
                tap = taps[K - 1 - i, K - 1 - j] if flip else taps[i, j]
                out += (padded[:, i : i + H, j : j + W] @ tap).astype(np.int32)
        return out

    return convolution


_integer_conv = _convolve()


def _conv_cases():
    rng = generator(3)
    cases = []
    for (N, H, W, C), K, F, zero in (((1, 3, 4, 1), 1, 1, 0), ((1, 3, 5, 2), 3, 3, 7), ((2, 5, 4, 3), 3, 2, 120),
                                     ((1, 6, 7, 8), 5, 2, 31)):  # fmt: skip
        qx = rng.integers(0, 256, (N, H, W, C)).astype(np.uint8)
        cases.append((qx, zero, rng.integers(-127, 128, (K, K, C, F)).astype(np.int8)))
    return cases


# --- challenge --------------------------------------------------------------------------------------------------------


def _two_bits(weight, bits):
    top, largest = 2 ** (bits - 1) - 1, np.abs(weight).max((0, 1, 2))
    best, least = np.zeros_like(weight), np.full(largest.shape, np.inf)
    for share in np.linspace(0.2, 1, 33):
        scale = np.where(largest > 0, share * largest / top, 1)
        rounded = np.clip(np.round(weight / scale), -top, top) * scale
        error = ((rounded - weight) ** 2).sum((0, 1, 2))
        best, least = np.where(error < least, rounded, best), np.minimum(error, least)
    return best.astype(weight.dtype)


def _two_bits_cases():
    rng = generator(4)
    cases = []
    for shape in ((1, 1, 4, 3), (3, 3, 2, 5)):
        signs = rng.integers(-1, 2, shape)
        signs[0, 0, 0], signs[0, 0, 1] = 1, -1
        cases.append((signs * rng.uniform(0.5, 3, shape[3]), 2))
    return cases


def _mIoU_with_two_bits(answer):
    """Return the mIoU of the bundled network, in per cent, or 0 if a channel has more than four values."""
    model = ts.fold_batchnorm(ts.load_bundled("toy"))
    for layer in model.layers.values():
        if "weight" in layer.params:
            weight = layer.params["weight"]
            changed = np.asarray(answer(weight.copy(), 2), weight.dtype)
            if changed.shape != weight.shape or any(len(np.unique(channel)) > 4 for channel in changed.T):
                return 0.0
            layer.params["weight"] = changed
    return 100 * evaluate(model, ts.data.InMemory(ToyScenes(12, seed=17))).mIoU


EXERCISES = [
    Exercise(
        name="symmetric",
        results=("q", "scale"),
        tier="warm-up",
        reference=lambda w, bits: _symmetric(w, bits),
        cases=_symmetric_cases,
        mistakes={
            "The largest weight becomes 2**(bits - 1), which has no place in the grid. Divide by 2**(bits - 1) - 1.":
                lambda w, bits: _symmetric(w, bits, top=lambda bits: 2 ** (bits - 1)),
            "The scale uses all 2**bits - 1 steps, but half of them are for negative numbers.":
                lambda w, bits: _symmetric(w, bits, top=lambda bits: 2**bits - 1),
            "The scale uses the largest number, but the largest absolute value may be negative.":
                lambda w, bits: _symmetric(w, bits, largest=np.max),
            "The numbers are cut off. Round them to the nearest integer.":
                lambda w, bits: _symmetric(w, bits, rounded=np.trunc),
            "q is multiplied by the scale. Return the integers.":
                lambda w, bits: (_symmetric(w, bits)[0] * _symmetric(w, bits)[1], _symmetric(w, bits)[1]),
        },
    ),
    Exercise(
        name="fake_quantize",
        results=("weight",),
        reference=lambda weight, bits, per_channel: _fake_quantize(weight, bits, per_channel),
        cases=_fake_quantize_cases,
        mistakes={
            "All channels share one scale. With per_channel, take the maximum over the first three axes.":
                lambda weight, bits, per_channel: _fake_quantize(weight, bits, False),
            "Each input channel has its own scale. The output channels are the last axis.":
                lambda weight, bits, per_channel: _fake_quantize(weight, bits, per_channel, axes=(0, 1, 3)),
            "These are the integers. Multiply them by the scale.":
                lambda weight, bits, per_channel: _fake_quantize(weight, bits, per_channel, back=False),
            "The largest weight becomes 2**(bits - 1), which has no place in the grid. Divide by 2**(bits - 1) - 1.":
                lambda w, bits, per_channel: _fake_quantize(w, bits, per_channel, top=lambda bits: 2 ** (bits - 1)),
            "The numbers are rounded down. Round to the nearest integer.":
                lambda weight, bits, per_channel: _fake_quantize(weight, bits, per_channel, rounded=np.floor),
            "A channel of zeros has the scale 0, and 0 / 0 is NaN. Use another scale there.":
                lambda weight, bits, per_channel: _fake_quantize(weight, bits, per_channel, safe=False),
        },
    ),
    Exercise(
        name="affine",
        results=("q", "scale", "zero"),
        reference=lambda x, low, high, bits: _affine(x, low, high, bits),
        cases=_affine_cases,
        mistakes={
            "The range does not contain 0, so no integer stands for 0. Use min(low, 0) and max(high, 0).":
                lambda x, low, high, bits: _affine(x, low, high, bits, extend=False),
            "The range is divided by 2**bits. There are 2**bits integers, and 2**bits - 1 steps between them.":
                lambda x, low, high, bits: _affine(x, low, high, bits, levels=lambda bits: 2**bits),
            "Numbers outside the range leave the grid. Clip q.":
                lambda x, low, high, bits: _affine(x, low, high, bits, clip=False),
            "The zero point has the wrong sign. It is round(-low / scale).":
                lambda x, low, high, bits: _affine(x, low, high, bits, shift=lambda low, s: int(np.round(low / s))),
            "The zero point is not an integer, so 0 is not represented exactly. Round it.":
                lambda x, low, high, bits: _affine(x, low, high, bits, shift=lambda low, s: -low / s),
            "The numbers are rounded down. Round to the nearest integer.":
                lambda x, low, high, bits: _affine(x, low, high, bits, rounded=np.floor),
        },
    ),
    Exercise(
        name="integer_conv",
        results=("sums",),
        reference=lambda qx, zero, qw: _integer_conv(qx, zero, qw),
        cases=_conv_cases,
        mistakes={
            "The sums overflow in 8 bits. Convert both arrays to int32 before the product.":
                _convolve(centre=lambda qx, zero: (qx - np.uint8(zero)).astype(np.int8),
                          kernel=lambda qw: qw.astype(np.int8)),
            "The zero point is not subtracted.": _convolve(centre=lambda qx, zero: qx.astype(np.int32)),
            "The padding is the number 0 before the zero point is subtracted, so it stands for -zero * scale.":
                _convolve(pad_value=lambda zero: -zero),
            "The kernel is flipped.": _convolve(flip=True),
            "The zero point is added. Subtract it.": _convolve(centre=lambda qx, zero: qx.astype(np.int32) + zero),
            "qx - zero wraps around in uint8. Convert qx to int32 first.":
                _convolve(centre=lambda qx, zero: (qx - np.uint8(zero)).astype(np.int32)),
        },
    ),
    Challenge(
        name="two_bits",
        results=("weight",),
        reference=_two_bits,
        cases=_two_bits_cases,
        mistakes={
            "All channels share the same values. Every output channel may have its own.":
                lambda weight, bits: _fake_quantize(weight, bits, False),
            "These are the integers. Multiply them by the scale.":
                lambda weight, bits: _fake_quantize(weight, bits, True, back=False),
            "The largest weight is halved. With two bits, the symmetric grid is -1, 0 and 1.":
                lambda weight, bits: np.clip(_fake_quantize(weight, bits, True), *(
                    sign * np.abs(weight).max((0, 1, 2)) / 2 for sign in (-1, 1))),
            "The weights 0 are lost. Keep 0 as one of the values.":
                lambda weight, bits: np.where(weight >= 0, 1, -1) * np.abs(weight).max((0, 1, 2)),
        },
        measure=_mIoU_with_two_bits,
        unit="per cent mIoU with two bits per weight",
        goal=25,
    ),
]  # fmt: skip

PREDICTIONS = {
    "fewest_bits_per_weight": Prediction(
        4, "Four bits with one scale per channel lose about 0.01, three bits about 0.1."
    ),
    "layer_that_needs_its_bits": Prediction(
        "a", "Its outputs are sums of only 27 products, so few errors cancel, and every later layer sees them."
    ),
    "type_of_the_accumulator": Prediction("b", "9 * 128 * 255 * 127 is 37 million, which needs 27 bits with its sign."),
}
