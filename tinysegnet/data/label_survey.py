"""What occurs in the label maps of a folder: numbers, their colours and pixels. `infer_encoding` concludes from it."""

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .label_encoding import shown_colors
from .label_files import read_label_pixels
from .layouts import Layout
from .pairs import inside
from .palette import Color

_MOST = 300  # numbers per file; a file with more contains no label map, and would need much memory

Progress = Callable[[range], Iterable[int]]


@dataclass(frozen=True)
class LabelFacts:
    """What occurs in one label map. A file with colours instead of numbers has no counts."""

    path: Path
    counts: dict[int, int]  # number -> pixels
    shown: dict[int, Color]  # number -> its colour on the screen
    is_palette: bool = False  # the numbers have colours of a palette, not grey levels


def survey(layout: Layout, *, skip_colors: bool, progress: Progress = iter) -> list[LabelFacts]:
    """Return the facts of all label maps in all splits. Files that cannot be read are skipped.

    Args:
        layout: The label maps.
        skip_colors: Do not decode RGB files, which is slow, because the list of classes gives their colours.
        progress: Wraps the loop over the files, such as tqdm.
    """
    paths = sorted({pair.labels for pairs in layout.splits.values() for pair in pairs()})
    paths = [path for path in paths if os.path.isfile(path) and inside(path, layout.root)]
    found = (_facts(paths[i], paths[i].stat().st_mtime_ns, skip_colors) for i in progress(range(len(paths))))
    return [facts for facts in found if facts]


@lru_cache(maxsize=1 << 17)  # the splits of one folder survey the same files
def _facts(path: Path, modified: int, skip_colors: bool) -> LabelFacts | None:
    try:
        if skip_colors:
            with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # reads only the header
                if image.mode in ("RGB", "RGBA"):
                    return LabelFacts(path, {}, {})
        stored = read_label_pixels(path)
    except Exception:  # a damaged file may raise anything; it is reported when it is read as a sample
        return None
    values = stored.values
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            return LabelFacts(path, {}, {})
        values = values[..., 0]
    counts = np.bincount(values.ravel())
    numbers = np.flatnonzero(counts)[:_MOST].tolist()
    shown, is_palette = shown_colors(stored, numbers)
    return LabelFacts(path, {number: int(counts[number]) for number in numbers}, shown, is_palette)
