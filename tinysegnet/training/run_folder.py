"""The folder of a run, `runs/<name>/`, with everything needed to understand, continue or present it.

    config.json          the options, and the machine on which the run started
    metrics.csv          per epoch: epoch, train_loss, val_G, val_C, val_mIoU, seconds (of training so far),
                         learning_rate (of its last step), and the IoU of each class, such as "IoU Sky"
    last.safetensors     the network after the last epoch        best.safetensors     with the best val mIoU so far
    curves.png, overlays.png, per_class.png, report.html      written at the end by `tinysegnet.report.write_report`
    .lock                locked by the training run that writes to the folder

Every file is written atomically. Metrics and checkpoints are written after every epoch.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from .. import runtime
from ..data import Palette
from ..errors import CheckpointError, DataError, SettingError
from ..files import as_csv, is_special, write_atomically
from ..metrics import Scores
from ..models import Network
from ..weights import checkpoint
from .recipes import validation_interval

SCORE_COLUMNS = ("val_G", "val_C", "val_mIoU")
COLUMNS = ("epoch", "train_loss", *SCORE_COLUMNS, "seconds")  # the first columns of metrics.csv
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # errors of file systems without locks


class RunFolder:
    """The folder of a new run. `RunFolder.resume` opens the folder of an old run. Nothing is written before `begin`.

    Args:
        path: a new folder, or an existing one without a run in it.
        config: values that can be saved as JSON, including "size", the (H, W) of the training pictures.
        palette: the palette of the training data.
        resumed: the checkpoint from which training continues, or None for a new run.
        input: the `TrainingPictures` as a dictionary, which every checkpoint contains.

    Raises DataError if the folder already contains a run, which would be overwritten.
    """

    def __init__(self, path: str | os.PathLike[str], config: dict[str, Any], palette: Palette,
                 resumed: checkpoint.Checkpoint | None = None) -> None:  # fmt: skip
        self.path, self.config, self.palette, self.resumed = Path(path), config, palette, resumed
        self._changed = False  # whether config.json of a resumed run must be written again
        self._begun = resumed is not None
        self.input: dict[str, Any] | None = resumed.training.get("input") if resumed else None
        if not self._begun:
            self._check_no_run()

    def _check_no_run(self) -> None:
        if os.path.exists(self.path / "config.json"):  # unlike Path.exists, False for an invalid name
            there = (self.path / "last.safetensors").exists()
            go_on = f"continue it with --resume {shlex.quote(str(self.path))}, " if there else ""
            raise DataError(f"{self.path}: the folder already contains a run. Choose another --name, {go_on}or move the"
                            " folder away.")  # fmt: skip

    @classmethod
    def resume(cls, path: str | os.PathLike[str], *, epochs: int | None = None,
               patience: int | None = None) -> RunFolder:  # fmt: skip
        """Open the folder of a stopped or finished run, which `fit` continues.

        With `epochs` or `patience`, the run gets a new plan, from which the recipe for `fit` must be made. `fit` writes
        it to config.json before it trains, and keeps the old plan there in "plans".

        Raises:
            DataError, CheckpointError: the run cannot be read or continued.
            SettingError: the run has already finished that many epochs.
        """
        config, last = read_config(path), Path(path) / "last.safetensors"
        if not last.exists():
            raise CheckpointError(f"{last}: no such file, because the run ended before its first checkpoint. Start a "
                                  f"new run with --config {shlex.quote(str(Path(path) / 'config.json'))}")  # fmt: skip
        saved = checkpoint.read(last)
        if not saved.progress:
            raise DataError(f"{Path(path)}: the last checkpoint lacks the training state, so the run cannot continue.")
        run = cls(path, config, saved.palette, saved)
        new = {"epochs": epochs, "patience": patience}
        try:
            run._plan({name: value for name, value in new.items() if value is not None})
        except (TypeError, KeyError) as error:
            raise DataError(f"{Path(path) / 'config.json'}: its plans are invalid. Start a new run.") from error
        return run

    def _plan(self, new: dict[str, Any]) -> None:
        """Change the plan of a resumed run, unless the run already has this plan and still follows it."""
        progress = self.resumed.progress if self.resumed else {}
        trained = int(progress.get("epoch", 1)) - 1
        if new.get("epochs", trained + 1) <= trained:
            raise SettingError(f"{self.path}: the run has trained {trained} epochs, so it cannot end after "
                               f"{new['epochs']}. Give --epochs {trained + 1} or more.")  # fmt: skip
        new = new | ({"iterations": None} if "epochs" in new else {})
        if "epochs" in new and self.config.get("validate_every") == validation_interval(self.config.get("epochs", 1)):
            new["validate_every"] = validation_interval(new["epochs"])
        stalled = has_stalled(progress.get("history", ()), self.config.get("patience"), self.plan_began)
        if new and (stalled or any(self.config.get(name) != value for name, value in new.items())):
            old = {name: self.config.get(name) for name in ("epochs", "iterations", "patience")}
            plans = [*self.config.get("plans", ()), {**old, "trained": trained}]
            self.config, self._changed = {**self.config, **new, "plans": plans}, True

    @property
    def plan_began(self) -> int:
        """The number of epochs that were trained on earlier plans."""
        plans = self.config.get("plans")
        return int(plans[-1]["trained"]) if plans else 0

    @property
    def how_to_go_on(self) -> str:
        """The command that resumes the run."""
        return shlex.join(["tinysegnet", "train", "--resume", str(self.path)])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other training runs while the block runs.

        The system releases the lock when the process ends, even after a kill, so stale locks cannot occur. On a file
        system without locks, the folder is not locked. Raises DataError if another run holds the lock, or has written
        to the folder since it was opened.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise DataError(f"{self.path}: another training run is writing to it. Wait for it, stop it, or choose"
                            " another --name.") from None  # fmt: skip
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
        try:
            if not self._begun:  # another run may have written to the folder since it was opened
                self._check_no_run()
            yield
        finally:
            lock.release()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Print how to write the report later if the block, which follows the last epoch, is interrupted."""
        try:
            yield
        except KeyboardInterrupt:
            print(f"Training is complete, but the report is missing. To write it: {self.how_to_go_on}", file=sys.stderr)
            raise

    def stopped_at_once(self) -> str:
        """Return a line that says what is kept. Before the first checkpoint, the folder is freed for a new run."""
        if (self.path / "last.safetensors").exists():
            return f"Stopped at once. The last checkpoint is kept. To continue from it: {self.how_to_go_on}"
        (self.path / "config.json").unlink(missing_ok=True)
        return "Stopped at once, before the first checkpoint. To start again, run the same command."

    def begin(self) -> None:
        """Write config.json of a new run, and remove temporary files of a run that was killed."""
        self._begun = True
        self.path.mkdir(parents=True, exist_ok=True)
        for stray in self.path.glob(".*.tmp"):
            stray.unlink()
        if self.resumed is None or self._changed:
            config = {**self.config, "environment": self.config.get("environment", environment())}
            write_atomically(self.path / "config.json", json.dumps(config, indent=2).encode())

    def record(self, model: Network, scores: Scores | None, progress: Any, optimizer: dict[str, np.ndarray]) -> None:
        """Write the metrics so far and the checkpoints after an epoch, and update `progress.best`."""
        write_atomically(self.path / "metrics.csv", as_csv(_metrics(progress.history)))
        mIoU, best = progress.history[-1]["val_mIoU"], self.path / "best.safetensors"
        if mIoU > progress.best or progress.best == -math.inf or not best.exists():  # unscored, the latest is best
            progress.best = -math.inf if math.isnan(mIoU) else mIoU
            checkpoint.save(best, model, palette=self.palette, training=self._training(scores, progress))
        self.save(model, scores, progress, optimizer)

    def save(self, model: Network, scores: Scores | None, progress: Any, optimizer: dict[str, np.ndarray]) -> None:
        """Write the last checkpoint, from which the training can continue."""
        checkpoint.save(
            self.path / "last.safetensors", model, palette=self.palette, training=self._training(scores, progress),
            progress=asdict(progress), optimizer=optimizer,
        )  # fmt: skip

    def _training(self, scores: Scores | None, progress: Any) -> dict[str, Any]:
        epoch = progress.history[-1]["epoch"] if progress.history else 0
        # the settings for reading label maps, weighting classes and predicting pictures
        kept = ("ignore", "classes", "one_class", "palette", "class_weights", "mirror", "test_scales")
        how: dict[str, Any] = {name: self.config[name] for name in kept if name in self.config}
        if self.input:
            how["input"] = self.input
        return {**how, "size": self.config["size"], "epoch": epoch, "scores": scores and scores.as_dict()}


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return config.json of a run. Raises DataError if it is missing or invalid."""
    file = Path(path) / "config.json"
    try:
        if is_special(file):
            raise ValueError("it is a pipe or a device")
        config = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or "size" not in config:
            raise ValueError("it contains no size")
        for name in ("environment", "pictures"):
            if not isinstance(config.get(name, {}), dict):
                raise ValueError(f"its {name} is not an object in braces")
        return config
    except (OSError, ValueError, RecursionError) as error:
        fault = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise DataError(f"{file}: {fault}. Give the folder of a run, such as runs/NAME.") from error


def has_stalled(history: Sequence[Mapping[str, float]], patience: int | None, since: int = 0) -> bool:
    """Return whether the last `patience` validations brought no better mIoU (early stopping, Prechelt 1998).

    Args:
        history: one row per epoch, with "epoch" and "val_mIoU", which is NaN in epochs without validation.
        patience: the number of validations to wait, or None to wait for ever.
        since: only validations after this epoch count as waiting, for example after the plan of a run has changed.
    """
    scores = {row["epoch"]: row["val_mIoU"] for row in history if not math.isnan(row["val_mIoU"])}
    if patience is None or not scores:
        return False
    best = max(scores, key=scores.__getitem__)  # the first of equal scores
    return sum(epoch > max(best, since) for epoch in scores) >= patience


def _metrics(history: list[dict[str, float]]) -> Iterator[list[str]]:
    """Yield the rows of metrics.csv. Cells of unknown values are empty: without validation, or in older epochs."""
    columns = list(dict.fromkeys([*COLUMNS, *(name for row in history for name in row)]))
    yield columns
    for row in history:
        values = (row.get(name, math.nan) for name in columns)
        yield ["" if math.isnan(value) else f"{value:.6g}" for value in values]


def environment() -> dict[str, Any]:
    """Return versions, machine and command, so that results can be interpreted later."""
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
    try:  # on Linux, the processor's name is only in this file
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
