"""Stored results of PyTorch for three small networks (tests/golden/networks/, from tests/oracle/make_golden.py).

Each file contains a batch, its logits and loss, and every gradient. `state.*` are the parameters and running statistics
at the start, by PyTorch's names. `after.*` is the state after 20 steps of SGD with momentum and weight decay.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden" / "networks"
WIDTHS = {"tiny": 1 / 16, "basic": 1 / 32, "vgg16": 1 / 64}
CLASSES, VOID, STEPS = 5, 255, 20
SGD = {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 5e-4}


def to_torch(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Convert a name and array to PyTorch's: (K, K, C, F) to (F, C, K, K), and gamma and beta to weight and bias."""
    layer, _, key = name.rpartition(".")
    key = {"gamma": "weight", "beta": "bias"}.get(key, key)
    return f"{layer}.{key}", array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Return |a - b| / |b| for a and b as vectors."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def irrelevant(name: str) -> bool:
    """Return whether this is a bias before a batch norm, whose gradient is 0 up to rounding."""
    return ".conv" in name and name.endswith(".bias")
