"""Class weights by median frequency, so that rare classes count as much as common ones.

    freq(c) = pixels of class c / all pixels, also unlabelled ones, of the images in which c occurs
    weight(c) = median(freq) / freq(c)

The formula is from Eigen & Fergus 2015, section 6.3.2, which the SegNet paper follows (section 3.2). Lesson 06 shows
how the eleven published weights follow from the first version of CamVid's labels, which have changed since then.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..runtime.distributed import Communicator
from .sample import Dataset, check_dataset, read_sample


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """The number of pixels and images in which each class of a data set occurs."""

    names: tuple[str, ...]  # one per class
    pixels: np.ndarray  # (K,) int64, pixels of each class
    image_pixels: np.ndarray  # (K,) int64, all pixels, including void, of the images in which the class occurs
    images: np.ndarray  # (K,) int64, number of images in which the class occurs


def count_pixels(dataset: Dataset, *, progress: Any = iter, communicator: Communicator | None = None) -> PixelCounts:
    """Count the pixels in all labels of a data set. Void is not a class.

    Args:
        progress: a function that wraps the loop, such as tqdm.
        communicator: connects the processes that share the work.
    """
    ranks = communicator or Communicator()
    K = check_dataset(dataset).palette.num_classes
    pixels, image_pixels, images = np.zeros((3, K), np.int64)
    for index in progress(range(ranks.rank, len(dataset), ranks.size)):
        labels = read_sample(dataset, index).labels
        counts = np.bincount(labels.ravel(), minlength=K)[:K]
        pixels += counts
        image_pixels += (counts > 0) * labels.size
        images += counts > 0
    pixels, image_pixels, images = np.sum(ranks.allgather((pixels, image_pixels, images)), 0)
    return PixelCounts(tuple(dataset.palette.names), pixels, image_pixels, images)


def median_frequency_weights(counts: PixelCounts) -> np.ndarray:
    """Return the weights median(freq) / freq, (K,) float64. A class with the median frequency has weight 1.

    The median is taken over the classes that occur. A class that does not occur gets weight 0 instead of infinity, and
    a UserWarning names it. Raises DataError if no pixel is labelled.
    """
    present = counts.pixels > 0
    if not present.any():
        raise DataError("class weights: no pixel is labelled. Check the label maps.")
    for k in np.flatnonzero(~present):
        message = f"class {k} ({counts.names[k]}) does not occur in the labels and will not be learned (weight 0)"
        warnings.warn(message, UserWarning, stacklevel=2)
    freq = counts.pixels[present] / counts.image_pixels[present]
    weights = np.zeros(len(counts.pixels))
    weights[present] = np.median(freq) / freq
    return weights


def sqrt_median_frequency_weights(counts: PixelCounts) -> np.ndarray:
    """Return the square roots of `median_frequency_weights`, which favour rare classes less strongly."""
    return np.sqrt(median_frequency_weights(counts))
