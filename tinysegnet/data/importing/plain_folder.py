"""Pictures with shapes, as read from annotations, and writing them as a plain folder, which `Folder` reads."""

import base64
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from PIL import Image

from ...errors import DataError
from ..class_lists import ClassList, is_void_name
from ..crops import write_classes
from ..image_files import read_image
from ..label_encoding import VOID
from ..new_folder import new_folder
from ..pairs import inside
from ..palette import Color, Palette, distinct_colors

_VOID = "void"
_BACKGROUND = ("background", "_background_")  # in lower case
_EMBEDDED = "embedded"  # the name of a temporary file
_LONGEST_NAME = 100  # letters of a class
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
        """Add errors to `refused`. In damaged annotations any value may have any type, which raises any of these."""
        try:
            yield
        except DataError as error:
            self.refused.append(str(error) if str(error).startswith(str(where)) else f"{where}: {error}")
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:100]
            self.refused.append(f"{where}: the annotations are damaged ({reason}). Export the file again.")


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


def number_classes(labels: Iterable[str], listed: ClassList | None = None) -> dict[str, Color]:
    """Return the colours of the classes in order of their numbers: background, the others, and void at the end.

    Args:
        labels: the labels of the shapes, of which those that mean void are not classes.
        listed: a list of classes, which replaces `labels`.
    """
    given = dict(zip(listed.names, listed.colors, strict=True)) if listed else dict.fromkeys(labels)
    first = next((name for name in given if name.lower() in _BACKGROUND), _BACKGROUND[0])
    colors = {first: given.get(first) or (None if (0, 0, 0) in given.values() else (0, 0, 0))}
    colors |= {name: color for name, color in given.items() if not (is_void_name(name) or name.lower() in _BACKGROUND)}
    if not 2 <= len(colors) < VOID:
        raise DataError(f"classes: {len(colors)} with background. Between 2 and {VOID - 1} are possible.")
    for name in colors:
        if not 0 < len(name) <= _LONGEST_NAME or "\0" in name:
            raise DataError(f"classes: {name[:20]!r} is not a name. Choose one of 1 to {_LONGEST_NAME} letters.")
    made = iter(distinct_colors(len(colors) + 1, filter(None, colors.values())))
    return {name: color or next(made) for name, color in {**colors, _VOID: None}.items()}


def write_plain_folder(
    out: Path, drawings: list[Drawing], progress: Callable[[list[Drawing]], Iterable[Drawing]],
    colors: dict[str, Color], imported: Imported,
) -> None:  # fmt: skip
    """Copy pictures to images/ and draw label maps in labels/, with a folder per split if there are several.

    The numbers of pictures and shapes are added to `imported`. Raises DataError if no class could be drawn.
    """
    imported.classes = tuple(colors)[:-1]
    numbers = {name: number for number, name in enumerate(colors)}
    numbers |= dict.fromkeys(_BACKGROUND, 0)
    one_split = len({drawing.split for drawing in drawings}) == 1
    drawn: set[int] = set()
    taken: set[Path] = set()
    with new_folder(out) as part:
        for drawing in progress(drawings):
            with imported.attempt(drawing.where):
                picture = _picture_file(drawing, part, taken)
                image = Image.fromarray(labels := _draw_labels(drawing, picture, numbers, imported))
                image.putpalette(np.array(list(colors.values()), np.uint8).tobytes())
                split = "" if one_split else drawing.split
                for kind in ("images", "labels"):
                    (part / kind / split).mkdir(parents=True, exist_ok=True)
                name = re.sub(r"[^\w.-]+", "_", drawing.picture.stem)[:60].strip(".") or "picture"
                while (target := part / "labels" / split / f"{name}.png").exists():
                    name += "_"
                image.save(target)
                suffix = picture.suffix or (".png" if picture.read_bytes()[:4] == b"\x89PNG" else ".jpg")
                shutil.copyfile(picture, part / "images" / split / (name + suffix))
                drawn |= set(np.unique(labels).tolist())
                imported.counts[split] += 1
        (part / _EMBEDDED).unlink(missing_ok=True)
        if drawn <= {0, len(imported.classes)}:
            reason = imported.refused[0] if imported.refused else "the pictures have no shapes. Draw some."
            raise DataError(f"{out}: nothing was imported (refused: {len(imported.refused)}): {reason}")
        *class_colors, void_color = colors.values()
        write_classes(part / "classes.txt", Palette(imported.classes, tuple(class_colors), VOID, void_color))


def _picture_file(drawing: Drawing, part: Path, taken: set[Path]) -> Path:
    """Return the path of the picture. An embedded one is first written to a temporary file."""
    if drawing.embedded:
        (part / _EMBEDDED).write_bytes(base64.b64decode(drawing.embedded))
        return part / _EMBEDDED
    path = drawing.picture.resolve()
    if path in taken:
        raise DataError(f"{drawing.where}: the picture {drawing.picture} has other annotations too. Remove one file.")
    taken.add(path)
    return drawing.picture


def _draw_labels(drawing: Drawing, picture: Path, numbers: dict[str, int], imported: Imported) -> np.ndarray:
    """Return the label map (H, W) uint8 of the upright picture."""
    height, width = read_image(picture).shape[:2]
    if drawing.size[0] not in (None, height) or drawing.size[1] not in (None, width):
        told = f"the annotations say {drawing.size[1]} x {drawing.size[0]} pixels"
        wrong = f"{told}, but the upright picture has {width} x {height}"
        raise DataError(f"{drawing.where}: {wrong}. Use the picture that was annotated.")
    labels = np.zeros((height, width), np.uint8)
    for label, draw in drawing.shapes:
        mask, name = draw(height, width), label.lower() if label.lower() in _BACKGROUND else label
        name = _VOID if is_void_name(label) else name
        if name not in numbers:
            raise DataError(f"{drawing.where}: the label {label!r} is not in the list of classes. Add it there.")
        labels[mask] = numbers[name]
        imported.dropped["shapes that cover no pixel of the picture"] += not mask.any()
    imported.dropped["pictures without shapes, which become background"] += not drawing.shapes
    return labels
