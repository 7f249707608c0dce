"""Measures of a segmentation: scores of pixels and outlines, baselines, and confidence intervals."""

from .baselines import baselines, position_prior
from .boundary import boundary_f1, boundary_f1_by_distance, boundary_map
from .confusion import class_counts, confusion_matrix
from .intervals import bootstrap_intervals, difference_interval
from .scores import Collector, Scores, auroc

__all__ = ["Collector", "Scores", "auroc", "baselines", "bootstrap_intervals", "boundary_f1",
           "boundary_f1_by_distance", "boundary_map", "class_counts", "confusion_matrix", "difference_interval",
           "position_prior"]  # fmt: skip
