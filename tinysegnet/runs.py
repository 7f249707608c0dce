"""The folder of a run: `runs/<name>/` with everything needed to understand, continue or show a training.

    config.json          what was asked for, and where it ran
    metrics.csv          epoch, train_loss, val_G, val_C, val_mIoU, seconds
    last.safetensors     the network after the last epoch        best.safetensors     with the best val mIoU so far
    curves.png, overlays.png, per_class.png, report.html      at the end

Every file is written atomically, metrics and checkpoints after every epoch, so that an interrupted run has all of its
past.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import backend, checkpoint
from .data import Dataset, Palette
from .data.floors import floors
from .errors import DataError
from .files import write_atomically
from .metrics import Scores
from .models import Network
from .predict import predict
from .report import write_report

__all__ = ["RunFolder", "environment"]

SHOWN = 6  # validation pictures in overlays.png and the report
COLUMNS = ("epoch", "train_loss", "val_G", "val_C", "val_mIoU", "seconds")


class RunFolder:
    """A new folder, or an existing one that holds no run; raises DataError otherwise: nothing saved is overwritten.

    Nothing is written before `begin`. config: anything JSON can hold, with "size", the (H, W) of the training pictures.
    """

    def __init__(self, path: str | os.PathLike[str], config: dict[str, Any], palette: Palette) -> None:
        self.path, self.config, self.palette = Path(path), config, palette
        self.best = -math.inf
        if (self.path / "config.json").exists():
            raise DataError(f"{self.path}: holds a run already. Choose another --name, or move that folder away")

    def begin(self) -> None:
        """Before the first epoch: the folder and config.json."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._write("config.json", json.dumps({**self.config, "environment": environment()}, indent=2))

    def record(self, model: Network, history: list[dict[str, float]], scores: Scores | None) -> None:
        """After an epoch: the metrics so far, and the checkpoints."""
        self._write("metrics.csv", _as_csv(history))
        training = {"size": self.config["size"], "epoch": history[-1]["epoch"], "scores": scores and scores.as_dict()}
        checkpoint.save(self.path / "last.safetensors", model, palette=self.palette, training=training)
        mIoU = history[-1]["val_mIoU"]
        if mIoU > self.best or not (self.path / "best.safetensors").exists():
            self.best = mIoU if mIoU == mIoU else -math.inf
            checkpoint.save(self.path / "best.safetensors", model, palette=self.palette, training=training)

    def finish(
        self,
        model: Network,
        train: Dataset,
        val: Dataset | None,
        *,
        history: list[dict[str, float]],
        scores: Scores | None,
        seconds: float,
    ) -> Path:
        """After the last epoch: the pictures and the page; -> the page. What needs no network is the floor to beat."""
        description = f"{len(train)} pictures of {train.name} to train on"
        description += f", {len(val)} to validate" if val else ""
        return write_report(
            self.path,
            title=f"{self.config.get('model', 'network')} on {train.name}",
            config=self.config,
            history=history,
            scores=scores,
            palette=self.palette,
            floors=floors(train, val) if val else None,
            samples=self._samples(model, val) if val else (),
            environment=environment(),
            seconds=seconds,
            command=environment()["command"],
            data=description,
        )

    def _samples(self, model: Network, val: Dataset) -> list[Any]:
        """Pictures spread evenly over the set, with what the network says: (image, labels, prediction, name)."""
        count = min(SHOWN, len(val))
        chosen = (val[i * len(val) // count] for i in range(count))
        return [(s.image, s.labels, predict(model, s.image, size=self.config["size"]), s.name) for s in chosen]

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode())


def _as_csv(history: list[dict[str, float]]) -> str:
    """Not-a-numbers, of epochs that were not validated, are empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in history:
        writer.writerow("" if row[column] != row[column] else f"{row[column]:.6g}" for column in COLUMNS)
    return text.getvalue()


def environment() -> dict[str, Any]:
    """Versions and machine, for whoever reads a figure later."""
    return {
        "tinysegnet": _version("tinysegnet"),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numpy", "numba")},
        "backend": backend.BACKEND,
        "threads": backend.threads(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "command": " ".join(["tinysegnet", *sys.argv[1:]]),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """The processor's name; Linux tells it in a file only."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
