"""Folders of runs, written without training."""

from __future__ import annotations

import dataclasses

import tinysegnet as ts
from tinysegnet.data import CAMVID
from tinysegnet.training import Progress, Recipe, RunFolder

OLD_COLUMNS = ("epoch", "train_loss", "val_G", "val_C", "val_mIoU", "seconds")  # of metrics.csv in version 0.1


def history(epochs, columns=None):
    """Return rows of metrics.csv whose mIoU rises to 0.5."""
    rows = []
    for epoch in range(1, epochs + 1):
        up = epoch / epochs
        scores = {"val_G": 0.8 * up, "val_C": 0.6 * up, "val_mIoU": 0.5 * up}
        scores |= {f"IoU {name}": up / (2 + k) for k, name in enumerate(CAMVID.names)}
        rows.append({"epoch": epoch, "train_loss": 2 - up, "learning_rate": 0.01, **scores, "seconds": 3.0 * epoch})
    return [{name: value for name, value in row.items() if name in (columns or row)} for row in rows]


def write_run(path, *, epochs=3, columns=None, network=None, **config):
    """Write the folder of a run on two toy scenes, with an untrained network."""
    recipe = Recipe(**{name: config.pop(name) for name in ("seed", "learning_rate", "size") if name in config})
    settings = {"data": "toy", "model": "tiny", "limit": 2, **dataclasses.asdict(recipe), "epochs": epochs, **config}
    run, progress = RunFolder(path, settings, CAMVID), Progress({}, history=history(epochs, columns))
    run.begin()
    run.record(network or ts.build("tiny", width=1 / 16, seed=recipe.seed), None, progress, {})
    return run
