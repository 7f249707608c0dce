"""Pictures with annotated shapes, and their conversion to a plain folder, which `Folder` reads."""

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

from ...errors import DataError, did_you_mean
from ...files import new_folder
from ..class_lists import ClassList, is_void_name
from ..crops import write_classes
from ..image_files import read_image, rotation_of
from ..label_encoding import VOID
from ..pairs import inside
from ..palette import Color, Palette, distinct_colors

_BACKGROUND = ("background", "_background_")  # labels in lower case
_LONGEST_NAME = 100  # characters in the name of a class
_SAME_SIZE = (Image.Transpose.ROTATE_180, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio puts this before the names of uploaded files


@dataclass(frozen=True)
class Drawing:
    """A picture and the shapes on it, in drawing order."""

    where: str  # for messages
    split: str
    picture: Path
    size: tuple[int | None, int | None]  # (H, W), if the annotations contain them
    shapes: Sequence[tuple[str, Callable[[int, int], np.ndarray]]]  # label, and a function (H, W) -> mask (H, W) bool


@dataclass
class Imported:
    """The result of an import: what was imported, and what was left out or refused."""

    source: Path
    classes: tuple[str, ...] = ()  # without void
    counts: Counter[str] = field(default_factory=Counter)  # pictures per split; the only split may have no name
    dropped: Counter[str] = field(default_factory=Counter)  # how often each kind of item was left out or is unusual
    refused: list[str] = field(default_factory=list)  # one line per file or picture that was not imported
    categories: dict[int, tuple[str, str, Path]] = field(default_factory=dict)  # name, group and file of each COCO id
    annotated: set[str] = field(default_factory=set)  # the labels of all shapes, including those that were left out
    largest: float = 0.0  # the largest coordinate of all shapes

    @contextmanager
    def attempt(self, where: object) -> Iterator[None]:
        """Add errors to `refused`. Values in damaged annotations may have any type, which causes these errors."""
        try:
            yield
        except DataError as error:
            self.refused.append(str(error) if str(error).startswith(str(where)) else f"{where}: {error}")
        except UnicodeDecodeError:
            self.refused.append(f"{where}: the text is not UTF-8. Save the file as UTF-8.")
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:100]
            self.refused.append(f"{where}: the annotations are damaged ({reason}). Export the file again.")

    def read_points(self, value: Any) -> np.ndarray:
        """Return [[x, y], ...] or [x, y, x, y, ...] as (n, 2) float64. Raises ValueError for anything else."""
        points = np.array(value, np.float64)
        if points.size % 2 or points.shape[1:] not in ((), (2,)) or not (np.abs(points) <= 1e6).all():  # false for NaN
            raise ValueError("the points are not pairs of numbers up to a million")
        self.largest = max(self.largest, float(np.abs(points).max(initial=0)))
        return points.reshape(-1, 2)


def find_picture(listed: str, folders: Iterable[Path], root: Path) -> Path | None:
    """Find the longest trailing part of a listed path that exists in a folder. Earlier folders take priority."""
    for name in dict.fromkeys((listed, unquote(listed))):
        parts = [part for part in re.split(r"[/\\]|\?d=", name) if part not in ("", ".", "..")]
        for start in range(len(parts)):
            for last in dict.fromkeys((parts[-1], _UPLOAD.sub("", parts[-1]))):
                for folder in folders:
                    path = folder.joinpath(*parts[start:-1], last)
                    if os.path.isfile(path) and inside(path, root):
                        return path
    return None


def number_classes(source: Path, labels: Iterable[str], listed: ClassList | None) -> dict[str, Color]:
    """Return the colours of background, of the listed classes or else of the `labels`, and of void, in this order."""
    given = dict(zip(listed.names, listed.colors, strict=True)) if listed else dict.fromkeys(labels)
    first = next((name for name in given if name.lower() in _BACKGROUND), _BACKGROUND[0])
    colors = {first: given.get(first) or (None if (0, 0, 0) in given.values() else (0, 0, 0))}
    colors |= {name: color for name, color in given.items() if _meaning(name) not in ("void", "background")}
    if len(colors) >= VOID:
        raise DataError(f"{source}: {len(colors)} classes with background exceed the limit of {VOID - 1}. Merge some.")
    for name in colors:
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise DataError(f"{source}: {name[:20]!r} is not a name of a class. Use up to {_LONGEST_NAME} characters.")
    made = iter(distinct_colors(len(colors) + 1, filter(None, colors.values())))
    return {name: color or next(made) for name, color in {**colors, "void": None}.items()}


