"""tinysegnet: SegNet from NumPy up, every gradient derived by hand and proven.

import tinysegnet as ts
model = ts.build("tiny", num_classes=11)
logits = model.forward(pictures, training=True)
"""

from typing import Any

from . import data, errors, gradcheck, layers, metrics, ops, runtime
from .models import build, fold_batchnorm, models
from .prediction import evaluate, predict, predict_probs, predict_samples, predict_with_doubt
from .training import Recipe, fit, optim, paper_recipe, recompute_statistics
from .walk import walk
from .weights import (
    encoder_preprocessing,
    from_torch_state,
    load,
    load_encoder,
    load_ready,
    save,
    to_torch_state,
)

__version__ = "0.1.0"

__all__ = [
    "Recipe",
    "build",
    "data",
    "encoder_preprocessing",
    "errors",
    "evaluate",
    "fit",
    "fold_batchnorm",
    "from_torch_state",
    "gradcheck",
    "layers",
    "load",
    "load_encoder",
    "load_ready",
    "metrics",
    "models",
    "ops",
    "optim",
    "paper_recipe",
    "predict",
    "predict_probs",
    "predict_samples",
    "predict_with_doubt",
    "recompute_statistics",
    "runtime",
    "save",
    "to_torch_state",
    "viz",
    "walk",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """`viz` and `write_report` are imported when they are first used: matplotlib takes as long as all the rest."""
    from importlib import import_module

    if name == "viz":
        return import_module(".viz", __name__)
    if name == "write_report":
        return import_module(".report", __name__).write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
