"""The folder of a run: `runs/<name>/` with everything needed to understand, continue or show a training.

    config.json          the options, and the machine it ran on
    metrics.csv          epoch, train_loss, val_G, val_C, val_mIoU, seconds
    last.safetensors     the network after the last epoch        best.safetensors     with the best val mIoU so far
    curves.png, overlays.png, per_class.png, report.html      at the end, by `tinysegnet.report.write_report`
    .lock                held by the training that writes into the folder

Every file is written atomically, metrics and checkpoints after every epoch, so that an interrupted run keeps all
finished epochs.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from .. import runtime
from ..data import Palette
from ..errors import DataError
from ..files import is_special, write_atomically
from ..metrics import Scores
from ..models import Network
from ..weights import checkpoint

COLUMNS = ("epoch", "train_loss", "val_G", "val_C", "val_mIoU", "seconds")
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # errors of file systems without locks


class RunFolder:
    """The folder of a new run; `RunFolder.resume` opens one that was stopped. Nothing is written before `begin`.

    Args:
        path: a new folder, or an existing one without a run in it.
        config: values that JSON can hold, among them "size", the (H, W) of the training pictures.
        palette: the palette of the training data.

    Attributes:
        resumed: the checkpoint from which training continues; None for a new run.

    Raises:
        DataError: the folder already holds a run, which would be overwritten.
    """

    def __init__(self, path: str | os.PathLike[str], config: dict[str, Any], palette: Palette) -> None:
        self.path, self.config, self.palette = Path(path), config, palette
        self.resumed: checkpoint.Checkpoint | None = None
        self._begun = False
        self._check_no_run()

    def _check_no_run(self) -> None:
        if os.path.exists(self.path / "config.json"):  # False for an impossible name
            raise DataError(f"{self.path}: holds a run already. Choose another --name, go on with "
                            f"--resume {shlex.quote(str(self.path))}, or move that folder away")  # fmt: skip

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open the folder of a stopped run; `fit` continues it. Raises DataError or CheckpointError."""
        folder = cls.__new__(cls)
        folder.path, folder.config, folder._begun = Path(path), read_config(path), True
        folder.resumed = checkpoint.read(folder.path / "last.safetensors")
        folder.palette = folder.resumed.palette
        if not folder.resumed.progress:
            raise DataError(f"{folder.path}: its last checkpoint lacks the training state")
        return folder

    @property
    def how_to_go_on(self) -> str:
        """The command that resumes the run."""
        return shlex.join(["tinysegnet", "train", "--resume", str(self.path)])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other trainings while the block runs.

        The system drops the lock when the process ends, even after a kill, so no stale lock stays behind. A file system
        without locks is used unlocked.

        Raises:
            DataError: another training holds the lock, or has filled the folder since it was opened.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise DataError(f"{self.path}: another training writes into it. Wait for it, stop it, or choose"
                            " another --name") from None  # fmt: skip
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
        try:
            if not self._begun:  # another training may have written into it meanwhile
                self._check_no_run()
            yield
        finally:
            lock.release()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """After the last epoch: if the block is interrupted, print how to get the report later."""
        try:
            yield
        except KeyboardInterrupt:
            print(f"trained, but without a report: {self.how_to_go_on}", file=sys.stderr)
            raise

    def begin(self) -> None:
        """Before the first epoch: write config.json, and remove temporary files of a run that was killed."""
        self._begun = True
        self.path.mkdir(parents=True, exist_ok=True)
        for stray in self.path.glob(".*.tmp"):
            stray.unlink(missing_ok=True)
        if self.resumed is None:
            self._write("config.json", json.dumps({**self.config, "environment": environment()}, indent=2))

    def record(self, model: Network, history: list[dict[str, float]], scores: Scores | None, *,
               progress: Any, optimizer: dict[str, np.ndarray]) -> None:  # fmt: skip
        """After an epoch: write the metrics so far and the checkpoints; updates `progress.best`."""
        self._write("metrics.csv", _as_csv(history))
        mIoU = history[-1]["val_mIoU"]
        if mIoU > progress.best or not (self.path / "best.safetensors").exists():
            progress.best = mIoU if mIoU == mIoU else -math.inf
            training = self._training(history, scores)
            checkpoint.save(self.path / "best.safetensors", model, palette=self.palette, training=training)
        self.save(model, history, scores, progress=progress, optimizer=optimizer)

    def save(self, model: Network, history: list[dict[str, float]], scores: Scores | None, *,
             progress: Any, optimizer: dict[str, np.ndarray]) -> None:  # fmt: skip
        """Write the last checkpoint, from which the training can continue."""
        training = self._training(history, scores)
        checkpoint.save(self.path / "last.safetensors", model, palette=self.palette, training=training,
                        progress=asdict(progress), optimizer=optimizer)  # fmt: skip

    def _training(self, history: list[dict[str, float]], scores: Scores | None) -> dict[str, Any]:
        epoch = history[-1]["epoch"] if history else 0
        # how label maps are read, classes weighted and pictures predicted
        kept = ("ignore", "classes", "one_class", "class_weights", "mirror", "test_scales")
        how: dict[str, Any] = {name: self.config[name] for name in kept if name in self.config}
        return {**how, "size": self.config["size"], "epoch": epoch, "scores": scores and scores.as_dict()}

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode())


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
    """The text of metrics.csv; scores of epochs without validation are empty cells."""
    lines = [list(COLUMNS)]
    lines += [["" if row[name] != row[name] else f"{row[name]:.6g}" for name in COLUMNS] for row in history]
    return "".join(",".join(cells) + "\n" for cells in lines)


def environment() -> dict[str, Any]:
    """Versions, machine and command, so that figures can be interpreted later."""
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
    """The processor's name; on Linux it is only in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
