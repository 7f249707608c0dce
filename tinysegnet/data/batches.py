"""Batches of pictures and labels, in an order that can be resumed.

All random numbers of an epoch are drawn when `batches` is called: one permutation, and one seed per picture. An epoch
is therefore a function of the generator's state at its start. The generator advances by the same amount however many
batches are read, and batch number `start` can be created without creating the batches before it.
"""

from collections.abc import Iterator

import numpy as np

from ..errors import SettingError
from .augment import Augment, resize_sample
from .sample import Dataset, check_dataset, read_sample

Batch = tuple[np.ndarray, np.ndarray]


def num_batches(dataset: Dataset, batch_size: int) -> int:
    """Return the number of batches that `batches` yields: so many that none exceeds batch_size."""
    if batch_size < 1:
        raise SettingError(f"batch_size: {batch_size} is too small. Choose at least 1.")
    return -(-len(dataset) // batch_size)


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    size: tuple[int, int],
    rng: np.random.Generator | None = None,
    augment: Augment | None = None,
    shuffle: bool = True,
    start: int = 0,
) -> Iterator[Batch]:
    """Yield the batches of one epoch, each in new arrays.

    Every picture occurs once. The sizes of the batches differ by at most one, and the larger ones come first. If an
    incomplete batch came last instead, its few pictures would weigh more, and batch norm would see only them.

    Args:
        batch_size: the largest number of pictures per batch.
        size: (H, W) of the batch. Without augmentation, the whole picture is scaled to this size.
        rng: the random generator, required for shuffling and augmentation.
        augment: the random augmentation of each picture, or None.
        shuffle: use a random order.
        start: the first batch to yield. If rng is in the same state as at the start of the epoch, the remaining batches
            are identical bit for bit.

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
    return (_make_batch(dataset, part, seeds, size, augment) for part in np.array_split(order, total)[start:])


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
