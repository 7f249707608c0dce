"""Signs that a data set is wrong although its files can be read: pairs that look wrong, and repeated pictures.

The borders of a correct label map lie on edges of its picture. The `fit` of a pair is the mean gradient of the picture
along the borders, relative to the mean gradient of the whole picture. The fit is about 1 if the two are unrelated.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError
from .folders import Folder
from .image_files import rotation_of
from .pairs import image_stem
from .sample import Dataset, Sample, read_sample

_SIDE = 160  # pixels; at this size, a border that was drawn slightly beside an edge still lies on it
_NAMED = 3  # the maximum number of repeated pictures that are named


@dataclass(frozen=True, eq=False)
class PairStatistics:
    """The pixel counts of one label map, and how well the label map fits its picture."""

    data: Dataset
    index: int
    pixels: np.ndarray  # (K + 1,) int64, the number of pixels of each class and of void
    fit: float  # NaN if the label map has no borders, or if it was not computed
    mirrored: float  # the best fit of the label map mirrored left to right, top to bottom or both


def pair_statistics(data: Dataset, *, fits: bool = False, progress: Any = iter) -> list[PairStatistics]:
    """Return the statistics of all readable pairs, with their fits if `fits` is true. `progress` wraps the loop."""
    pairs, K = [], data.palette.num_classes
    for index in progress(range(len(data))):
        try:
            sample = read_sample(data, index)
        except DataError:  # `Folder.problems` reports the error
            continue
        counts = np.bincount(sample.labels.ravel(), minlength=K)
        pixels = np.append(counts[:K], counts[K:].sum())
        pairs.append(PairStatistics(data, index, pixels, *(_fits(sample) if fits else (np.nan, np.nan))))
    return pairs


def shares(pairs: Sequence[PairStatistics]) -> np.ndarray:
    """Return the share of each class and of void among the pixels of one or more pairs, (K + 1,) float64."""
    pixels = np.sum([pair.pixels for pair in pairs], axis=0)
    return pixels / pixels.sum()


def suspicious(pairs: Sequence[PairStatistics]) -> dict[PairStatistics, str]:
    """Return the pairs that look wrong, each with the reason in words. The pairs with the worst fit come first.

    A fit is bad if the mirrored label map fits better, or if the fit is nearer to 1, the fit of an unrelated label map,
    than to the median fit of all pairs.
    """
    fits = [pair.fit for pair in pairs if np.isfinite(pair.fit)]
    least = float(np.sqrt(np.median(fits or [1.0])))  # halfway between 1 and the median, because fits are ratios
    pictures_with = np.sum([pair.pixels[:-1] > 0 for pair in pairs], axis=0)
    rare = (pictures_with == 1) & (len(pairs) > 1)
    relative = {pair: pair.fit / max(least, pair.mirrored) for pair in pairs}
    ordered = sorted(pairs, key=lambda pair: relative[pair] if relative[pair] < 1 else 1)  # NaN counts as good
    return {pair: reason for pair in ordered if (reason := _reason(pair, rare, least))}


def doubtful_rotations(folders: Sequence[Folder]) -> list[str]:
    """Return a line if most label maps of pictures that EXIF turns would fit better if they were turned as well."""
    turned, doubtful = 0, []
    for folder in folders:
        for index, pair in enumerate(folder.pairs):
            rotation = rotation_of(pair.image)
            if rotation is None:
                continue
            try:
                sample = folder[index]
            except DataError:
                continue
            labels = np.asarray(Image.fromarray(sample.labels).transpose(rotation))
            if labels.shape == sample.labels.shape:
                turned += 1
                fits = [_fits(Sample(sample.image, array, ""))[0] for array in (sample.labels, labels)]
                doubtful += [pair] if fits[1] > fits[0] else []
    if 2 * len(doubtful) <= turned:
        return []
    count = f"{len(doubtful)} of {turned} label maps would fit better if they were turned by EXIF as their pictures are"
    return [f"{doubtful[0].labels}: {count}. If they were drawn on the stored pixels, remove the orientation: exiftool "
            f"-Orientation= {doubtful[0].image.parent}"]  # fmt: skip


def shared_pictures(splits: Iterable[Folder]) -> list[str]:
    """Return a few lines that describe the pictures that occur in several splits, or more than once in one split.

    Pictures are the same if their files have the same path or content. The last line counts the names
    that belong to different pictures in different splits.
    """
    places: dict[Path, Counter[str]] = {}  # the number of occurrences of each file per split
    for folder in splits:
        for pair in folder.pairs:
            places.setdefault(Path(os.path.realpath(pair.image)), Counter())[folder.split] += 1
    sizes = {path: path.stat().st_size for path in places if os.path.isfile(path) and os.access(path, os.R_OK)}
    count_by_size = Counter(sizes.values())
    same: dict[object, list[Path]] = {}
    for path in places:  # only files of equal size are read
        is_read = path in sizes and count_by_size[sizes[path]] > 1
        same.setdefault(hashlib.blake2b(path.read_bytes()).digest() if is_read else path, []).append(path)
    repeated = [paths for paths in same.values() if sum(places[path].total() for path in paths) > 1]
    repeated.sort(key=lambda paths: -len({split for path in paths for split in places[path]}))
    lines = []
    for paths in repeated[:_NAMED]:
        found = [f"{path.name} in {split}" + f" {count} times" * (count > 1)
                 for path in paths for split, count in places[path].items()]  # fmt: skip
        lines.append(f"{paths[0]}: this picture occurs repeatedly: {', '.join(found)}. Keep it in one place.")
    lines += [f"Further pictures that occur repeatedly: {len(repeated) - _NAMED}."] if len(repeated) > _NAMED else []
    splits_of: dict[str, set[str]] = {}
    for path in places.keys() - {path for paths in repeated for path in paths}:
        splits_of.setdefault(image_stem(path), set()).update(places[path])
    names = sorted(name for name, found in splits_of.items() if len(found) > 1)
    if names:
        lines.append(f"Names that stand for different pictures in several splits: {len(names)}, such as {names[0]}.")
    return lines


def _reason(pair: PairStatistics, rare: np.ndarray, least: float) -> str:
    names, present = pair.data.palette.names, pair.pixels[:-1] > 0
    if not present.any():
        return "no pixel is labelled"
    if pair.fit < max(least, pair.mirrored):
        return "its borders lie on few edges of the picture"
    if (present & rare).any():
        return f"no other picture has {' or '.join(names[k] for k in np.flatnonzero(present & rare))}"
    return f"only one class: {names[present.argmax()]}" if present.sum() == 1 else ""


def _fits(sample: Sample) -> tuple[float, float]:
    scale = min(1.0, _SIDE / max(sample.labels.shape))
    H, W = (max(2, round(scale * side)) for side in sample.labels.shape)
    image = np.asarray(Image.fromarray(sample.image).resize((W, H), Image.Resampling.BOX), np.float32)
    labels = np.asarray(Image.fromarray(sample.labels).resize((W, H), Image.Resampling.NEAREST))
    gradient = np.hypot(*np.gradient(image, axis=(0, 1))).sum(-1)
    return _fit(gradient, labels), max(_fit(gradient, np.flip(labels, axes)) for axes in (0, 1, (0, 1)))


def _fit(gradient: np.ndarray, labels: np.ndarray) -> float:
    border = np.zeros(labels.shape, bool)
    for array, edge in ((labels, border), (labels.T, border.T)):
        differs = array[1:] != array[:-1]
        edge[1:] |= differs
        edge[:-1] |= differs
    return float(gradient[border].mean() / gradient.mean()) if border.any() and gradient.any() else np.nan
