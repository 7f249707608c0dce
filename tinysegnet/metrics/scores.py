"""`Scores`: the scores of a confusion matrix, with boundary scores, AUROC of uncertainty, and confidence intervals.

`auroc` says how well a value separates two kinds of pixels. `Collector` accumulates the scores of a data set picture by
picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from .boundary import boundary_f1, boundary_f1_by_distance
from .confusion import averages, class_counts, class_ratios, confusion_matrix
from .intervals import BLOCK, LEVEL, bootstrap_intervals


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a random positive has a larger value than a random negative. Ties count as one half.

    Args:
        values: an array of any shape, such as the uncertainty of each pixel.
        positive: booleans of the same shape, such as whether each pixel is wrong.

    Returns:
        A value in 0..1: 0.5 if the values carry no information, NaN if there are no positives or no negatives.

    Raises:
        ShapeError: if the values are not numbers, or `positive` has another shape or is not boolean.

    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    values, positive = np.asarray(values), np.asarray(positive)
    if values.shape != positive.shape or values.dtype.kind not in "iufb" or positive.dtype != bool:
        raise ShapeError(f"auroc needs numbers and booleans of the same shape, got {values.dtype} {values.shape} and "
                         f"{positive.dtype} {positive.shape}")  # fmt: skip
    positives, negatives = np.sort(values[positive]), np.sort(values[~positive])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, up_to = (np.searchsorted(negatives, positives, side).sum(dtype=float) for side in ("left", "right"))
    return float((below + up_to) / 2 / (len(positives) * len(negatives)))


class RankCounts:
    """A histogram of non-negative values with three digits. It computes `auroc` for any number of pixels in 8 MB."""

    DROPPED = 12  # how many of the 23 mantissa bits are dropped; the remaining bits sort like the values

    def __init__(self) -> None:
        self.counts = np.zeros((2, 1 << (31 - self.DROPPED)), np.int64)

    def add(self, values: np.ndarray, positive: np.ndarray) -> None:
        """Add non-negative values of any shape, with booleans of the same shape."""
        values = np.ascontiguousarray(values, np.float32) + np.float32(0)  # -0.0, which a sum can yield, becomes 0.0
        bins = values.view(np.uint32) >> self.DROPPED
        for kind in (0, 1):
            self.counts[kind] += np.bincount(bins[positive == kind], minlength=self.counts.shape[1])

    def auroc(self) -> float:
        """Return the AUROC of all values so far."""
        negatives, positives = self.counts.astype(float)
        pairs = negatives.sum() * positives.sum()
        below = np.cumsum(negatives) - negatives
        return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else float("nan")


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a confusion matrix. All scores are fractions in 0..1, or None if they were not computed.

    A class without labelled pixels has accuracy NaN and does not count towards C. If such a class was never predicted,
    its IoU is also NaN and does not count towards mIoU. If it was predicted, its IoU is 0 and counts towards mIoU. (The
    paper's script always divides by 11.) Without labelled pixels, G, C and mIoU are NaN.
    """

    confusion: np.ndarray  # (K, K) int64, one row per true class, one column per predicted class
    names: tuple[str, ...]  # one per class
    pixels: np.ndarray  # (K,) int64, labelled pixels per class
    accuracy: np.ndarray  # (K,) float64, per class
    IoU: np.ndarray  # (K,) float64, per class
    G: float  # global accuracy
    C: float  # class average
    mIoU: float  # mean IoU
    BF: float | None = None  # mean of `boundary_f1` over the pictures
    BF_by_distance: float | None = None  # mean of `boundary_f1_by_distance` over the pictures
    uncertainty_AUROC: float | None = None  # `auroc` of uncertainty as a detector of wrong pixels
    MSP_AUROC: float | None = None  # the same for 1 - the maximum softmax probability (Hendrycks and Gimpel 2017)
    intervals: Mapping[str, tuple[float, float]] | None = None  # (low, high) by name, from `bootstrap_intervals`
    counts: np.ndarray | None = None  # (N, 3, K), the `class_counts` of each of N pictures

    @classmethod
    def from_confusion(cls, matrix: np.ndarray, names: Sequence[str] | None = None, **more: Any) -> Scores:
        """Compute the scores of a (K, K) matrix of counts. Raises ShapeError if the matrix is not square.

        Args:
            matrix: one row per true class, one column per predicted class.
            names: one name per class. Default: "0", "1", ...
            more: attributes that do not follow from the matrix, such as BF and intervals.
        """
        matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise ShapeError(f"a confusion matrix is square, (K, K), not {matrix.shape}")
        counts = class_counts(matrix)
        names = tuple(map(str, range(len(matrix)))) if names is None else tuple(names)
        if len(names) != len(matrix):
            raise ShapeError(f"{len(names)} class names do not fit a confusion matrix of {len(matrix)} classes")
        accuracy, IoU = class_ratios(counts)
        G, C, mIoU = map(float, averages(counts))
        return cls(matrix, names, counts[1], accuracy, IoU, G, C, mIoU, **more)

    def table(self, baseline: Scores | None = None, baseline_name: str = "baseline") -> str:
        """Return the scores as text: one line per class, then the averages, next to those of the baseline."""
        width = max(5, *map(len, self.names))
        head = f"{'class':<{width}}  {'pixels':>13}  {'share':>7}  {'accuracy':>8}  {'IoU':>6}"
        lines = [head + (f"  {baseline_name}: IoU" if baseline else "")]
        lines += [self._row(k, width, baseline, len(baseline_name) + 5) for k in range(len(self.names))]
        present = f"{int((self.pixels > 0).sum())} of {len(self.names)} classes present"
        lines += [self.averages() + ("" if self.intervals else f"  ({present})")]
        if self.BF is not None:
            lines += [self.boundaries()]
        if self.uncertainty_AUROC is not None:
            value = _figure(self.uncertainty_AUROC)
            lines += [f"uncertainty as a detector of wrong pixels: AUROC {value} (0.5 is chance)"]
            if self.MSP_AUROC is not None:
                lines[-1] += f"; 1 - maximum softmax probability of one pass: {_figure(self.MSP_AUROC)}"
        if baseline:
            lines += [f"{baseline.averages()}  {baseline_name}"]
        if self.intervals:
            blocks = f"bootstrap over blocks of {BLOCK} consecutive pictures"
            lines += [f"[low, high]: {LEVEL:.0%} interval, {blocks}. {present}"]
        wrong = [name for name, n, IoU in zip(self.names, self.pixels, self.IoU, strict=True) if n == 0 and IoU == 0]
        if wrong:
            lines += [f"predicted but absent from the labels, so an IoU of 0 counts towards mIoU: {', '.join(wrong)}"]
        return "\n".join(lines)

    def averages(self) -> str:
        """Return the three averages on one line, with their intervals if there are any."""
        return "  ".join(f"{name} {self._with_interval(name)}" for name in ("G", "C", "mIoU"))

    def boundaries(self) -> str:
        """Return the two boundary scores on one line."""
        return f"BF {self._with_interval('BF')} one to one, {self._with_interval('BF_by_distance')} by distance"

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as plain numbers for JSON, with None instead of NaN."""
        values: dict[str, Any] = {name: _or_none(getattr(self, name)) for name in ("G", "C", "mIoU")}
        for name in ("IoU", "accuracy"):
            values[name] = {own: _or_none(v) for own, v in zip(self.names, getattr(self, name), strict=True)}
        values["pixels"] = {name: int(n) for name, n in zip(self.names, self.pixels, strict=True)}
        more = {name: getattr(self, name) for name in ("BF", "BF_by_distance", "uncertainty_AUROC", "MSP_AUROC")}
        more["doubt_AUROC"] = self.uncertainty_AUROC  # the name in version 0.1
        values |= {name: _or_none(value) for name, value in more.items() if value is not None}
        if self.intervals is not None:
            values["intervals"] = {name: [_or_none(v) for v in bounds] for name, bounds in self.intervals.items()}
        return values

    def _row(self, k: int, width: int, baseline: Scores | None, baseline_width: int) -> str:
        share = f"{100 * self.pixels[k] / self.pixels.sum():5.1f} %" if self.pixels[k] else "absent"
        row = f"{self.names[k]:<{width}}  {self.pixels[k]:>13,}  {share:>7}"
        row += f"  {_figure(self.accuracy[k]):>8}  {_figure(self.IoU[k]):>6}"
        return row + (f"  {_figure(baseline.IoU[k]):>{baseline_width}}" if baseline else "")

    def _with_interval(self, name: str) -> str:
        """Return a string such as "0.571" or "0.571 [0.552, 0.590]"."""
        low_high = (self.intervals or {}).get(name)
        return f"{getattr(self, name):.3f}" + (f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else "")


def _figure(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class Collector:
    """The accumulated scores of a data set. A collector stores 3 K numbers per picture.

    Args:
        boundary: whether to compute boundary scores, which take longer than everything else.
    """

    def __init__(self, num_classes: int, ignore_label: int | None = None, *, boundary: bool = False) -> None:
        self.matrix = np.zeros((num_classes, num_classes), np.int64)
        self.ignore_label, self.boundary = ignore_label, boundary
        self._counts: list[np.ndarray] = []
        self._boundary_scores: list[tuple[float, float]] = []
        self._uncertainties: dict[str, RankCounts] = {}

    def add(self, labels: np.ndarray, predictions: np.ndarray, **uncertainties: np.ndarray) -> None:
        """Add one picture.

        Args:
            labels, predictions: (H, W), as for `confusion_matrix`, which also lists the errors.
            uncertainties: maps (H, W) float32 by name, not negative, and larger where the prediction is less certain.
                "uncertainty" becomes `Scores.uncertainty_AUROC`, and "MSP" becomes `Scores.MSP_AUROC`.

        After an error, the scores are as before the call.
        """
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        arguments = labels, predictions, len(self.matrix), self.ignore_label
        matrix = confusion_matrix(*arguments)
        counted = labels != self.ignore_label  # without an ignore_label, every pixel
        maps = {name: _checked(name, np.asarray(uncertainty), counted) for name, uncertainty in uncertainties.items()}
        if self.boundary:
            self._boundary_scores.append((boundary_f1(*arguments), boundary_f1_by_distance(*arguments)))
        self.matrix += matrix
        self._counts.append(class_counts(matrix))
        wrong = labels[counted] != predictions[counted]
        for name, uncertainty in maps.items():
            self._uncertainties.setdefault(name, RankCounts()).add(uncertainty, wrong)

    @classmethod
    def interleaved(cls, parts: Sequence[Collector]) -> Collector:
        """Return the collector of all pictures, where picture n was added to parts[n % len(parts)]."""
        whole = cls(len(parts[0].matrix), parts[0].ignore_label, boundary=parts[0].boundary)
        for part in parts:
            whole.matrix += part.matrix
            for name, ranks in part._uncertainties.items():
                whole._uncertainties.setdefault(name, RankCounts()).counts += ranks.counts
        for own in ("_counts", "_boundary_scores"):
            in_turns = zip_longest(*(getattr(part, own) for part in parts))
            getattr(whole, own).extend(item for turn in in_turns for item in turn if item is not None)
        return whole

    def scores(self, names: Sequence[str] | None = None, *, rng: np.random.Generator | None = None) -> Scores:
        """Return the scores of all pictures so far.

        Args:
            names: one name per class. Default: "0", "1", ...
            rng: the generator for the intervals. Without it, or with too few pictures, there are no intervals.
        """
        if not self._counts:
            raise DataError("no scores: no picture was added. Call add first")
        names_of_means = ("BF", "BF_by_distance") if self.boundary else ()
        means = dict(zip(names_of_means, np.transpose(self._boundary_scores), strict=True))  # name -> (N,) scores
        counts = np.stack(self._counts)
        intervals = None if rng is None else bootstrap_intervals(counts, means, rng=rng)
        averages = {}
        for name, values in means.items():
            values = values[~np.isnan(values)]  # pictures without boundaries have no score
            averages[name] = float(values.mean()) if values.size else float("nan")
        averages |= {f"{name}_AUROC": ranks.auroc() for name, ranks in self._uncertainties.items()}
        return Scores.from_confusion(self.matrix, names, **averages, intervals=intervals, counts=counts)


def _checked(name: str, uncertainty: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the uncertainties of the labelled pixels. Raises ShapeError or DataError if they are not usable."""
    if uncertainty.shape != counted.shape or uncertainty.dtype.kind not in "iuf":
        raise ShapeError(f"{name} must have one number per pixel, {counted.shape}, got {uncertainty.dtype} "
                         f"{uncertainty.shape}")  # fmt: skip
    values = uncertainty[counted]
    wrong = values[~(values >= 0)]  # negative or NaN
    if wrong.size:
        raise DataError(f"{name} contains {wrong[0]}, but an uncertainty is 0 or larger. Shift or correct the values")
    return values
