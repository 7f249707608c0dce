"""How good is a segmentation: the confusion matrix, and G, C and mIoU read off it.

n[i, j] counts the pixels of true class i predicted as class j, over the whole data set (SegNet paper,
section 3.3). With t_i = sum_j n[i, j] pixels that are class i and p_i = sum_j n[j, i] predicted as it:

    G     global accuracy      sum_i n[i, i] / sum_i t_i
    C     class average        mean over i of  n[i, i] / t_i
    mIoU  mean intersection    mean over i of  n[i, i] / (t_i + p_i - n[i, i])
          over union

Matrices of several pictures add up; averages of per-picture scores do not. So one accumulates
`matrix += confusion_matrix(...)` over a data set and makes `Scores` of the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DataError, ShapeError

__all__ = ["Scores", "confusion_matrix"]


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None
) -> np.ndarray:
    """Count pixels by true and predicted class: (K, K) int64, row = truth, column = prediction.

    labels, predictions: integers of one common shape, such as (H, W) or (N, H, W). Pixels whose *label*
    is ignore_label are dropped whatever was predicted there; on every other pixel both values must be
    in 0..K-1. Raises DataError with the value and its position, ShapeError for shapes or dtypes.

    >>> confusion_matrix(np.array([[0, 1], [1, 9]]), np.array([[0, 1], [0, 1]]), 2, ignore_label=9).tolist()
    [[1, 0], [1, 1]]
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    _check_arrays(labels, predictions)
    counted = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
    _check_range("label", labels, counted, num_classes, ignore_label)
    _check_range("prediction", predictions, counted, num_classes)
    # In the arrays' own uint8, 32 * 31 + 5 would wrap to 229: the index needs a wide type.
    pairs = labels[counted].astype(np.int64) * num_classes + predictions[counted].astype(np.int64)
    return np.bincount(pairs, minlength=num_classes**2).astype(np.int64).reshape(num_classes, num_classes)


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores that a confusion matrix implies. All are fractions in 0..1.

    pixels: (K,) int64, labelled pixels per class. accuracy, IoU: (K,) float64. G, C, mIoU: floats.
    A class with no labelled pixel has accuracy NaN and does not count in C. Its IoU is NaN, and does not
    count in mIoU, if it was never predicted either; if it *was* predicted, its union is not empty: its
    IoU is 0 and counts. (The papers' script divides by 11 even then.) With no labelled pixel at all,
    G, C and mIoU are NaN.
    """

    confusion: np.ndarray
    names: tuple[str, ...]
    pixels: np.ndarray
    accuracy: np.ndarray
    IoU: np.ndarray
    G: float
    C: float
    mIoU: float

    @classmethod
    def from_confusion(cls, matrix: np.ndarray, names: Sequence[str] | None = None) -> Scores:
        """Scores of a (K, K) matrix of counts; names: one per class, default "0", "1", ..."""
        matrix = np.asarray(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ShapeError(f"a confusion matrix is square, (K, K); this one is {matrix.shape}")
        names = tuple(map(str, range(len(matrix)))) if names is None else tuple(names)
        if len(names) != len(matrix):
            raise ShapeError(f"{len(names)} class names for a confusion matrix of {len(matrix)} classes")
        correct, pixels, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        accuracy = _ratio(correct, pixels)
        IoU = _ratio(correct, pixels + predicted - correct)
        G = float(_ratio(correct.sum(), pixels.sum()))
        return cls(matrix, names, pixels, accuracy, IoU, G, _mean_present(accuracy), _mean_present(IoU))

    def table(self, floor: Scores | None = None, floor_name: str = "floor") -> str:
        """The scores as text, one class a line, then the three averages; a floor's IoU and averages beside them."""
        width = max(5, *map(len, self.names))
        head = f"{'class':<{width}}  {'pixels':>13}  {'share':>7}  {'accuracy':>8}  {'IoU':>6}"
        lines = [head + (f"  {floor_name}: IoU" if floor else "")]
        lines += [self._row(k, width, floor, len(floor_name) + 5) for k in range(len(self.names))]
        present = int((self.pixels > 0).sum())
        lines += [f"{self.averages()}  ({present} of {len(self.names)} classes present)"]
        lines += [f"{floor.averages()}  {floor_name}"] if floor else []
        wrong = [name for name, n, IoU in zip(self.names, self.pixels, self.IoU, strict=True) if n == 0 and IoU == 0]
        if wrong:
            lines += [f"predicted though absent from the labels, IoU 0 counts in mIoU: {', '.join(wrong)}"]
        return "\n".join(lines)

    def averages(self) -> str:
        """The three averages on one line."""
        return f"G {self.G:.3f}  C {self.C:.3f}  mIoU {self.mIoU:.3f}"

    def _row(self, k: int, width: int, floor: Scores | None, floor_width: int) -> str:
        share = f"{100 * self.pixels[k] / self.pixels.sum():5.1f} %" if self.pixels[k] else "absent"
        row = f"{self.names[k]:<{width}}  {self.pixels[k]:>13,}  {share:>7}"
        row += f"  {_figure(self.accuracy[k]):>8}  {_figure(self.IoU[k]):>6}"
        return row + (f"  {_figure(floor.IoU[k]):>{floor_width}}" if floor else "")

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON: plain numbers, None where a class is absent."""
        return {
            "G": _or_none(self.G),
            "C": _or_none(self.C),
            "mIoU": _or_none(self.mIoU),
            "IoU": {name: _or_none(v) for name, v in zip(self.names, self.IoU, strict=True)},
            "accuracy": {name: _or_none(v) for name, v in zip(self.names, self.accuracy, strict=True)},
            "pixels": {name: int(n) for name, n in zip(self.names, self.pixels, strict=True)},
        }


def _check_arrays(labels: np.ndarray, predictions: np.ndarray) -> None:
    if labels.shape != predictions.shape:
        raise ShapeError(f"labels {labels.shape} and predictions {predictions.shape} must have one shape")
    for what, array in (("labels", labels), ("predictions", predictions)):
        if array.dtype.kind not in "iub":
            raise ShapeError(f"{what} must be whole class numbers, not {array.dtype}. Take the argmax of scores first")


def _check_range(
    what: str, values: np.ndarray, counted: np.ndarray, num_classes: int, ignore_label: int | None = None
) -> None:
    bad = counted & ((values < 0) | (values >= num_classes))
    if bad.any():
        position = tuple(int(i) for i in np.argwhere(bad)[0])
        void = "" if ignore_label is None else f", ignored {ignore_label}"
        raise DataError(
            f"{what} {values[position]} at index {position} is no class (allowed 0..{num_classes - 1}{void})"
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole in float64, NaN (silently) where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean_present(values: np.ndarray) -> float:
    """Mean over the entries that are not NaN; NaN if there is none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def _figure(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
