"""Frozen results of PyTorch for three small networks (tests/golden/networks/, made by tests/oracle/make_golden.py).

Each file: `state.*` parameters and running statistics at the start, by PyTorch's names; a batch; the logits, the loss
and every gradient; and `after.*`, the state when 20 steps of SGD with momentum and weight decay are done.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden" / "networks"
WIDTHS = {"tiny": 1 / 16, "basic": 1 / 32, "vgg16": 1 / 64}
CLASSES, VOID, STEPS = 5, 255, 20
SGD = {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 5e-4}


def to_torch(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Our name and array -> PyTorch's: (K, K, C, F) becomes (F, C, K, K), gamma and beta are weight and bias."""
    layer, _, key = name.rpartition(".")
    key = {"gamma": "weight", "beta": "bias"}.get(key, key)
    return f"{layer}.{key}", array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """|a - b| / |b|, as vectors."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def irrelevant(name: str) -> bool:
    """A bias in front of batch norm changes nothing: its gradient is rounding on both sides."""
    return ".conv" in name and name.endswith(".bias")
