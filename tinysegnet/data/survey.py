"""What the label maps of a data set contain, and the pairs that look wrong: empty, lonely, mirrored or swapped.

The borders of correct label maps lie on edges of the picture. `fit` is the mean gradient of the picture along these
borders, relative to the mean gradient of the whole picture. It is about 1 if label map and picture are unrelated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import DataError
from .sample import Dataset, Sample, read_sample

_SIDE = 160  # pixels; at this size, borders that were drawn a little beside an edge still count as lying on it
_TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored left to right": np.fliplr,
    "mirrored top to bottom": np.flipud,
    "turned by 180 degrees": lambda labels: np.rot90(labels, 2),
    "turned by 90 degrees to the left": np.rot90,
    "turned by 90 degrees to the right": lambda labels: np.rot90(labels, 3),
}


@dataclass(frozen=True, eq=False)
class SurveyedPair:
    """The content of one pair of a data set."""

    data: Dataset
    index: int
    name: str
    pixels: np.ndarray  # (K + 1,) int64, the pixels of each class and of void
    fit: float = np.nan  # of the label map; NaN if it has no borders or was not computed
    turned_fit: float = np.nan  # the best fit of the label map after a turn
    turn: str = ""


def survey(
    data: Dataset, *, fits: bool = False, progress: Callable[[range], Iterable[int]] = iter
) -> list[SurveyedPair]:
    """Survey the pairs of a data set that can be read, and also compute how well they fit if `fits`."""
    pairs, K = [], data.palette.num_classes
    for index in progress(range(len(data))):
        try:
            sample = read_sample(data, index)
        except DataError:  # `Folder.problems` reports it
            continue
        counts = np.bincount(sample.labels.ravel(), minlength=256)
        pixels = np.append(counts[:K], counts[K:].sum())
        pairs.append(SurveyedPair(data, index, sample.name, pixels, *(_fits(sample) if fits else ())))
    return pairs


def suspicious(pairs: Sequence[SurveyedPair], names: Sequence[str]) -> dict[SurveyedPair, str]:
    """Return the pairs that look wrong with the reason in words, those whose label map fits worst first.

    A label map fits badly if its fit is nearer to 1, the fit of an unrelated one, than to the median of all pairs.
    """
    found = {}
    fits = [pair.fit for pair in pairs if np.isfinite(pair.fit)]
    least = float(np.sqrt(np.median(fits))) if fits else 0.0  # as fits are ratios, halfway between 1 and the median
    for pair in sorted(pairs, key=lambda pair: pair.fit):
        if pair.fit < least:
            turn = f"the label map fits better if {pair.turn}"
            found[pair] = turn if pair.turned_fit > least else "its borders lie on few edges of the picture"
    pictures_with = sum((pair.pixels[:-1] > 0).astype(int) for pair in pairs)
    for pair in pairs:
        present = np.flatnonzero(pair.pixels[:-1])
        lonely = [names[k] for k in present if len(pairs) > 1 and pictures_with[k] == 1]
        if not len(present):
            found[pair] = "no pixel is labelled"
        elif lonely:
            found.setdefault(pair, f"no other picture has {' or '.join(lonely)}")
        elif len(present) == 1:
            found.setdefault(pair, f"only one class: {names[present[0]]}")
    return found


def _fits(sample: Sample) -> tuple[float, float, str]:
    """Return the fit of the label map, and the best fit and the name of a turn."""
    H, W = sample.labels.shape
    scale = min(1.0, _SIDE / max(H, W))
    size = max(2, round(W * scale)), max(2, round(H * scale))
    image = np.asarray(Image.fromarray(sample.image).resize(size, Image.Resampling.BOX), np.float32)
    labels = np.asarray(Image.fromarray(sample.labels).resize(size, Image.Resampling.NEAREST))
    gradient = np.hypot(*np.gradient(image, axis=(0, 1))).sum(-1)
    turned = {name: turn(labels) for name, turn in _TURNS.items()}
    fits = {name: _fit(gradient, array) for name, array in turned.items() if array.shape == labels.shape}
    turn = max(fits, key=fits.__getitem__)
    return _fit(gradient, labels), fits[turn], turn


def _fit(gradient: np.ndarray, labels: np.ndarray) -> float:
    border = np.zeros(labels.shape, bool)
    for array, edge in ((labels, border), (labels.T, border.T)):
        differs = array[1:] != array[:-1]
        edge[1:] |= differs
        edge[:-1] |= differs
    mean = float(gradient.mean())
    return float(gradient[border].mean()) / mean if mean and border.any() else np.nan
