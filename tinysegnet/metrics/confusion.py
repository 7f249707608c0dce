"""The confusion matrix, and the three averages that follow from it.

n[i, j] counts the pixels of true class i predicted as class j, over the whole data set (SegNet paper,
section 3.3). With t_i = sum_j n[i, j] pixels that are class i and p_i = sum_j n[j, i] predicted as it:

    G     global accuracy      sum_i n[i, i] / sum_i t_i
    C     class average        mean over i of  n[i, i] / t_i
    mIoU  mean intersection    mean over i of  n[i, i] / (t_i + p_i - n[i, i])
          over union

Matrices of several pictures add up; averages of per-picture scores do not. So one accumulates `matrix +=
confusion_matrix(...)` over a data set and scores the sum; 3 K numbers (`class_counts`) are enough, and add up too.
"""

import numpy as np

from ..errors import DataError, ShapeError


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None
) -> np.ndarray:
    """Count pixels by true and predicted class.

    Args:
        labels, predictions: integers of one common shape, such as (H, W) or (N, H, W). Pixels whose *label*
            is ignore_label are dropped whatever was predicted there; on every other pixel both values must be
            in 0..K-1.
        num_classes: K.
        ignore_label: the label of pixels without a class.

    Returns:
        (K, K) int64, row = truth, column = prediction.

    Raises:
        DataError: a value is not a class, with its position.
        ShapeError: the shapes differ, or the arrays are not integers.

    >>> confusion_matrix(np.array([[0, 1], [1, 9]]), np.array([[0, 1], [0, 1]]), 2, ignore_label=9).tolist()
    [[1, 0], [1, 1]]
    """
    labels, predictions, counted = check_label_maps(labels, predictions, num_classes, ignore_label)
    # In the arrays' own uint8, 32 * 31 + 5 would wrap to 229: the index needs a wide type.
    pairs = labels[counted].astype(np.int64) * num_classes + predictions[counted].astype(np.int64)
    return np.bincount(pairs, minlength=num_classes**2).astype(np.int64).reshape(num_classes, num_classes)


def class_counts(matrix: np.ndarray) -> np.ndarray:
    """matrix (..., K, K) -> (..., 3, K): correctly predicted, labelled and predicted pixels of each class.

    >>> class_counts(np.array([[1, 0], [1, 1]])).tolist()
    [[1, 1], [1, 2], [2, 1]]
    """
    matrix = np.asarray(matrix)
    if matrix.ndim < 2 or matrix.shape[-2] != matrix.shape[-1]:
        raise ShapeError(f"a confusion matrix is square, (K, K); got {matrix.shape}")
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.stack([right, matrix.sum(axis=-1), matrix.sum(axis=-2)], axis=-2)


def class_ratios(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """counts (..., 3, K) -> accuracy and IoU of each class, (..., K) float64; NaN where the divisor is 0."""
    right, labelled, predicted = np.moveaxis(counts, -2, 0)
    return ratio(right, labelled), ratio(right, labelled + predicted - right)


def averages(counts: np.ndarray) -> np.ndarray:
    """counts (..., 3, K) -> (..., 3) float64: G, C and mIoU. Classes whose ratio is NaN do not count in a mean."""
    accuracy, IoU = class_ratios(counts)
    right, labelled, _ = np.moveaxis(counts.sum(axis=-1), -1, 0)
    return np.stack([ratio(right, labelled), _mean_present(accuracy), _mean_present(IoU)], axis=-1)


def check_label_maps(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """labels and predictions as arrays, and which pixels are labelled; raises as `confusion_matrix`."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ShapeError(f"labels {labels.shape} and predictions {predictions.shape} must have one shape")
    counted = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
    void = "" if ignore_label is None else f", ignored {ignore_label}"
    for what, array, also in (("label", labels, void), ("prediction", predictions, "")):
        if array.dtype.kind not in "iub":
            raise ShapeError(f"{what}s must be whole class numbers, not {array.dtype}. Take the argmax of scores first")
        bad = counted & ((array < 0) | (array >= num_classes))
        if bad.any():
            position = tuple(int(i) for i in np.argwhere(bad)[0])
            wrong = f"{what} {array[position]} at index {position} is not a class"
            raise DataError(f"{wrong} (allowed 0..{num_classes - 1}{also})")
    return labels, predictions, counted


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole in float64, NaN (silently) where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean_present(values: np.ndarray) -> np.ndarray:
    """Mean over the entries of the last axis that are not NaN; NaN if there is none."""
    present = ~np.isnan(values)
    return ratio(np.where(present, values, 0).sum(axis=-1), present.sum(axis=-1))
