"""`Scores`: the scores of a confusion matrix, with boundary scores, AUROC of uncertainty, and confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ShapeError
from .confusion import averages, class_counts, class_ratios
from .intervals import BLOCK, LEVEL


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
