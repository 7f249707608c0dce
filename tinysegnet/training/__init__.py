"""Training: recipes, optimizers, the training loop, and the folder of a run.

    recipe = ts.Recipe(size=(96, 128))
    run = RunFolder("runs/mine", dataclasses.asdict(recipe), train.palette)
    result = ts.fit(model, train, val, recipe=recipe, run=run)
    ts.write_report(run, model, train, val, result)  # writes runs/mine/report.html

Reading order: recipes, training_step, loop, run_folder, signals; optim, batchnorm_statistics.
"""

from ..runtime.lazy_imports import import_lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import optim
    from .batchnorm_statistics import recompute_statistics
    from .find_lr import RangeTest, find_lr
    from .loop import Progress, TrainingResult, fit
    from .optim import SGD, Adam, Optimizer
    from .recipes import Recipe, paper_recipe, recipe_for
    from .run_folder import RunFolder

__all__ = ["SGD", "Adam", "Optimizer", "Progress", "RangeTest", "Recipe", "RunFolder", "TrainingResult", "find_lr",
           "fit", "optim", "paper_recipe", "recipe_for", "recompute_statistics"]  # fmt: skip

# Imported on first use, so that `train --help`, which shows a recipe, does not import networks.
import_lazily(
    __name__,
    batchnorm_statistics="recompute_statistics",
    find_lr="RangeTest find_lr",
    loop="Progress TrainingResult fit",
    optim="SGD Adam Optimizer",
    recipes="Recipe paper_recipe recipe_for",
    run_folder="RunFolder",
)
