"""Collecting the numbers in the label maps of a folder, with their colours and pixel counts, for `infer_encoding`."""

import os
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from .label_files import read_label_pixels
from .layouts import Layout
from .pairs import inside
from .palette import Color

_BLURRED = 0.9  # a number made by interpolation has a larger share of blurred pixels; in CamVid's poles, it is 0.1
_SMALLEST = 24  # pixels; in smaller label maps, most pixels are at edges
_STEPS = 3  # pixels; blurred edges of up to twice this width are recognised
_MOST = 300  # numbers per file; a file with more numbers is not a label map and would need much memory


@dataclass(frozen=True)
class LabelFacts:
    """The numbers in one label map. If the file contains colours instead of numbers, `counts` is empty."""

    path: Path
    counts: dict[int, int]  # the pixel count of each number
    shown: dict[int, Color]  # the displayed colour of each number
    is_palette: bool = False  # whether the colours come from a palette; otherwise, they are grey levels
    blurred: int = 0  # how many numbers occur almost only where interpolation or JPEG would create them


def survey(layout: Layout, *, skip_colors: bool) -> list[LabelFacts]:
    """Return the facts about all label maps in all splits. Files that cannot be read are skipped.

    `skip_colors` skips RGB files, which are slow to decode, because their colours are listed.
    """
    paths = sorted({pair.labels for pairs in layout.splits.values() for pair in pairs})
    paths = [path for path in paths if os.path.isfile(path) and inside(path, layout.root)]
    found = (_facts(path, path.stat().st_mtime_ns, skip_colors) for path in paths)
    return [facts for facts in found if facts]


@cache  # each split of a folder surveys the same files
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
    shown, is_palette = stored.shown_colors(numbers)
    blurred = 0
    if len(numbers) > 4 and min(values.shape) >= _SMALLEST:
        edges = np.bincount(values[_looks_blurred(values)], minlength=len(counts))
        blurred = int(np.count_nonzero(edges > _BLURRED * counts))
    return LabelFacts(path, {number: int(counts[number]) for number in numbers}, shown, is_palette, blurred)


def _looks_blurred(values: np.ndarray) -> np.ndarray:
    """Return where a value lies between the values of two opposite neighbours, or differs from all four neighbours."""
    between, differs = np.zeros(values.shape, bool), np.ones(values.shape, bool)
    for array, found, alone in ((values, between, differs), (values.T, between.T, differs.T)):
        for step in range(1, 1 + _STEPS):
            before, here, after = array[: -2 * step], array[step:-step], array[2 * step :]
            found[step:-step] |= ((before < here) & (here < after)) | ((before > here) & (here > after))
        equal = array[1:] == array[:-1]
        alone[1:] &= ~equal
        alone[:-1] &= ~equal
    return between | differs
