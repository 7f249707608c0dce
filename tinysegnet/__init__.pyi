from . import bench as bench
from . import data, errors, gradcheck, layers, metrics, ops, runtime, viz
from . import files as files
from .models import Network, build, fold_batchnorm, models
from .prediction import evaluate, predict, predict_probs, predict_samples, predict_with_uncertainty
from .report import write_report
from .training import Recipe, fit, optim, paper_recipe, recompute_statistics
from .walk import walk
from .weights import encoder_preprocessing, from_torch_state, load, load_bundled, load_encoder, save, to_torch_state

__all__ = ["Network", "Recipe", "build", "data", "encoder_preprocessing", "errors", "evaluate", "fit",
           "fold_batchnorm", "from_torch_state", "gradcheck", "layers", "load", "load_bundled", "load_encoder",
           "metrics", "models", "ops", "optim", "paper_recipe", "predict", "predict_probs", "predict_samples",
           "predict_with_uncertainty", "recompute_statistics", "runtime", "save", "to_torch_state", "viz", "walk",
           "write_report"]  # fmt: skip

__version__: str
