"""Are the results right? They are compared with the same computation in float64 before any clock runs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

#: The largest |found - reference| / |reference| (2-norm of the whole array) that float32 may have. In one op, rounding
#: grows with the length of the sums, and those of gradients are the longest. Logits of a network: where two pixels of a
#: pooling window are almost equal, rounding decides which one is the largest, and unpooling puts the value elsewhere:
#: one value in 10,000 is an error of 1e-2 (PyTorch's own in float32: up to 7e-3). In a loss, which is a mean, such
#: errors cancel. The next loss is that of logits after a step whose gradient has such errors.
BOUNDS = {"out": 1e-4, "logits": 5e-2, "loss": 1e-3, "next loss": 1e-2}
GRADIENT = 1e-3


class Validation(NamedTuple):
    """The error of the worst result, normwise, and in words which results exceed their bounds: "" if none does."""

    error: float
    wrong: str = ""


def validate(found: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Validation:
    """Compare each result with the reference of the same name."""
    if missing := set(reference) ^ set(found):
        return Validation(float("nan"), f"only one side has {', '.join(sorted(missing))}")
    errors = {name: distance(found[name], reference[name]) for name in reference}
    wrong = [f"{name} is off by {error:.1e}, allowed {BOUNDS.get(name, GRADIENT):.0e}"
             for name, error in errors.items() if not error <= BOUNDS.get(name, GRADIENT)]  # fmt: skip
    return Validation(float(np.max(list(errors.values()))), "; ".join(wrong))


def distance(found: np.ndarray, reference: np.ndarray) -> float:
    """|found - reference| / |reference|; infinite for another shape, NaN if there is a NaN."""
    if found.shape != reference.shape:
        return float("inf")
    size = float(np.linalg.norm(reference.ravel()))
    return float(np.linalg.norm((found - reference).ravel())) / (size or 1.0)
