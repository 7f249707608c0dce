"""Trained networks that are part of the package, for predictions without training.

    toy     `tiny`, trained on toy streets

A bundled network is a checkpoint in float16 beside this file; `make bundled` made it.
"""

from os import PathLike, fspath
from pathlib import Path

from ..errors import CheckpointError, SettingError, did_you_mean
from ..models import Network
from . import checkpoint
from .checkpoint import Checkpoint

FOLDER = Path(__file__).parent


def bundled_networks() -> list[str]:
    """The names of the bundled networks."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_bundled(name: str) -> Network:
    """The bundled network of this name. Raises SettingError for an unknown name."""
    if name not in bundled_networks():
        raise SettingError(
            f"no bundled network {name!r} (expected {' or '.join(bundled_networks())})"
            + did_you_mean(name, bundled_networks())
        )
    return open_checkpoint(FOLDER / f"{name}.safetensors").model


def open_checkpoint(name: str | PathLike[str]) -> Checkpoint:
    """A checkpoint by path, or a bundled network by name if there is no such file. Raises CheckpointError."""
    if not Path(name).exists():
        if fspath(name) in bundled_networks():
            return checkpoint.read(FOLDER / f"{fspath(name)}.safetensors")
        if meant := did_you_mean(fspath(name), bundled_networks()):
            raise CheckpointError(f"{name}: no such file.{meant}")
    return checkpoint.read(name)
