"""Exercises of lesson 16: concatenation, dilated convolution, and the pixels that a stack of them sees."""

import numpy as np

from .exercise import Challenge, Exercise, Prediction, generator

# --- concatenation ----------------------------------------------------------------------------------------------------


def _concat_backward(dout, C):
    return dout[..., :C], dout[..., C:]


def _concat_cases():
    rng = generator(0)
    shapes = ((1, 2, 3, 2, 3), (2, 3, 2, 4, 1), (2, 2, 4, 3, 3))
    return [(rng.standard_normal((N, H, W, C + K)), C) for N, H, W, C, K in shapes]


# --- dilated convolution ----------------------------------------------------------------------------------------------


def _dilated_shapes():
    return ((1, 4, 5, 1, 1, 1), (1, 5, 7, 1, 1, 2), (2, 4, 6, 3, 2, 2), (2, 7, 5, 2, 3, 3))


def _dilated_cases():
    rng = generator(1)
    return [(rng.standard_normal((N, H, W, C)), rng.standard_normal((3, 3, C, F)), rate)
            for N, H, W, C, F, rate in _dilated_shapes()]  # fmt: skip


def _backward_cases():
    rng = generator(2)
    return [(rng.standard_normal((N, H, W, F)), rng.standard_normal((N, H, W, C)), rng.standard_normal((3, 3, C, F)),
             rate) for N, H, W, C, F, rate in _dilated_shapes()]  # fmt: skip


def _padded(x, border):
    return np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))


def _windows(size, rate, *, border=None, step=None):
    """Return, for each tap, its row and column in the kernel and its part of the padded map."""
    H, W = size
    step = rate if step is None else step
    first = 0 if border is None else border - rate
    return [(i, j, np.s_[:, first + i * step : first + i * step + H, first + j * step : first + j * step + W])
            for i in range(3) for j in range(3)]  # fmt: skip


def _convolve(kernel=lambda w, i, j: w[i, j], step=lambda rate: rate, border=lambda rate: rate, joined=np.add):
    """Return a dilated convolution with one step changed."""

    def dilated(x, weight, rate):
        size = x.shape[1:3]
        padded, out = _padded(x, border(rate)), np.zeros((*x.shape[:3], weight.shape[3]), x.dtype)
        for i, j, part in _windows(size, rate, step=step(rate)):
            out = joined(out, padded[part] @ kernel(weight, i, j))
        return out

    return dilated


_dilated = _convolve()


def _backpropagate(dweight=lambda x, d: x.T @ d, tap=lambda w, i, j: w[i, j], added=True, crop=lambda rate: rate,
                   step=lambda rate: rate, samples=slice(None)):  # fmt: skip
    """Return a backward pass with one step changed; x and d have one row per pixel."""

    def backward(dout, x, weight, rate):
        (_, H, W, C), F = x.shape, weight.shape[3]
        padded, dw = _padded(x, rate), np.zeros_like(weight)
        dpadded = np.zeros_like(padded)
        for i, j, part in _windows((H, W), rate, step=step(rate)):
            dw[i, j] = dweight(padded[part][samples].reshape(-1, C), dout[samples].reshape(-1, F))
            dpadded[part] = dpadded[part] * added + dout @ tap(weight, i, j).T
        first = crop(rate)
        return dpadded[:, first : first + H, first : first + W], dw

    return backward


_dilated_backward = _backpropagate()


# --- paths ------------------------------------------------------------------------------------------------------------


def _paths(rates):
    paths = np.ones(1, int)
    for rate in rates:
        taps = np.zeros(2 * rate + 1, int)
        taps[::rate] = 1
        paths = np.convolve(paths, taps)
    return paths


def _full_kernels(rates):
    paths = np.ones(1, int)
    for rate in rates:
        paths = np.convolve(paths, np.ones(2 * rate + 1, int))
    return paths


def _last_layer(rates):
    taps = np.zeros(2 * rates[-1] + 1, int)
    taps[:: rates[-1]] = 1
    return np.pad(taps, sum(rates[:-1]))


def _added_layers(rates):
    total = sum(rates)
    paths = np.zeros(2 * total + 1, int)
    for rate in rates:
        paths[[total - rate, total, total + rate]] += 1
    return paths


def _path_cases():
    rng = generator(3)
    return [([1],), ([2],), ([1, 1],), ([2, 2, 2],), ([3, 1],), ([1, 2, 4, int(rng.integers(2, 6))],)]


# --- challenge --------------------------------------------------------------------------------------------------------

LAYERS = 5


def _rates(count):
    return np.array([3**layer for layer in range(count)])


def _width_without_holes(answer):
    """Return how many pixels in a row five layers see, around the middle."""
    rates = [int(rate) for rate in answer(LAYERS)]
    if len(rates) != LAYERS or min(rates) < 1:
        return 0.0
    seen = {0}
    for rate in rates:
        seen = {offset + move for offset in seen for move in (-rate, 0, rate)}
    reach = next(offset for offset in range(len(seen) + 1) if offset + 1 not in seen)
    return 2.0 * reach + 1


