"""Exercises of lesson 14: values of labels, resizing, the working size, tiles, folding, and any weather."""

from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

import tinysegnet as ts
from tinysegnet.data.toyscenes import ToyScenes

from .exercise import Challenge, Exercise, Prediction, generator

PREDICTIONS = {
    "values_in_a_jpeg": Prediction("c", "JPEG stores waves, and where two labels meet, the waves take values between."),
    "best_size": Prediction("b", "At 96 rows, cars are as large as in the training pictures."),
    "folding_before_a_convolution": Prediction("c", "The zeros of the padding have not been shifted by t."),
}

# --- values that are no class -----------------------------------------------------------------------------------------


def _unknown_values(labels, num_classes, ignore_label):
    values = np.unique(labels)
    return values[(values >= num_classes) & (values != ignore_label)]


def _value_cases():
    rng = generator(16)
    cases = [(np.array([[0, 1, 7], [255, 7, 9]], np.uint8), 3, 255)]
    for shape, high, num_classes, ignore_label in (((5, 7), 40, 11, 11), ((6, 4), 256, 19, 255), ((3, 5), 4, 5, 4)):
        cases.append((rng.integers(0, high, shape).astype(np.uint8), num_classes, ignore_label))
    return [*cases, (np.array([[3, 3], [12, 3]]), 3, 12)]


# --- labels at another size -------------------------------------------------------------------------------------------


def _picked(index):
    """Return a resizing function in which index(n, N) selects the n rows (or columns) of N."""

    def variant(labels, size):
        rows, columns = (index(n, N) for n, N in zip(size, labels.shape, strict=True))
        return labels[rows[:, None], columns]

    return variant


def _centres(n, N):
    return (2 * np.arange(n) + 1) * N // (2 * n)


def _rounded(n, N):
    return np.minimum(np.floor((np.arange(n) + 0.5) * N / n + 0.5).astype(int), N - 1)


def _corners_aligned(n, N):
    return np.floor(np.arange(n) * (N - 1) / max(n - 1, 1) + 0.5).astype(int)


def _interpolated(labels, size):
    """Interpolate between the four pixels around each centre and round to integers."""
    rows, columns = (np.clip((np.arange(n) + 0.5) * N / n - 0.5, 0, N - 1)
                     for n, N in zip(size, labels.shape, strict=True))  # fmt: skip
    top, left = rows.astype(int), columns.astype(int)
    below, right = np.minimum(top + 1, labels.shape[0] - 1), np.minimum(left + 1, labels.shape[1] - 1)
    y, x = (rows - top)[:, None], columns - left
    above = labels[top[:, None], left] * (1 - x) + labels[top[:, None], right] * x
    under = labels[below[:, None], left] * (1 - x) + labels[below[:, None], right] * x
    return np.floor(above * (1 - y) + under * y + 0.5).astype(labels.dtype)


def _label_cases():
    rng = generator(14)
    shapes = [((4, 6), (2, 3)), ((9, 12), (3, 4)), ((5, 7), (10, 14)), ((7, 10), (4, 9)), ((6, 4), (1, 1)),
              ((3, 2), (5, 9))]  # fmt: skip
    return [(rng.integers(0, 12, shape), size) for shape, size in shapes]


# --- the size at which a network works --------------------------------------------------------------------------------


def _working_size(image_size, training_size):
    return _scaled(lambda H, W, h, w: (h * w / (H * W)) ** 0.5)(image_size, training_size)


def _scaled(factor, whole=round):
    def variant(image_size, training_size):
        f = factor(*image_size, *training_size)
        return tuple(max(1, int(whole(n * f))) for n in image_size)

    return variant


def _never_below_nothing(image_size, training_size):
    f = (training_size[0] * training_size[1] / (image_size[0] * image_size[1])) ** 0.5
    return round(image_size[0] * f), round(image_size[1] * f)


# --- tiles with a halo ------------------------------------------------------------------------------------------------


def _tiled(f, image, tile, halo):
    return _tiles(lambda first, halo: max(first - halo, 0))(f, image, tile, halo)


def _tiles(begin, end=lambda first, tile, halo: first + tile + halo, inner=lambda first, begun: first - begun):
    """Return the tiling with one step changed: where a tile begins and ends, and where its inner part begins."""

    def variant(f, image, tile, halo):
        out = np.zeros(image.shape[:2])
        for top in range(0, image.shape[0], tile):
            for left in range(0, image.shape[1], tile):
                first, start = begin(top, halo), begin(left, halo)
                part = f(image[first : end(top, tile, halo), start : end(left, tile, halo)])
                part = part[inner(top, first) :, inner(left, start) :][:tile, :tile]
                rows, columns = part.shape
                out[top : top + rows, left : left + columns] = part[: len(out) - top, : out.shape[1] - left]
        return out

    return variant


