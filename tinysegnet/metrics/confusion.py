"""The confusion matrix and the three averages computed from it.

n[i, j] is the number of pixels of true class i that are predicted as class j, over the whole data set (SegNet paper,
section 3.3). With t_i = sum_j n[i, j] pixels of class i and p_i = sum_j n[j, i] pixels predicted as class i:

    G     global accuracy      sum_i n[i, i] / sum_i t_i
    C     class average        mean over i of  n[i, i] / t_i
    mIoU  mean intersection    mean over i of  n[i, i] / (t_i + p_i - n[i, i])
          over union

The matrices of several pictures can be added, and so can the 3 K numbers of `class_counts`. Scores cannot.
"""

import numpy as np

from ..errors import DataError, ShapeError


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None
) -> np.ndarray:
    """Count pixels by true and predicted class.

    Args:
        labels, predictions: integers of the same shape, such as (H, W) or (N, H, W). Pixels with the label
            `ignore_label` do not count. On all other pixels, both values must be in 0..K-1.
        num_classes: K, the number of classes.
        ignore_label: the label of pixels without a class.

    Returns:
        The matrix (K, K) int64, with one row per true class and one column per predicted class.

    Raises:
        DataError: if a value is not a class.
        ShapeError: if the shapes differ or the arrays are not integers.

    >>> confusion_matrix(np.array([[0, 1], [1, 9]]), np.array([[0, 1], [0, 1]]), 2, ignore_label=9).tolist()
    [[1, 0], [1, 1]]
    """
    labels, predictions, counted = check_label_maps(labels, predictions, num_classes, ignore_label)
    # In uint8, the index 32 * 31 + 5 would wrap to 229.
    pairs = labels[counted].astype(np.int64) * num_classes + predictions[counted].astype(np.int64)
    return np.bincount(pairs, minlength=num_classes**2).astype(np.int64).reshape(num_classes, num_classes)


def class_counts(matrix: np.ndarray) -> np.ndarray:
    """Return the numbers (..., 3, K) of correctly predicted, labelled and predicted pixels of each class.

    >>> class_counts(np.array([[1, 0], [1, 1]])).tolist()
    [[1, 1], [1, 2], [2, 1]]
    """
    matrix = np.asarray(matrix)
    if matrix.ndim < 2 or matrix.shape[-2] != matrix.shape[-1] or matrix.dtype.kind not in "iufb":
        raise ShapeError(
            f"a confusion matrix is square, (K, K), and consists of numbers, not {matrix.dtype} {matrix.shape}"
        )
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.stack([right, matrix.sum(axis=-1), matrix.sum(axis=-2)], axis=-2)


def class_ratios(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracy and IoU (..., K) of each class from counts (..., 3, K), NaN where the divisor is 0."""
    right, labelled, predicted = np.moveaxis(counts, -2, 0)
    return ratio(right, labelled), ratio(right, labelled + predicted - right)


def averages(counts: np.ndarray) -> np.ndarray:
    """Return G, C and mIoU (..., 3) from counts (..., 3, K). The means exclude classes whose ratio is NaN."""
    accuracy, IoU = class_ratios(counts)
    right, labelled, _ = np.moveaxis(counts.sum(axis=-1), -1, 0)
    return np.stack([ratio(right, labelled), _mean_present(accuracy), _mean_present(IoU)], axis=-1)


def check_label_maps(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and predictions as arrays, and a mask of the labelled pixels. See `confusion_matrix` for errors."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ShapeError(f"labels {labels.shape} and predictions {predictions.shape} must have the same shape")
    counted = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
    void = "" if ignore_label is None else f" and {ignore_label} for void"
    for what, array, also in (("label", labels, void), ("prediction", predictions, "")):
        if array.dtype.kind not in "iub":
            raise ShapeError(f"{what}s must be integers, not {array.dtype}. Take the argmax of scores first")
        bad = counted & ((array < 0) | (array >= num_classes))
        if bad.any():
            position = tuple(int(i) for i in np.argwhere(bad)[0])
            allowed = f"Allowed are 0..{num_classes - 1}{also}"
            raise DataError(f"{what} {array[position]} at index {position} is not a class. {allowed}")
    return labels, predictions, counted


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole in float64, with NaN and no warning where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean_present(values: np.ndarray) -> np.ndarray:
    """Return the mean of the values along the last axis that are not NaN, or NaN if there are none."""
    present = ~np.isnan(values)
    return ratio(np.where(present, values, 0).sum(axis=-1), present.sum(axis=-1))
