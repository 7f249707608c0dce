"""Networks that come trained, so that predicting works in the first minute.

    toy     `tiny`, trained on toy streets

A ready network is a checkpoint in float16 inside the package; `make ready` made it.
"""

from __future__ import annotations

import difflib
from importlib.resources import as_file, files
from os import PathLike, fspath
from pathlib import Path

from ..errors import CheckpointError, SettingError
from ..models import Network
from . import checkpoint
from .checkpoint import Checkpoint

__all__ = ["load_ready", "open_checkpoint", "ready"]

FOLDER = files(__package__)


def ready() -> list[str]:
    """The names of the networks that come with this package."""
    return sorted(Path(entry.name).stem for entry in FOLDER.iterdir() if entry.name.endswith(".safetensors"))


def load_ready(name: str) -> Network:
    """A trained network by name. Raises SettingError for an unknown name."""
    return _read_ready(name).model


def open_checkpoint(name: str | PathLike[str]) -> Checkpoint:
    """A checkpoint by path, or a ready network by name where there is no such file. Raises CheckpointError."""
    if fspath(name) in ready() and not Path(name).exists():
        return _read_ready(fspath(name))
    meant = difflib.get_close_matches(fspath(name), ready(), 1)
    if meant and not Path(name).exists():
        raise CheckpointError(f"{fspath(name)}: no such file. Did you mean {meant[0]}?")
    return checkpoint.read(name)


def _read_ready(name: str) -> Checkpoint:
    if name not in ready():
        raise SettingError(f"no ready network {name!r} (expected {' or '.join(ready())})")
    with as_file(FOLDER / f"{name}.safetensors") as path:
        return checkpoint.read(path)
