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
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import runtime
from ..data import Dataset, Palette, labelled_images
from ..errors import DataError
from ..files import hold, is_special, write_atomically
from ..metrics import Scores, baselines
from ..models import Network
from ..prediction.predict import predict
from ..weights import checkpoint

__all__ = ["RunFolder", "environment", "read_config"]

SHOWN = 6  # validation pictures in overlays.png and the report
COLUMNS = ("epoch", "train_loss", "val_G", "val_C", "val_mIoU", "seconds")


class RunFolder:
    """A new folder, or an existing one that holds no run; raises DataError otherwise: nothing saved is overwritten.

    Nothing is written before `begin`. config: anything JSON can hold, with "size", the (H, W) of the training pictures.
    resumed: the checkpoint that a training goes on from, if `resume` opened the folder.
    """

    def __init__(self, path: str | os.PathLike[str], config: dict[str, Any], palette: Palette) -> None:
        self.path, self.config, self.palette = Path(path), config, palette
        self.resumed: checkpoint.Checkpoint | None = None
        self._begun = False
        self._demand_no_run()

    def _demand_no_run(self) -> None:
        if os.path.exists(self.path / "config.json"):  # False for a name that cannot be
            raise DataError(f"{self.path}: holds a run already. Choose another --name, go on with "
                            f"--resume {shlex.quote(str(self.path))}, or move that folder away")  # fmt: skip

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> RunFolder:
        """The folder of a run that was stopped; `fit` goes on with it. Raises DataError or CheckpointError."""
        folder = cls.__new__(cls)
        folder._begun = True
        folder.path = Path(path)
        folder.config = read_config(folder.path)
        folder.resumed = checkpoint.read(folder.path / "last.safetensors")
        folder.palette = folder.resumed.palette
        if not folder.resumed.progress:
            raise DataError(f"{folder.path}: its last checkpoint does not say where the training stood")
        return folder

    @property
    def how_to_go_on(self) -> str:
        """The command."""
        return shlex.join(["tinysegnet", "train", "--resume", str(self.path)])

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs, nobody else trains into the folder; raises DataError if somebody does."""
        self.path.mkdir(parents=True, exist_ok=True)
        with hold(self.path) as alone:
            if not alone:
                raise DataError(f"{self.path}: another training writes into it. Wait for it, stop it, or choose"
                                " another --name")  # fmt: skip
            if self.resumed is None and not self._begun:  # another one may have come first
                self._demand_no_run()
            yield

    def begin(self) -> None:
        """Before the first epoch: the folder and config.json. Temporary files of a run that was killed go away."""
        self._begun = True
        self.path.mkdir(parents=True, exist_ok=True)
        for stray in self.path.glob(".*.tmp"):
            stray.unlink(missing_ok=True)
        if self.resumed is None:
            self._write("config.json", json.dumps({**self.config, "environment": environment()}, indent=2))

    def record(self, model: Network, history: list[dict[str, float]], scores: Scores | None, *,
               progress: Any, optimizer: dict[str, np.ndarray]) -> None:  # fmt: skip
        """After an epoch: the metrics so far, and the checkpoints; `progress.best` becomes the best mIoU so far."""
        self._write("metrics.csv", _as_csv(history))
        mIoU = history[-1]["val_mIoU"]
        if mIoU > progress.best or not (self.path / "best.safetensors").exists():
            progress.best = mIoU if mIoU == mIoU else -math.inf
            training = self._training(history, scores)
            checkpoint.save(self.path / "best.safetensors", model, palette=self.palette, training=training)
        self.save(model, history, scores, progress=progress, optimizer=optimizer)

    def save(self, model: Network, history: list[dict[str, float]], scores: Scores | None, *,
             progress: Any, optimizer: dict[str, np.ndarray]) -> None:  # fmt: skip
        """The last checkpoint, from which the training can go on."""
        checkpoint.save(
            self.path / "last.safetensors",
            model,
            palette=self.palette,
            training=self._training(history, scores),
            progress=asdict(progress),
            optimizer=optimizer,
        )

    def _training(self, history: list[dict[str, float]], scores: Scores | None) -> dict[str, Any]:
        epoch = history[-1]["epoch"] if history else 0
        # How label maps were read, classes weighted, and how pictures are predicted.
        kept = ("ignore", "classes", "one_class", "class_weights", "mirror", "test_scales")
        how: dict[str, Any] = {name: self.config[name] for name in kept if name in self.config}
        return {**how, "size": self.config["size"], "epoch": epoch, "scores": scores and scores.as_dict()}

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
        """After the last epoch: the pictures and the page, with the baselines that need no network; -> the page."""
        description = f"{len(train)} pictures of {train.name} to train on"
        description += f", {len(val)} to validate" if val else ""
        palette = train.palette
        found = val and baselines(labelled_images(train), labelled_images(val), palette.names, palette.ignore_label)
        _compare_with_baselines(scores, found)
        from ..report.run_page import write_report  # and matplotlib with it, when there is something to draw

        return write_report(
            self.path,
            title=f"{self.config.get('model', 'network')} on {train.name}",
            config=self.config,
            history=history,
            scores=scores,
            palette=self.palette,
            baselines=found,
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
        how = checkpoint.Checkpoint(model, training=self.config).prediction
        return [(s.image, s.labels, predict(model, s.image, **how), s.name) for s in chosen]

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode())


def _compare_with_baselines(scores: Scores | None, found: dict[str, Scores] | None) -> None:
    """Warn of a network that is worse than the best baseline."""
    name, best = max(((name, baseline.mIoU) for name, baseline in (found or {}).items()), key=lambda pair: pair[1],
                     default=("", 0.0))  # fmt: skip
    if scores is not None and scores.mIoU < best:
        warnings.warn(
            f"mIoU {scores.mIoU:.3f} is below the no-network baseline ({name}, {best:.3f}): train longer; "
            "examples/own_pictures.md has more under 'If it does not learn'",
            stacklevel=3,
        )


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """config.json of a run. Raises DataError if there is none."""
    file = Path(path) / "config.json"
    if is_special(file):
        raise DataError(f"{file}: a pipe or a device (expected a file). Give the folder of a run, such as runs/NAME")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or "size" not in config:
            raise ValueError("it has no size")
        return config
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file. Give the folder of a run, such as runs/NAME") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}. Give the folder of a run, such as runs/NAME") from error


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
        "backend": runtime.BACKEND,
        "threads": runtime.threads(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "command": shlex.join(["tinysegnet", *sys.argv[1:]]),
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
