"""Pictures and their shapes, as the readers of annotations return them, and finding the pictures."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ...errors import DataError
from ..pairs import inside

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio puts this before the names of uploaded files


@dataclass(frozen=True)
class Drawing:
    """A picture and the shapes on it, in drawing order."""

    where: str  # for messages
    split: str
    picture: Path
    embedded: str | None  # the picture as base64, if the file `picture` is missing
    size: tuple[int | None, int | None]  # (H, W), where the annotations give them
    shapes: Sequence[tuple[str, Callable[[int, int], np.ndarray]]]  # label, and a function (H, W) -> mask (H, W) bool


@dataclass
class Imported:
    """What was imported, and what was not."""

    classes: tuple[str, ...] = ()  # without void
    counts: Counter[str] = field(default_factory=Counter)  # pictures per split; without splits, the name is empty
    dropped: Counter[str] = field(default_factory=Counter)  # what was left out, or is unusual -> how often
    refused: list[str] = field(default_factory=list)  # one line per file or picture that was not imported

    @contextmanager
    def attempt(self, where: object) -> Iterator[None]:
        """Add a DataError to `refused` instead of raising it."""
        try:
            with refuse_damage(where):
                yield
        except DataError as error:
            text = str(error)
            self.refused.append(text if text.startswith(str(where)) else f"{where}: {text}")


@contextmanager
def refuse_damage(where: object) -> Iterator[None]:
    """Turn all errors into DataError that damaged annotations cause, in which any value may have any type."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:100]
        raise DataError(f"{where}: the annotations are damaged ({reason}). Export the file again.") from error


def find_picture(listed: str, folders: Iterable[Path], root: Path) -> Path | None:
    """Return the file with the longest part of a listed path that exists in a folder, preferring earlier folders."""
    for name in dict.fromkeys((listed, unquote(listed))):
        parts = [part for part in re.split(r"[/\\]|\?d=", name) if part not in ("", ".", "..")]
        for start in range(len(parts)):
            for last in dict.fromkeys((parts[-1], _UPLOAD.sub("", parts[-1]))):
                for folder in folders:
                    path = folder.joinpath(*parts[start:-1], last)
                    if os.path.isfile(path) and inside(path, root):
                        return path
    return None


def read_points(value: Any) -> np.ndarray:
    """Return [[x, y], ...] or [x, y, x, y, ...] as (n, 2) float64. Raises ValueError for anything else."""
    points = np.array(value, np.float64)
    if points.size % 2 or points.shape[1:] not in ((), (2,)) or not (np.abs(points) <= 1e6).all():  # false for NaN
        raise ValueError("the points are not pairs of numbers up to a million")
    return points.reshape(-1, 2)
