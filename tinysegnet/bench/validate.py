"""Checks of results: before anything is timed, they are compared with the same computation in float64."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

#: The largest accepted |found - reference| / |reference| (2-norms of whole arrays) in float32. In single ops, rounding
#: errors grow with the length of the sums, and gradients have the longest sums. In networks, rounding can decide which
#: of two almost equal pixels in a pooling window is larger, so that unpooling moves a value. If one value in 10,000
#: moves, the logits have an error of 1e-2 (PyTorch: up to 7e-3). Such errors cancel in the loss, but not in gradients.
BOUNDS = {"out": 1e-4, "logits": 5e-2, "loss": 1e-3, "next loss": 1e-2}
GRADIENT = 1e-3  #: The bound for gradients.


class Validation(NamedTuple):
    """The largest normwise error, and a description of the results that exceed their bounds ("" if none does)."""

    error: float
    wrong: str = ""


def validate(found: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Validation:
    """Compare each result with the reference of the same name."""
    if missing := set(reference) ^ set(found):
        return Validation(float("nan"), f"only one of the two results has {', '.join(sorted(missing))}")
    errors = {name: distance(found[name], reference[name]) for name in reference}
    wrong = [f"{name} is off by {error:.1e}, more than {BOUNDS.get(name, GRADIENT):.0e}"
             for name, error in errors.items() if not error <= BOUNDS.get(name, GRADIENT)]  # fmt: skip
    return Validation(float(np.max(list(errors.values()))), "; ".join(wrong))


def distance(found: np.ndarray, reference: np.ndarray) -> float:
    """Return |found - reference| / |reference|: infinite if the shapes differ, NaN if there is a NaN."""
    if found.shape != reference.shape:
        return float("inf")
    size = float(np.linalg.norm(reference.ravel()))
    return float(np.linalg.norm((found - reference).ravel())) / (size or 1.0)
