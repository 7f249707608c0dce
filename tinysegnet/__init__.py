"""tinysegnet: SegNet from NumPy up, every gradient derived by hand and proven.

import tinysegnet as ts
model = ts.build("tiny", num_classes=11)
logits = model.forward(pictures, training=True)
"""

from typing import Any

from . import data, errors, gradcheck, layers, metrics, ops, runtime
from .models import build, fold_batchnorm, models
from .prediction import evaluate, predict, predict_probs, predict_samples, predict_with_uncertainty
from .training import Recipe, fit, optim, paper_recipe, recompute_statistics
from .walk import walk
from .weights import (
    encoder_preprocessing,
    from_torch_state,
    load,
    load_bundled,
    load_encoder,
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
    "load_bundled",
    "load_encoder",
    "metrics",
    "models",
    "ops",
    "optim",
    "paper_recipe",
    "predict",
    "predict_probs",
    "predict_samples",
    "predict_with_uncertainty",
    "recompute_statistics",
    "runtime",
    "save",
    "to_torch_state",
    "viz",
    "walk",
]

# Names of version 0.1, for one more version.
_OLD_NAMES = {"load_ready": "load_bundled", "predict_with_doubt": "predict_with_uncertainty"}


def __getattr__(name: str) -> Any:
    """`tinysegnet.viz` is imported when it is first used: matplotlib takes as long as all the rest."""
    if name == "viz":
        from importlib import import_module

        return import_module(".viz", __name__)
    if name in _OLD_NAMES:
        from warnings import warn

        warn(f"tinysegnet.{name} is now called {_OLD_NAMES[name]}", DeprecationWarning, stacklevel=2)
        return globals()[_OLD_NAMES[name]]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
