"""`Collector`: picture by picture in, scores of all of them out, with boundaries and intervals if they are wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from .auroc import RankCounts
from .bootstrap import bootstrap_intervals
from .boundary import boundary_f1, boundary_f1_by_distance
from .confusion import class_counts, confusion_matrix
from .scores import Scores

__all__ = ["Collector"]


class Collector:
    """Adds up what the pictures of a data set say about its scores; 3 K numbers a picture are kept.

    num_classes, ignore_label: as for `confusion_matrix`. boundary: compute the boundary scores of each picture too,
    which takes longer than anything else here.
    """

    def __init__(self, num_classes: int, ignore_label: int | None = None, *, boundary: bool = False) -> None:
        self.matrix = np.zeros((num_classes, num_classes), np.int64)
        self.ignore_label, self.boundary = ignore_label, boundary
        self._counts: list[np.ndarray] = []
        self._boundary_scores: list[tuple[float, float]] = []
        self._doubts: dict[str, RankCounts] = {}

    def add(self, labels: np.ndarray, predictions: np.ndarray, **doubts: np.ndarray) -> None:
        """One picture, (H, W) integers each. doubts: (H, W) each, how unsure the predictions are, as `doubt` and `MSP`
        of `Scores`. Raises DataError and ShapeError as `confusion_matrix`.
        """
        arguments = labels, predictions, len(self.matrix), self.ignore_label
        matrix = confusion_matrix(*arguments)
        self.matrix += matrix
        self._counts.append(class_counts(matrix))
        if self.boundary:
            self._boundary_scores.append((boundary_f1(*arguments), boundary_f1_by_distance(*arguments)))
        counted = np.ones(labels.shape, bool) if self.ignore_label is None else labels != self.ignore_label
        for name, doubt in doubts.items():
            self._doubts.setdefault(name, RankCounts()).add(doubt[counted], labels[counted] != predictions[counted])

    def scores(self, names: Sequence[str] | None = None, *, rng: np.random.Generator | None = None) -> Scores:
        """Scores of all pictures so far; names: of the classes. rng: draws the pictures for the intervals.

        Without rng, or with too few pictures (see `bootstrap_intervals`), there are no intervals.
        """
        if not self._counts:
            raise DataError("no scores: no picture was added (expected at least one)")
        means = self._means()
        intervals = None if rng is None else bootstrap_intervals(np.stack(self._counts), means, rng=rng)
        averages = {name: _mean(values) for name, values in means.items()}
        averages |= {f"{name}_AUROC": ranks.auroc() for name, ranks in self._doubts.items()}
        return Scores.from_confusion(self.matrix, names, **averages, intervals=intervals)

    def _means(self) -> dict[str, np.ndarray]:
        """name -> (N,) scores whose mean over the pictures counts."""
        names = ("BF", "BF_by_distance") if self.boundary else ()
        return dict(zip(names, np.transpose(self._boundary_scores), strict=True)) if names else {}


def _mean(values: np.ndarray) -> float:
    """Mean over the pictures that have a score."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
