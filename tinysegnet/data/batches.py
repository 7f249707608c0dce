"""From a data set to the arrays that a model consumes, in an order that can be resumed.

All random numbers of an epoch are drawn when `batches` is called: one permutation and one seed per picture. So an
epoch is a function of the generator's state at its start, the generator advances by the same amount however
many batches are read, and batch number `start` is made without those before it.
"""

from collections.abc import Iterator

import numpy as np

from ..errors import SettingError
from .augment import Augment, resize_sample
from .sample import Dataset, check_dataset, read_sample

Batch = tuple[np.ndarray, np.ndarray]


def num_batches(dataset: Dataset, batch_size: int, *, shuffle: bool = True) -> int:
    """How many batches `batches` yields.

    With shuffle (training) a last incomplete batch is dropped, since batch norm would see fewer pictures, unless it is
    the only one. In the data set's own order (evaluation) it is kept: every picture counts.
    """
    if batch_size < 1:
        raise SettingError(f"batch_size {batch_size} (expected at least 1)")
    full, rest = divmod(len(dataset), batch_size)
    return full if shuffle and full else full + bool(rest)


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
    """One epoch of batches, new arrays each time.

    Args:
        size: (H, W) of the batch. Without augment the whole picture is scaled to it.
        rng: required unless nothing is random.
        augment: random changes of each picture; None: none.
        shuffle: a random order, without an incomplete last batch; see `num_batches`.
        start: the first batch to yield. With rng in the state of the call that began the epoch, the remaining
            batches are the same bit for bit.

    Yields:
        images (N, H, W, 3) float32 RGB in 0..255, labels (N, H, W) uint8.
    """
    check_dataset(dataset)
    total = num_batches(dataset, batch_size, shuffle=shuffle)
    if rng is None and (shuffle or augment):
        raise TypeError("batches() needs rng=numpy.random.default_rng(seed) to shuffle or augment")
    order = np.arange(len(dataset))
    if rng is not None and shuffle:
        rng.shuffle(order)
    seeds = order if rng is None else rng.integers(2**63, size=len(order))  # for each picture's augmentation
    firsts = range(start * batch_size, total * batch_size, batch_size)
    return (_make_batch(dataset, order[i : i + batch_size], seeds, size, augment) for i in firsts)


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
