"""`Collector`: accumulates the scores of a data set picture by picture."""

from collections.abc import Sequence

import numpy as np

from ..errors import DataError, ShapeError
from .auroc import RankCounts
from .boundary import boundary_f1, boundary_f1_by_distance
from .confusion import class_counts, confusion_matrix
from .intervals import bootstrap_intervals
from .scores import Scores


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