def _meaning(label: str) -> str:
    return "void" if is_void_name(label) else "background" if label.lower() in _BACKGROUND else label


def write_plain_folder(
    out: Path, drawings: list[Drawing], progress: Callable[[list[Drawing]], Iterable[Drawing]],
    colors: dict[str, Color], imported: Imported,
) -> None:  # fmt: skip
    """Copy pictures to images/ and draw label maps in labels/, with one folder per split if there are several.

    The results are added to `imported`. Raises DataError if no class could be drawn.
    """
    imported.classes = tuple(colors)[:-1]
    numbers = {name: number for number, name in enumerate(colors)} | {"background": 0}
    one_split = len({drawing.split for drawing in drawings}) == 1
    drawn = {0, numbers["void"]}
    annotators: dict[Path, list[str]] = {}
    for drawing in drawings:
        annotators.setdefault(drawing.picture.resolve(), []).append(drawing.where)
    with new_folder(out) as part:
        for drawing in progress(drawings):
            with imported.attempt(drawing.where):
                if len(same := annotators[drawing.picture.resolve()]) > 1:
                    other = same[same[0] == drawing.where]
                    raise DataError(f"{drawing.where}: {other} annotates the same picture. Remove one of them.")
                image = Image.fromarray(labels := _draw_labels(drawing, numbers, imported))
                image.putpalette(np.array(list(colors.values()), np.uint8).tobytes())
                split = "" if one_split else drawing.split
                for kind in ("images", "labels"):
                    (part / kind / split).mkdir(parents=True, exist_ok=True)
                name = re.sub(r"[^\w.-]+", "_", drawing.picture.stem)[:60].strip(".") or "picture"
                while (target := part / "labels" / split / f"{name}.png").exists():
                    name += "_"
                image.save(target)
                shutil.copyfile(drawing.picture, part / "images" / split / (name + (drawing.picture.suffix or ".png")))
                drawn |= set(np.unique(labels).tolist())
                imported.counts[split] += 1
        if len(drawn) == 2:
            facts = ["no class has a pixel" if drawings else "no JSON files of labelme or COCO"]
            facts += [f"{what}: {count}" for what, count in (+imported.dropped).items()]
            reason = imported.refused[0] if imported.refused else f"{'; '.join(facts)}. Export outlines as JSON."
            raise DataError(f"{imported.source}: nothing was imported (refused: {len(imported.refused)}): {reason}")
        if empty := sorted(label for label in map(_meaning, imported.annotated) if numbers.get(label) not in drawn):
            wrong = f"classes without a single pixel: {', '.join(empty)}. Draw visible outlines in usable pictures."
            imported.refused.append(f"{imported.source}: {wrong}")
        *class_colors, void_color = colors.values()
        write_classes(part / "classes.txt", Palette(imported.classes, tuple(class_colors), VOID, void_color))


def _draw_labels(drawing: Drawing, numbers: dict[str, int], imported: Imported) -> np.ndarray:
    """Return the label map (H, W) uint8 of the upright picture."""
    height, width = read_image(drawing.picture).shape[:2]
    if drawing.size[0] not in (None, height) or drawing.size[1] not in (None, width):
        wrong = f"{drawing.size[1]} x {drawing.size[0]} pixels, but the upright picture has {width} x {height}"
        raise DataError(f"{drawing.where}: the annotations are for {wrong}. Use the picture that was annotated.")
    turned = rotation_of(drawing.picture)
    unproven = turned is not None and (turned in _SAME_SIZE or width == height or None in drawing.size)
    imported.dropped["pictures turned upright by EXIF (shapes must have been drawn on upright pictures)"] += unproven
    labels = np.zeros((height, width), np.uint8)
    for label, draw in drawing.shapes:
        mask = draw(height, width)
        if _meaning(label) not in numbers:
            meant = did_you_mean(label, numbers)
            remedy = "Rename it in the annotations" if meant else "Add it to the list"
            raise DataError(f"{drawing.where}: the label {label!r} is not in the list of classes.{meant} {remedy}.")
        labels[mask] = numbers[_meaning(label)]
        imported.dropped["shapes that cover no pixel of the picture"] += not mask.any()
    imported.dropped["pictures without shapes, which become background"] += not drawing.shapes
    return labels
