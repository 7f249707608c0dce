"""Exercises of lesson 14: resizing labels, the working size of a network, and folding batch norm."""

import numpy as np

from .exercise import Exercise, generator

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


EXERCISES = [
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
]  # fmt: skip
