"""Batch norm's statistics over the whole training set, computed in one pass after training.

For one channel, batch b has m_b pixels with mean mu_b and (biased) variance v_b. All pixels, M = sum of m_b, have

    mean = sum of m_b mu_b / M
    var  = (sum of m_b v_b  +  sum of m_b (mu_b - mean)^2) / (M - 1)

The two sums of the variance are the spread within batches and the spread between batches.
"""

from typing import Any

import numpy as np

from ..data import Dataset, batches
from ..errors import NonFiniteError
from ..layers import Layer, Tape
from ..models import Network, check_network
from ..models.picture_passes import batch_tape, forward_pictures
from ..runtime.distributed import Communicator, SplitBatch
from ..runtime.settings import convert


def recompute_statistics(
    model: Network, data: Dataset, *, size: tuple[int, int], batch_size: int = 4, progress: Any = iter,
    communicator: Communicator | None = None,
) -> None:  # fmt: skip
    """Replace the running statistics of every batch norm by those of all training pictures, in one pass.

    The pictures are read in order and not augmented. As in training, each batch is normalised by its own statistics,
    but dropout is off. Only the running statistics change, and only at the end, so errors leave the network unchanged.

    The running averages of training depend mostly on the last batches and lack the spread between batches. The authors'
    compute_bn_statistics.py also omits this spread.

    Args:
        size: (H, W) of the pictures, as in training.
        batch_size: the largest number of pictures per batch.
        progress: a function that wraps the loop over the batches, such as tqdm.
        communicator: connects the processes that share each batch, whose pictures then pass one by one, as with the
            reduction tree. None: whole batches.

    Raises NonFiniteError if a statistic is not finite.
    """
    check_network(model)
    size, batch_size = convert("size", size, tuple[int, int]), convert("batch_size", batch_size, int)
    found: dict[Layer, _Moments] = {}
    own = communicator.share if communicator else range
    pictures = batches(data, batch_size, size=size, shuffle=False, own=own)
    for images, _ in progress(pictures if dict(model.named_buffers()) else ()):
        statistics: dict[Layer, Any] = {}
        x = images.astype(model.dtype)
        if communicator:
            batch = SplitBatch.of_own(communicator, len(x))
            forward_pictures(model, x, batch_tape(batch, training=False, statistics=statistics))
        else:
            tape = Tape(statistics=statistics)
            for layer in model.fused_layers:
                x = layer.forward(x, tape)
        for norm, (mean, var, count) in statistics.items():
            found.setdefault(norm, _Moments()).add(mean, var, count)
    for norm, moments in found.items():
        if not (np.isfinite(moments.mean).all() and np.isfinite(moments.squares).all()):
            raise NonFiniteError(f"{norm.name}: its statistics are not finite. Use an earlier checkpoint.")
    for norm, moments in found.items():
        norm.buffers["running_mean"][...] = moments.mean
        norm.buffers["running_var"][...] = moments.squares / (moments.count - 1)


class _Moments:
    """The number of pixels so far and, per channel in float64, their mean and sum of squared deviations."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(()), np.zeros(())

    def add(self, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        """Add a batch. The distance `apart` of its mean from the mean so far contributes the spread between batches."""
        apart, total = mean.astype(np.float64) - self.mean, self.count + count
        self.squares = self.squares + var.astype(np.float64) * count + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total
