"""Trained networks that are shipped with the package, for predictions without training.

    toy     the network `tiny`, trained on toy streets

Each bundled network is a float16 checkpoint beside this file, which `make bundled` creates.
"""

from os import PathLike, fspath
from pathlib import Path

from ..errors import CheckpointError, SettingError, did_you_mean, unknown_name
from ..models import Network
from . import checkpoint
from .checkpoint import Checkpoint

FOLDER = Path(__file__).parent


def bundled_networks() -> list[str]:
    """Return the names of the bundled networks."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_bundled(name: str) -> Network:
    """Return the bundled network with this name. Raises SettingError for an unknown name."""
    if name not in bundled_networks():
        raise SettingError(unknown_name("bundled network", name, bundled_networks()))
    return open_checkpoint(FOLDER / f"{name}.safetensors").model


def open_checkpoint(name: str | PathLike[str]) -> Checkpoint:
    """Read a checkpoint by path, or a bundled network by name if there is no such file. Raises CheckpointError."""
    if not Path(name).exists():
        if fspath(name) in bundled_networks():
            return checkpoint.read(FOLDER / f"{fspath(name)}.safetensors")
        if meant := did_you_mean(fspath(name), bundled_networks()):
            raise CheckpointError(f"{name}: no such file.{meant}")
    return checkpoint.read(name)