EXERCISES = [
    Exercise(
        name="concat_backward",
        results=("du", "dp"),
        tier="warm-up",
        reference=_concat_backward,
        cases=_concat_cases,
        mistakes={
            "The two parts are in the wrong order. u comes first in the concatenation.":
                lambda dout, C: (dout[..., C:], dout[..., :C]),
            "The cut is in the middle, but u and p may have different numbers of channels. Cut at C.":
                lambda dout, C: (dout[..., : dout.shape[3] // 2], dout[..., dout.shape[3] // 2 :]),
            "p has the last K channels, not the last C.": lambda dout, C: (dout[..., :C], dout[..., -C:]),
            "A copy passes its gradient on unchanged. Nothing is divided by 2.":
                lambda dout, C: (dout[..., :C] / 2, dout[..., C:] / 2),
            "The rows are cut. The channels are the last axis.": lambda dout, C: (dout[:, :C], dout[:, C:]),
        },
    ),
    Exercise(
        name="dilated",
        results=("out",),
        reference=lambda x, weight, rate: _dilated(x, weight, rate),
        cases=_dilated_cases,
        mistakes={
            "The taps are one pixel apart. Tap (i, j) must begin at row i * rate and column j * rate.":
                _convolve(step=lambda rate: 1),
            "The kernel is flipped. Tap (i, j) multiplies the copy that begins at (i * rate, j * rate).":
                _convolve(kernel=lambda w, i, j: w[2 - i, 2 - j]),
            "The kernel's rows and columns are exchanged.": _convolve(kernel=lambda w, i, j: w[j, i]),
            "Only the last tap is kept. Add the shares of all nine taps.": _convolve(joined=lambda out, share: share),
            "The padding is 2 * rate on each side, which shifts the picture. Pad by rate.":
                _convolve(border=lambda rate: 2 * rate),
        },
    ),
    Exercise(
        name="dilated_backward",
        results=("dx", "dweight"),
        reference=lambda dout, x, weight, rate: _dilated_backward(dout, x, weight, rate),
        cases=_backward_cases,
        mistakes={
            "The taps are one pixel apart. Read and write where forward read, at i * rate and j * rate.":
                _backpropagate(step=lambda rate: 1),
            "The shares of dx are assigned, so only the last one remains where they overlap. Add them.":
                _backpropagate(added=False),
            "dx is not cropped: it begins in the padding. Remove the first rate rows and columns.":
                _backpropagate(crop=lambda rate: 0),
            "The kernel is flipped in dx. A scatter uses the same tap as forward.":
                _backpropagate(tap=lambda w, i, j: w[2 - i, 2 - j]),
            "dweight is a mean over the pixels. Take the sum.": _backpropagate(dweight=lambda x, d: x.T @ d / len(x)),
            "dweight uses the first sample only. All samples share the kernel.": _backpropagate(samples=slice(1)),
        },
    ),
    Exercise(
        name="paths",
        results=("paths",),
        reference=_paths,
        cases=_path_cases,
        mistakes={
            "A layer of rate r has three taps, not 2 * r + 1. The pixels between the taps are not read.":
                _full_kernels,
            "The shares of the layers are added. A path goes through all layers, one after the other: convolve.":
                _added_layers,
            "Only the last layer counts. Convolve the taps of all layers.": _last_layer,
            "The answer says whether a pixel is seen. Count the paths.": lambda rates: (_paths(rates) > 0).astype(int),
            "These are shares. Do not divide by the number of all paths.":
                lambda rates: _paths(rates) / 3.0 ** len(rates),
        },
    ),
    Challenge(
        name="rates_without_holes",
        results=("rates",),
        reference=_rates,
        cases=lambda: [(1,)],
        mistakes={
            "A single layer of rate 2 has holes beside its middle tap. Its rate must be 1.":
                lambda count: [2] * count,
            "A rate of 0 puts all taps on one pixel. Begin with 1.": lambda count: list(range(count)),
            "There is one rate too many.": lambda count: [2**layer for layer in range(count + 1)],
            "The rates begin with 3, so the neighbours of the middle are not seen. Begin with 1.":
                lambda count: [3 ** (layer + 1) for layer in range(count)],
        },
        measure=_width_without_holes,
        unit="pixels in a row seen by five layers",
        goal=100,
    ),
]  # fmt: skip

PREDICTIONS = {
    "bytes_across_in_unet": Prediction(
        64, "A window of 2x2 pixels has four numbers of 32 bits, 128 bits, and its index has two."
    ),
    "pixels_through_three_dilated_layers": Prediction(
        7, "All sums of offsets -2, 0 and 2 are even, so only the offsets -6, -4, ..., 6 are reached."
    ),
    "best_outlines_at_equal_time": Prediction(
        "c", "U-Net's last convolutions see the encoder's first maps at full size, with every edge of the picture."
    ),
}
