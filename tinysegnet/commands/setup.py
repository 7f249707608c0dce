"""tinysegnet doctor, warmup."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from .. import backend
from ..models import build
from ..ops import softmax_cross_entropy_backward, softmax_cross_entropy_forward
from ..optim import SGD
from ..runs import environment

__all__ = ["Doctor", "Warmup"]


@dataclass(frozen=True)
class Doctor:
    """Say what this installation runs on: versions, processor, threads, BLAS, the cache of compiled kernels."""

    json: bool = False
    """Print one JSON object instead of lines."""

    def run(self) -> int:
        facts = {**environment(), **_blas(), **_cache()}
        print(json.dumps(facts) if self.json else "\n".join(f"{name:<16} {fact}" for name, fact in facts.items()))
        return 0


def _blas() -> dict[str, Any]:
    pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
    return {
        "BLAS": ", ".join(f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in pools) or "unknown"
    }


def _cache() -> dict[str, Any]:
    folder = backend.cache_folder()
    if folder is None:
        return {"kernel cache": "none: no writable folder, so every process compiles anew"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "kernel cache": str(folder),
        "cached": f"{len(files)} files, {sum(p.stat().st_size for p in files) / 1e6:.1f} MB",
    }


@dataclass(frozen=True)
class Warmup:
    """Compile the kernels now, so that the first training does not have to."""

    def run(self) -> int:
        began = time.perf_counter()
        warm_up()
        print(f"kernels are ready ({time.perf_counter() - began:.1f} s)")
        return 0


def warm_up() -> None:
    """One training step and one prediction of a small network: touches every kernel that training uses."""
    model = build("tiny", width=1 / 16)
    images, labels = np.zeros((2, 20, 28, 3), np.float32), np.zeros((2, 20, 28), np.uint8)
    _, cache = softmax_cross_entropy_forward(model.forward(images, training=True), labels)
    model.backward(softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    SGD(model, learning_rate=0.1).step()
    model.forward(images)