def _whole_tiles_only(f, image, tile, halo):
    out = np.zeros(image.shape[:2])
    H, W = (n // tile * tile for n in out.shape)
    out[:H, :W] = _tiled(f, image, tile, halo)[:H, :W]
    return out


def _sums_of_neighbours(image):
    """Sum the pixels of the 5x5 neighbourhood, with zeros outside the picture: a halo of 2 is needed."""
    padded = np.pad(image.sum(2), 2)
    H, W = image.shape[:2]
    return sum(padded[i : i + H, j : j + W] for i in range(5) for j in range(5))


def _tile_cases():
    rng = generator(17)
    shapes = ((8, 8), 4, 2), ((7, 10), 4, 3), ((5, 6), 8, 2), ((9, 4), 3, 2)
    return [(_sums_of_neighbours, rng.standard_normal((*shape, 3)), tile, halo) for shape, tile, halo in shapes]


# --- folding ----------------------------------------------------------------------------------------------------------


def _fold(weight, bias, gamma, beta, mean, var, eps):
    return _folded(lambda gamma, var, eps: gamma / np.sqrt(var + eps))(weight, bias, gamma, beta, mean, var, eps)


def _folded(scale, shift=lambda beta, s, bias, mean: beta + s * (bias - mean)):
    def variant(weight, bias, gamma, beta, mean, var, eps):
        s = scale(gamma, var, eps)
        return weight * s, shift(beta, s, bias, mean)

    return variant


def _factor(gamma, var, eps):
    return gamma / np.sqrt(var + eps)


def _input_channels(weight, bias, gamma, beta, mean, var, eps):
    s = _factor(gamma, var, eps)
    return weight * s[:, None], beta + s * (bias - mean)


def _weight_left(weight, *others):
    return weight, _fold(weight, *others)[1]


def _fold_cases():
    rng = generator(15)
    cases = []
    for K, C, F, eps in ((1, 2, 2, 0.1), (3, 4, 4, 1e-3), (3, 2, 5, 1e-5), (7, 3, 4, 1e-2)):
        numbers = [rng.standard_normal(F) for _ in range(4)]  # bias, gamma, beta, mean
        cases.append((rng.standard_normal((K, K, C, F)), *numbers, rng.uniform(0.1, 2, F), eps))
    return cases


# --- any weather ------------------------------------------------------------------------------------------------------


def _normalized(image, mean, std):
    pixels = image.reshape(-1, 3).astype(float)
    matched = (pixels - pixels.mean(0)) / (pixels.std(0) + 1) * std + mean
    return np.clip(matched, 0, 255).astype(np.uint8).reshape(image.shape)


def _in_bad_weather(image):
    """Return the picture at night, in fog, out of focus and in the evening, as the lesson does."""
    yield (image * np.array([0.3, 0.35, 0.5])).astype(np.uint8)
    yield (0.45 * image + 0.55 * 205).astype(np.uint8)
    yield np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))
    yield np.clip(image * np.array([1.3, 0.9, 0.6]), 0, 255).astype(np.uint8)


@cache
def _usual_light():
    pixels = np.concatenate([sample.image.reshape(-1, 3) for sample in ToyScenes(8, seed=1)])
    return pixels.mean(0), pixels.std(0)


def _mean_iou(answer):
    """Return the mean mIoU of the bundled network over four kinds of bad weather on four pictures."""
    model, scenes = ts.load_bundled("toy"), ToyScenes(4, seed=18)
    scores = []
    for kind in range(4):
        samples = []
        for sample in scenes:
            image = list(_in_bad_weather(sample.image))[kind]
            samples.append(replace(sample, image=np.asarray(answer(image, *_usual_light()), np.uint8)))
        matrix = np.zeros((11, 11))
        for sample in samples:
            known = sample.labels < 11
            np.add.at(matrix, (sample.labels[known], ts.predict(model, sample.image)[known]), 1)
        union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
        scores.append(np.mean((np.diag(matrix) / np.maximum(union, 1))[matrix.sum(1) > 0]))
    return float(np.mean(scores))


