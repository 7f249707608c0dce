"""Class weights by median frequency, so that rare classes count as much as common ones.

    freq(c) = pixels of class c / all pixels of the images in which c occurs
    weight(c) = median(freq) / freq(c)

after Eigen & Fergus 2015, section 6.3.2, which the SegNet paper follows (section 3.2). "All pixels" are those of the
whole images, labelled or not; an image without the class does not count. The eleven published weights (0.2595, 0.1826,
4.5640, ...) follow from CamVid's first labels, with void as a twelfth class in the median. The labels have changed,
so compute the weights from the given labels.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .sample import Dataset, check_dataset, read_sample


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """How often each class occurs in a data set's labels."""

    names: tuple[str, ...]  # one per class
    pixels: np.ndarray  # (K,) int64, pixels of each class
    image_pixels: np.ndarray  # (K,) int64, all pixels, void too, of the images in which the class occurs
    images: np.ndarray  # (K,) int64, how many images those are


def count_pixels(dataset: Dataset) -> PixelCounts:
    """Count the pixels in all labels of a data set. Void is not a class."""
    K = check_dataset(dataset).palette.num_classes
    pixels, image_pixels, images = np.zeros((3, K), np.int64)
    for index in range(len(dataset)):
        labels = read_sample(dataset, index).labels
        counts = np.bincount(labels.ravel(), minlength=256)[:K]
        pixels += counts
        image_pixels += (counts > 0) * labels.size
        images += counts > 0
    return PixelCounts(tuple(dataset.palette.names), pixels, image_pixels, images)


def median_frequency_weights(counts: PixelCounts) -> np.ndarray:
    """(K,) float64 weights, median(freq) / freq; the class of median frequency has weight 1.

    The median is over the classes that occur. One that does not gets weight 0 (not infinity) and a
    UserWarning that names it. Raises DataError if no pixel at all has a class.
    """
    present = counts.pixels > 0
    if not present.any():
        raise DataError("class weights: no pixel is labelled (expected at least one class). Check the label maps")
    for k in np.flatnonzero(~present):
        message = f"class {k} ({counts.names[k]}) does not occur in the labels: weight 0, it will not be learned"
        warnings.warn(message, UserWarning, stacklevel=2)
    freq = counts.pixels[present] / counts.image_pixels[present]
    weights = np.zeros(len(counts.pixels))
    weights[present] = np.median(freq) / freq
    return weights


def sqrt_median_frequency_weights(counts: PixelCounts) -> np.ndarray:
    """Square roots of `median_frequency_weights`: between balanced and natural frequencies.

    Full balancing paints rare classes too wide, which costs IoU; the root is milder.
    """
    return np.sqrt(median_frequency_weights(counts))
