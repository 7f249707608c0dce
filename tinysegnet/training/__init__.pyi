from . import optim
from .batchnorm_statistics import recompute_statistics
from .find_lr import RangeTest, find_lr
from .loop import Progress, TrainingResult, fit
from .optim import SGD, Adam, Optimizer
from .recipes import Recipe, paper_recipe, recipe_for
from .run_folder import RunFolder

__all__ = ["SGD", "Adam", "Optimizer", "Progress", "RangeTest", "Recipe", "RunFolder", "TrainingResult", "find_lr",
           "fit", "optim", "paper_recipe", "recipe_for", "recompute_statistics"]  # fmt: skip
