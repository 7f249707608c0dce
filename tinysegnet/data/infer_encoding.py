"""Inferring the meaning of the values in the label maps of a folder."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import DataError
from .class_lists import ClassList
from .label_encoding import LabelEncoding
from .label_files import read_label_pixels
from .layouts import Layout
from .pairs import inside
from .palette import CAMVID

_CLASS_FILES = ("classes.txt", "codes.txt", "label_colors.txt")
_STRAYS = 1e-3  # one of CamVid's 701 label maps has about 200 pixels whose colour belongs to no class

Classes = Literal["merged", "all"]


def infer_label_encoding(layout: Layout, ignore: int | None, classes: Classes) -> tuple[LabelEncoding, str]:
    """Infer the encoding from a list of classes, else the layout, else the label values, and describe its source."""
    path = next((layout.root / name for name in _CLASS_FILES if (layout.root / name).is_file()), None)
    known = None if path is None else ClassList.read(path)
    if known is not None and known.is_camvid:
        make, how = LabelEncoding.of_classes, "without void"
        if classes == "merged":
            make, how = LabelEncoding.merged, "merged"
        return make(known, ignore=ignore, strays=_STRAYS), f"from CamVid's 32 in {known.source}, {how}"
    if classes == "all" and known is None and layout.is_tutorial:
        raise DataError(f"{layout.root}: the labels have 11 classes, not CamVid's 32. Leave out --classes all.")
    if known is None and layout.is_tutorial:
        if ignore in (None, CAMVID.ignore_label):
            return LabelEncoding.plain(CAMVID), "as in CamVid"
        known = ClassList((*CAMVID.names, "void"), (*CAMVID.colors, CAMVID.ignore_color), "CamVid")
    if known is not None and (len(known.names) > 2 or any(known.colors)):
        return LabelEncoding.of_classes(known, ignore=ignore), f"from {known.source}"
    source = known.source if known else "the values in the label maps (there is no classes.txt)"
    return LabelEncoding.of_values(_values(layout), known, ignore=ignore), f"from {source}"


def _values(layout: Layout) -> frozenset[int]:
    """Return the numbers in the label maps of all splits. Unreadable files are skipped."""
    paths = sorted({pair.labels for pairs in layout.splits.values() for pair in pairs()})
    readable = (path for path in paths if os.path.isfile(path) and inside(path, layout.root))
    return _values_in(tuple((path, path.stat().st_mtime_ns) for path in readable))


@lru_cache(maxsize=4)  # the splits of one folder scan the same files
def _values_in(files: tuple[tuple[Path, int], ...]) -> frozenset[int]:
    seen = np.zeros(1 << 16, bool)
    for path, _ in files:
        try:
            pixels = read_label_pixels(path).values
        except DataError:
            continue
        if pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all()):
            seen[pixels.ravel()] = True
    return frozenset(np.flatnonzero(seen).tolist())
