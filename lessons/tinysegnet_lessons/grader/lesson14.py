"""Exercises of lesson 14: resizing labels, the working size of a network, and folding batch norm."""

import numpy as np

from .exercise import Exercise

# --- labels at another size -------------------------------------------------------------------------------------------


def _picked(index):
    """Return a resize by index(n, N), which gives the row (or column) of N that each of n is picked from."""

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
    """Interpolate between the four pixels around each centre, rounded to integers."""
    rows, columns = (np.clip((np.arange(n) + 0.5) * N / n - 0.5, 0, N - 1)
                     for n, N in zip(size, labels.shape, strict=True))  # fmt: skip
    top, left = rows.astype(int), columns.astype(int)
    below, right = np.minimum(top + 1, labels.shape[0] - 1), np.minimum(left + 1, labels.shape[1] - 1)
    y, x = (rows - top)[:, None], columns - left
    above = labels[top[:, None], left] * (1 - x) + labels[top[:, None], right] * x
    under = labels[below[:, None], left] * (1 - x) + labels[below[:, None], right] * x
    return np.floor(above * (1 - y) + under * y + 0.5).astype(labels.dtype)


def _label_cases():
    rng = np.random.default_rng(14)
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
    rng = np.random.default_rng(15)
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
            "the pixel's upper left corner is used instead of its centre: the half is missing in (i + 1/2) * H / h":
                _picked(lambda n, N: np.arange(n) * N // n),
            "round down: the centre lies in the square of row floor((i + 1/2) * H / h)": _picked(_rounded),
            "the corners are aligned, with (H - 1) / (h - 1); pixels are squares, and their ratio is H / h":
                _picked(_corners_aligned),
            "the labels are interpolated; between classes 2 and 4 there is no class 3": _interpolated,
            "size is (rows, columns), as in NumPy; these are (columns, rows), as in Pillow":
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
            "this is the training size itself; the picture must keep its aspect ratio":
                lambda image_size, training_size: training_size,
            "the factor for lengths is the square root of the factor for areas":
                _scaled(lambda H, W, h, w: h * w / (H * W)),
            "this makes the picture fit into the training size; its area must be equal instead":
                _scaled(lambda H, W, h, w: min(h / H, w / W)),
            "round to the nearest integer, not down":
                _scaled(lambda H, W, h, w: (h * w / (H * W)) ** 0.5, whole=np.floor),
            "a picture has at least one row and one column": _never_below_nothing,
            "the factor is inverted: it scales the picture's area to the training area":
                _scaled(lambda H, W, h, w: (H * W / (h * w)) ** 0.5),
        },
    ),
    Exercise(
        name="fold",
        results=("weight", "bias"),
        reference=_fold,
        cases=_fold_cases,
        mistakes={
            "the factor belongs to output channels, the last axis of weight; this is the axis of C": _input_channels,
            "var is the variance: divide by its square root": _folded(lambda gamma, var, eps: gamma / (var + eps)),
            "eps is missing: sqrt(var + eps)": _folded(lambda gamma, var, eps: gamma / np.sqrt(var)),
            "eps is outside the root: sqrt(var + eps)":
                _folded(lambda gamma, var, eps: gamma / (np.sqrt(var) + eps)),
            "the factor lacks gamma": _folded(lambda gamma, var, eps: 1 / np.sqrt(var + eps)),
            "the bias is right, but weight is unchanged": _weight_left,
            "the weight is right; the old bias is scaled, too: beta + s * (bias - mean)":
                _folded(_factor, lambda beta, s, bias, mean: beta + bias - s * mean),
            "the weight is right; the old bias is missing":
                _folded(_factor, lambda beta, s, bias, mean: beta - s * mean),
            "the weight is right; the mean is subtracted before scaling, so it is scaled, too":
                _folded(_factor, lambda beta, s, bias, mean: beta + s * bias - mean),
            "the weight is right; subtract the mean":
                _folded(_factor, lambda beta, s, bias, mean: beta + s * (bias + mean)),
        },
    ),
]  # fmt: skip
