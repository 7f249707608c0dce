"""Training: recipes, optimizers, the training loop, and the folder of a run.

    recipe = ts.Recipe(size=(96, 128))
    run = RunFolder("runs/mine", dataclasses.asdict(recipe), train.palette)
    result = ts.fit(model, train, val, recipe=recipe, run=run)
    ts.write_report(run, model, train, val, result)  # writes runs/mine/report.html

Reading order: recipes, training_step, loop, run_folder, signals; optim, batchnorm_statistics.
"""

from ..runtime.lazy_imports import import_lazily

import_lazily(__name__)
