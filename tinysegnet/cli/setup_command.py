"""tinysegnet doctor, warmup."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from .. import runtime
from ..models import Network, build
from ..ops import cross_entropy_for
from ..training.optim import SGD, Adam
from ..training.run_folder import environment

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
    folder = runtime.cache_folder()
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
    """Training steps and a prediction of networks that together use every kernel: `tiny` at its width, for the ways of
    convolution are chosen by that, and a few small ones.
    """
    _train_and_predict(build("tiny"), (96, 128))
    for name, channels in (("bayesian-basic", 11), ("basic-single-channel-decoder", 11), ("fcn-basic", 11),
                           ("bilinear-interpolation", 11), ("article", 1)):  # fmt: skip
        _train_and_predict(build(name, channels, width=1 / 8), (20, 28))


def _train_and_predict(model: Network, size: tuple[int, int]) -> None:
    images, labels = np.zeros((2, *size, 3), np.float32), np.zeros((2, *size), np.uint8)
    logits = model.forward(images, training=True)
    forward, backward = cross_entropy_for(logits)
    _, cache = forward(logits, labels)
    model.backward(backward(1.0, cache), input_gradient=False)
    for kind in (SGD, Adam):
        kind(model, learning_rate=0.1).step()
    model.forward(images)
