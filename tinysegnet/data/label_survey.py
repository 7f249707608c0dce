"""What occurs in the label maps of a folder: their numbers, bits and palettes. `infer_encoding` draws the conclusions."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from .label_encoding import grey_step, palette_of
from .label_files import read_label_pixels
from .layouts import Layout
from .pairs import inside
from .palette import Color

Progress = Callable[[range], Iterable[int]]


@dataclass(frozen=True)
class LabelFacts:
    """What occurs in one label map."""

    path: Path
    counts: dict[int, int]  # number -> pixels; empty if the file contains colours
    palette: dict[int, Color] | None = None  # the colours of these numbers, if the file has a colour palette
    bits: int = 8

    @property
    def greys(self) -> dict[int, Color]:
        """The colour that each number has on the screen."""
        step = grey_step(self.bits)
        return self.palette or {number: (number * step,) * 3 for number in self.counts}

    @property
    def is_black_and_white(self) -> bool:
        """Whether the numbers are 0 for black and 1 for white, which is class 1 in every convention."""
        return self.counts.keys() <= {0, 1} and set(self.greys.items()) <= {(0, (0, 0, 0)), (1, (255, 255, 255))}


def survey(layout: Layout, *, skip_colors: bool, progress: Progress = iter) -> list[LabelFacts]:
    """Return the facts of all label maps in all splits. Files that cannot be read are skipped.

    Args:
        skip_colors: Do not decode RGB files, which is slow, because the list of classes gives their colours.
        progress: Wraps the loop over the files, such as tqdm.
    """
    paths = sorted({pair.labels for pairs in layout.splits.values() for pair in pairs()})
    paths = [path for path in paths if os.path.isfile(path) and inside(path, layout.root)]
    found = (_facts(paths[i], paths[i].stat().st_mtime_ns, skip_colors) for i in progress(range(len(paths))))
    return [facts for facts in found if facts]


@lru_cache(maxsize=1 << 14)  # the splits of one folder survey the same files
def _facts(path: Path, modified: int, skip_colors: bool) -> LabelFacts | None:
    if skip_colors and _has_colors(path):
        return LabelFacts(path, {})
    try:
        stored = read_label_pixels(path)
    except DataError:
        return None
    values = stored.values
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            return LabelFacts(path, {})
        values = values[..., 0]
    counts = np.bincount(values.ravel())
    numbers = np.flatnonzero(counts).tolist()
    return LabelFacts(path, {number: int(counts[number]) for number in numbers}, palette_of(stored), stored.bits)


def _has_colors(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG", "TIFF", "BMP", "WEBP"]) as image:  # reads only the header
            return image.mode in ("RGB", "RGBA")
    except Exception:  # whatever a damaged file raises, `read_label_pixels` reports it
        return False
