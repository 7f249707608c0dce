"""A trained network in one safetensors file: configuration and arrays, no pickle, no code.

The header's metadata holds, as JSON: "model" (what `build` needs), "palette" (class names and colours) and "training"
(how it came about: picture size, epoch, scores). A checkpoint is written atomically: a crash or a full disk leaves the
file that was there before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .data import CAMVID, Palette
from .errors import CheckpointError, TinySegNetError
from .files import write_atomically
from .models import Network, build

__all__ = ["Checkpoint", "load", "read", "save"]

FORMAT = "tinysegnet checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. training: how the weights came about; "size" is the (H, W) of the training pictures."""

    model: Network
    palette: Palette = CAMVID
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of the training pictures, whose area the network works at; None if it was not recorded."""
        size = self.training.get("size")
        return (int(size[0]), int(size[1])) if size else None


def save(
    path: str | PathLike[str], model: Network, *, palette: Palette = CAMVID, training: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint. Raises OSError if it cannot be written; an older file at `path` is then intact."""
    parts = {"model": model.config, "palette": asdict(palette), "training": training or {}}
    metadata = {"format": FORMAT, **{name: json.dumps(part) for name, part in parts.items()}}
    arrays = {name: np.ascontiguousarray(array) for name, array in model.state().items()}
    write_atomically(path, safetensors.numpy.save(arrays, metadata=metadata))


def load(path: str | PathLike[str]) -> Network:
    """The network in a checkpoint. Raises CheckpointError if the file is not one, or is damaged."""
    return read(path).model


def read(path: str | PathLike[str]) -> Checkpoint:
    """All that is in a checkpoint. Raises CheckpointError."""
    metadata, arrays = _open(Path(path))
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of tinysegnet. Give a .safetensors file that `train` wrote")
    try:
        model_config, palette, training = (json.loads(metadata[name]) for name in ("model", "palette", "training"))
        model = build(**model_config)
        model.load_state(arrays)
        return Checkpoint(model, _palette(palette), training)
    except (TinySegNetError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or of another version: {error}. Train it again") from error


def _open(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: no such file. Give the path of a .safetensors file that `train` wrote"
        ) from error
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint: {error}. Give a file that `train` wrote"
        ) from error


def _palette(values: dict[str, Any]) -> Palette:
    """JSON has lists where a palette has tuples."""
    colors = tuple(tuple(color) for color in values["colors"])
    ignore_color = tuple(values["ignore_color"])
    return Palette(tuple(values["names"]), colors, values["ignore_label"], ignore_color)  # type: ignore[arg-type]
