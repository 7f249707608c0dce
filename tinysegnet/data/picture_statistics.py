"""Statistics of pictures, which reveal that a picture is unlike those on which a network was trained.

The nine statistics of a picture describe its contrast, colours and edges, but not its brightness or its content.
Pictures are first reduced to about 96 x 128 pixels.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..runtime.settings import check_at_least, convert
from .sample import Dataset, read_sample

AREA = 96 * 128  # pixels
MOST_PICTURES, FEWEST_PICTURES = 100, 10  # a spread of few pictures is too uncertain
QUALITIES = ("contrast", "colourfulness", "amount of detail", "density of edges", "sharpness", "sharpness",
             "colour of edges", "colour of edges", "direction of edges")  # fmt: skip
LEAST_SPREAD = 0.02  # in the units of the statistics, which are logarithms and correlations


def picture_statistics(image: np.ndarray) -> np.ndarray:
    """Return the nine statistics (9,) float64 of a picture (H, W, 3) uint8, in the order of `QUALITIES`."""
    factor = min(1.0, math.sqrt(AREA / (image.shape[0] * image.shape[1])))
    H, W = (max(3, round(factor * side)) for side in image.shape[:2])
    x = np.asarray(Image.fromarray(image).resize((W, H), Image.Resampling.BILINEAR), np.float64)
    grey, saturation = x.mean(-1), np.ptp(x, axis=-1).mean()
    across, down = np.diff(grey, axis=1), np.diff(grey, axis=0)
    steps = np.abs(np.concatenate([across.ravel(), down.ravel()]))
    contrast, rms = max(grey.std(), 1.0), max(math.sqrt(np.mean(steps**2)), 0.1)
    red, green, blue = np.diff(x, axis=1).transpose(2, 0, 1)
    return np.array([
        math.log(contrast), math.log1p(saturation), math.log(rms / contrast), steps.mean() / rms,
        _correlation(across[:, 1:], across[:, :-1]), _correlation(down[1:], down[:-1]),
        _correlation(red, green), _correlation(green, blue),
        math.log(max(np.mean(across**2), 0.01) / max(np.mean(down**2), 0.01)),
    ])  # fmt: skip


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(a * b) / max(math.sqrt(np.mean(a**2) * np.mean(b**2)), 1e-6))


@dataclass(frozen=True)
class TrainingPictures:
    """The mean and the standard deviation of the nine statistics over `count` training pictures."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int

    @classmethod
    def of(cls, data: Dataset) -> "TrainingPictures | None":
        """Summarise at most 100 pictures, spread evenly over the data. Returns None if there are fewer than 10."""
        count = min(len(data), MOST_PICTURES)
        if count < FEWEST_PICTURES:
            return None
        found = np.stack([picture_statistics(read_sample(data, i * len(data) // count).image) for i in range(count)])
        return cls(tuple(found.mean(0).tolist()), tuple(found.std(0, ddof=1).tolist()), count)

    @classmethod
    def from_dict(cls, saved: Any) -> "TrainingPictures":
        """Return the statistics that `dataclasses.asdict` has made a dictionary. Raises SettingError if it is wrong."""
        values, nine = saved if isinstance(saved, dict) else {}, tuple[(float,) * len(QUALITIES)]  # type: ignore[misc]
        mean, std = (convert(f"input: {name}", values.get(name), nine) for name in ("mean", "std"))
        found = cls(mean, std, convert("input: count", values.get("count"), int))
        check_at_least(found, count=FEWEST_PICTURES)
        return found

    def deviation(self, image: np.ndarray) -> tuple[float, str]:
        """Return how many standard deviations a picture is away, and the quality in which it differs most.

        The deviation is the root mean square over the nine statistics. It is about 1 for a training picture. With few
        training pictures, it is reduced, because their mean and standard deviation are uncertain: the square of a
        deviation then has the expectation (n - 1) / (n - 3) (1 + 1/n).
        """
        n, spread = self.count, np.maximum(self.std, LEAST_SPREAD)
        squares = ((picture_statistics(image) - self.mean) / spread) ** 2
        expected = (n - 1) / (n - 3) * (1 + 1 / n)
        return math.sqrt(squares.mean() / expected), QUALITIES[squares.argmax()]
