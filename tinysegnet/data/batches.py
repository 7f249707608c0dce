"""Batches of pictures and labels, in an order that can be resumed, and their random augmentation.

All random numbers of an epoch are drawn when `batches` is called: one permutation, and one seed per picture. The
generator therefore advances by the same amount however many batches are read, and batch number `start` can be created
without the batches before it.

Scaling and cropping are a single resize: enlarging a picture by s and cropping it to `size` gives the same view as
resizing a box with 1/s of its height and width. The picture (bilinear) and its labels (nearest) use the same box, and
both are sampled at pixel centres: output x corresponds to box_left + (x + 1/2) * box_width / W.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import SettingError
from ..runtime.settings import check_augmentation, convert_fields
from .sample import Dataset, Sample, check_dataset, read_sample

Batch = tuple[np.ndarray, np.ndarray]
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the original, as in Pillow

_LUMA = np.array([0.299, 0.587, 0.114])  # perceived brightness of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True)
class Augment:
    """A random augmentation. Each call draws a flip, a crop and a colour change.

    Args:
        flip: probability of mirroring the picture left to right.
        scale: range (low, high) of the random factor by which the picture is enlarged before it is cropped to `size`;
            both are at least 1, and (1, 1) shows the whole picture.
        color_jitter: strength j. Brightness, contrast and saturation are each multiplied by a random factor in
            [1 - j, 1 + j]; 0 leaves the colours unchanged.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (1.0, 1.5)
    color_jitter: float = 0.2

    def __post_init__(self) -> None:
        convert_fields(self)
        check_augmentation(self)

    def __call__(
        self, sample: Sample, *, rng: np.random.Generator, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return an image (H, W, 3) uint8 and labels (H, W) uint8 with (H, W) = size."""
        # All random numbers are always drawn, so that disabling one change does not alter the others.
        flip, zoom, left, top = rng.random(4)
        factors = 1 + self.color_jitter * rng.uniform(-1, 1, 3)
        s = self.scale[0] + zoom * (self.scale[1] - self.scale[0])
        H, W = sample.labels.shape
        height, width = H / s, W / s
        x, y = left * (W - width), top * (H - height)
        box = x, y, min(x + width, W), min(y + height, H)  # rounding must not push the box out of the picture
        image, labels = resize_sample(sample, size, box)
        if self.color_jitter:
            image = _jitter(image, *factors)
        return (image[:, ::-1], labels[:, ::-1]) if flip < self.flip else (image, labels)


def resize_sample(sample: Sample, size: tuple[int, int], box: Box | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Resize a sample, or a box in it, to size (H, W). Returns the image (H, W, 3) and the labels (H, W), both uint8.

    The image is interpolated (bilinear, antialiased). Labels are copied from the nearest pixel, never mixed.
    """
    H, W = size  # Pillow expects the width before the height
    image = Image.fromarray(sample.image).resize((W, H), Image.Resampling.BILINEAR, box=box)
    labels = Image.fromarray(sample.labels).resize((W, H), Image.Resampling.NEAREST, box=box)
    return np.asarray(image), np.asarray(labels)


def _jitter(array: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Apply all three changes at once: each is affine in the colour, so together they form a 3x3 matrix and an offset.

    saturation: x -> grey(x) + saturation * (x - grey(x)).  contrast: x -> mean + contrast * (x - mean).
    brightness: x -> brightness * x.  Pillow applies the matrix and clips the result to 0..255.
    """
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    image = Image.fromarray(array)
    mean = np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0] @ _LUMA
    offset = brightness * (1 - contrast) * mean
    matrix = np.column_stack([brightness * contrast * mix, np.full(3, offset)])
    return np.asarray(image.convert("RGB", tuple(matrix.ravel().tolist())))


def num_batches(dataset: Dataset, batch_size: int) -> int:
    """Return the number of batches that `batches` yields: so many that none exceeds batch_size."""
    if batch_size < 1:
        raise SettingError(f"batch_size: {batch_size} is too small. Choose at least 1.")
    return -(-len(dataset) // batch_size)


def batches(
    dataset: Dataset, batch_size: int, *, size: tuple[int, int], rng: np.random.Generator | None = None,
    augment: Augment | None = None, shuffle: bool = True, start: int = 0, own: Callable[[int], range] = range,
) -> Iterator[Batch]:  # fmt: skip
    """Yield the batches of one epoch, each in new arrays.

    Every picture occurs once. The sizes of the batches differ by at most one, because the few pictures of an incomplete
    last batch would weigh more, and batch norm would see only them.

    Args:
        batch_size: the largest number of pictures per batch.
        size: (H, W) of the batch. Without augmentation, the whole picture is scaled to this size.
        rng: the random generator, required for shuffling and augmentation.
        augment: the random augmentation of each picture, or None.
        shuffle: use a random order.
        start: the first batch to yield. If rng has the state of the start of the epoch, the batches are the same bits.
        own: returns which of the n pictures of a batch are read, if several processes share each batch.

    Yields:
        images (N, H, W, 3) float32 RGB in 0..255, labels (N, H, W) uint8.
    """
    check_dataset(dataset)
    total = num_batches(dataset, batch_size)
    if rng is None and (shuffle or augment):
        raise TypeError("batches() needs rng=numpy.random.default_rng(seed) to shuffle or augment")
    order = np.arange(len(dataset))
    if rng is not None and shuffle:
        rng.shuffle(order)
    seeds = order if rng is None else rng.integers(2**63, size=len(order))  # one seed per picture, for its augmentation
    whole = ((part, own(len(part))) for part in np.array_split(order, total)[start:])
    parts = (part[mine.start : mine.stop] for part, mine in whole)
    return (_make_batch(dataset, part, seeds, size, augment) for part in parts)


def _make_batch(
    dataset: Dataset, order: np.ndarray, seeds: np.ndarray, size: tuple[int, int], augment: Augment | None
) -> Batch:
    images = np.empty((len(order), *size, 3), np.float32)
    labels = np.empty((len(order), *size), np.uint8)
    for n, index in enumerate(order.tolist()):
        sample = read_sample(dataset, index)
        if augment is None:
            images[n], labels[n] = resize_sample(sample, size)
        else:
            images[n], labels[n] = augment(sample, rng=np.random.default_rng(seeds[index]), size=size)
    return images, labels
