"""tinysegnet: SegNet from NumPy up, every gradient derived by hand and proven.

import tinysegnet as ts
model = ts.build("tiny", num_classes=11)
logits = model.forward(pictures, training=True)
"""

from typing import Any

from . import backend, checks, data, errors, gradcheck, layers, metrics, ops, optim
from .checkpoint import load, save
from .encoders import encoder_preprocessing, load_encoder
from .models import build, fold_batchnorm, from_torch_state, models, to_torch_state
from .predict import evaluate, predict, predict_probs, predict_samples, predict_with_doubt
from .pretrained import load_ready
from .recipes import Recipe, paper_recipe
from .statistics import recompute_statistics
from .train import fit
from .walk import walk

__version__ = "0.1.0"

__all__ = [
    "Recipe",
    "backend",
    "build",
    "checks",
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
    "save",
    "to_torch_state",
    "viz",
    "walk",
]


def __getattr__(name: str) -> Any:
    """`tinysegnet.viz` is imported when it is first used: matplotlib takes as long as all the rest."""
    if name == "viz":
        from importlib import import_module

        return import_module(".viz", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