EXERCISES = [
    Exercise(
        name="unknown_values",
        results=("values",),
        reference=_unknown_values,
        cases=_value_cases,
        tier="warm-up",
        mistakes={
            "The ignore label is not a fault. Leave it out.":
                lambda labels, num_classes, ignore_label: np.unique(labels[labels >= num_classes]),
            "The class numbers begin with 0, so num_classes itself is no class. Use >=.":
                lambda labels, num_classes, ignore_label:
                    np.unique(labels[(labels > num_classes) & (labels != ignore_label)]),
            "A value is listed once per pixel. np.unique lists each value once.":
                lambda labels, num_classes, ignore_label:
                    np.sort(labels[(labels >= num_classes) & (labels != ignore_label)]),
            "These are the known values.":
                lambda labels, num_classes, ignore_label:
                    np.unique(labels[(labels < num_classes) | (labels == ignore_label)]),
            "This is the number of unknown values, not the values.":
                lambda labels, num_classes, ignore_label:
                    np.asarray(len(_unknown_values(labels, num_classes, ignore_label))),
        },
    ),
    Exercise(
        name="resize_labels",
        results=("labels",),
        reference=_picked(_centres),
        cases=_label_cases,
        mistakes={
            "The pixel's upper left corner is used instead of its centre. The half is missing in (i + 1/2) * H / h.":
                _picked(lambda n, N: np.arange(n) * N // n),
            "The row is rounded to the nearest integer. The centre lies in row floor((i + 1/2) * H / h).":
                _picked(_rounded),
            "The centres of the corner pixels are aligned by the ratio (H - 1) / (h - 1). Use H / h.":
                _picked(_corners_aligned),
            "The labels are interpolated, but a pixel between classes 2 and 4 does not belong to class 3.":
                _interpolated,
            "Rows and columns are swapped. The argument size is (rows, columns), as in NumPy.":
                lambda labels, size: _picked(_centres)(labels, size[::-1]),
        },
    ),
    Exercise(
        name="working_size",
        results=("height", "width"),
        reference=_working_size,
        cases=lambda: [((360, 480), (96, 128)), ((100, 400), (96, 128)), ((480, 360), (96, 128)), ((50, 60), (96, 128)),
                       ((1080, 1920), (180, 240)), ((3, 4000), (20, 30)), ((2000, 1), (8, 8))],
        mistakes={
            "This is the training size itself. The picture must keep its aspect ratio.":
                lambda image_size, training_size: training_size,
            "The lengths are scaled by the factor for areas. Use the square root of this factor.":
                _scaled(lambda H, W, h, w: h * w / (H * W)),
            "The picture is made to fit into the training size. Make the areas equal instead.":
                _scaled(lambda H, W, h, w: min(h / H, w / W)),
            "The lengths are rounded down. Round lengths to the nearest integer.":
                _scaled(lambda H, W, h, w: (h * w / (H * W)) ** 0.5, whole=np.floor),
            "A length becomes 0, but a picture has at least one row and one column.": _never_below_nothing,
            "The factor is inverted. The factor must scale the picture's area to the training area.":
                _scaled(lambda H, W, h, w: (H * W / (h * w)) ** 0.5),
        },
    ),
    Exercise(
        name="tiled",
        results=("out",),
        reference=_tiled,
        cases=_tile_cases,
        mistakes={
            "The tiles have no halo, so pixels at the seams lack their neighbours.":
                lambda f, image, tile, halo: _tiled(f, image, tile, 0),
            "The halo is missing above and on the left.":
                _tiles(lambda first, halo: first),
            "The halo is missing below and on the right.":
                _tiles(lambda first, halo: max(first - halo, 0), end=lambda first, tile, halo: first + tile),
            "The halo above and on the left is not removed from the result.":
                _tiles(lambda first, halo: max(first - halo, 0), inner=lambda first, begun: 0),
            "The first tiles have no halo above or on the left. Remove only what was added: the tile's beginning "
            "minus the cut's.":
                _tiles(lambda first, halo: max(first - halo, 0),
                       inner=lambda first, begun: 2),
            "The tiles at the right and lower edges, which are smaller, are missing.": _whole_tiles_only,
        },
    ),
    Exercise(
        name="fold",
        results=("weight", "bias"),
        reference=_fold,
        cases=_fold_cases,
        mistakes={
            "The factor is applied to the input channels, but belongs to the output channels, the last axis of weight.":
                _input_channels,
            "The weight is divided by the variance. Divide by the square root of the variance.":
                _folded(lambda gamma, var, eps: gamma / (var + eps)),
            "eps is missing. Use sqrt(var + eps).": _folded(lambda gamma, var, eps: gamma / np.sqrt(var)),
            "eps is outside the root. Use sqrt(var + eps).":
                _folded(lambda gamma, var, eps: gamma / (np.sqrt(var) + eps)),
            "The factor lacks gamma.": _folded(lambda gamma, var, eps: 1 / np.sqrt(var + eps)),
            "The bias is right, but the weight is unchanged.": _weight_left,
            "The weight is right, but the old bias must also be scaled. Use beta + s * (bias - mean).":
                _folded(_factor, lambda beta, s, bias, mean: beta + bias - s * mean),
            "The weight is right, but the old bias is missing.":
                _folded(_factor, lambda beta, s, bias, mean: beta - s * mean),
            "The weight is right, but the mean must be subtracted before scaling.":
                _folded(_factor, lambda beta, s, bias, mean: beta + s * bias - mean),
            "The weight is right, but the mean is added. Subtract the mean.":
                _folded(_factor, lambda beta, s, bias, mean: beta + s * (bias + mean)),
        },
    ),
    Challenge(
        name="normalized",
        results=("image",),
        reference=_normalized,
        cases=list,
        measure=_mean_iou,
        unit="mean mIoU over night, fog, blur and evening",
        goal=0.65,
    ),
]  # fmt: skip
