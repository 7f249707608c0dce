"""A batch whose pictures are divided over the ranks, and sums over all its pictures in the order of `tree`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .communicator import Communicator
from .tree import merge, share, subtrees

LARGE = 1 << 14  # numbers; for larger arrays, each rank adds a part of them instead of everything


class SplitBatch:
    """The division of a batch of `count` pictures over the ranks.

    Attributes:
        pictures: the numbers of this rank's pictures within the batch. A rank may have none.
    """

    def __init__(self, communicator: Communicator, count: int) -> None:
        self.communicator, self.count = communicator, count
        shares = [share(count, rank, communicator.size) for rank in range(communicator.size)]
        self.pictures = shares[communicator.rank]
        self._nodes = [subtrees(own.start, own.stop, count) for own in shares]  # by rank
        self.nodes = self._nodes[communicator.rank]

    @classmethod
    def of_own(cls, communicator: Communicator, own: int) -> SplitBatch:
        """Return the division of a batch of which this rank has `own` pictures."""
        return cls(communicator, sum(communicator.allgather(own)))

    def total(self, arrays: list[np.ndarray], like: np.ndarray, add: Callable = np.add) -> np.ndarray:
        """Return the sum over the pictures of all ranks, given one array per picture of this rank.

        Args:
            like: an array of the same shape and dtype, whose values are not used.
            add: a function that returns the sum of two arrays.
        """
        return self.finish(self.partial_sums(arrays, add), like, add)

    def partial_sums(self, arrays: list[np.ndarray], add: Callable = np.add) -> list[np.ndarray]:
        """Return the sums of this rank's subtrees, in the order of `nodes`, given one array per picture."""
        leaves = {(0, picture): array for picture, array in zip(self.pictures, arrays, strict=True)}
        return list(merge(leaves, self.count, add).values())

    def finish(self, sums: list[np.ndarray], like: np.ndarray, add: Callable = np.add) -> np.ndarray:
        """Return the total, given the sums of this rank's subtrees."""
        if self.communicator.size == 1:
            return sums[0]
        if like.ndim == 1 and like.size >= LARGE:
            return self._finish_parts(sums, like, add)
        flat = np.concatenate([*(array.ravel() for array in sums), np.empty(0, like.dtype)])
        counts = [len(nodes) * like.size for nodes in self._nodes]
        gathered = self.communicator.allgather_arrays(flat, counts)
        return self._root([array.reshape(-1, *like.shape) for array in gathered], add)

    def _finish_parts(self, sums, like, add):
        """Let each rank add its part of the array, and gather the parts, which sends the least data."""
        ranks = self.communicator.size
        parts = [share(like.size, rank, ranks) for rank in range(ranks)]
        own = len(parts[self.communicator.rank])
        sent = [np.concatenate([*(array[part.start : part.stop] for array in sums), np.empty(0, like.dtype)])
                for part in parts]  # fmt: skip
        received = self.communicator.alltoall_arrays(sent, [len(nodes) * own for nodes in self._nodes])
        total = self._root([array.reshape(-1, own) for array in received], add)
        return np.concatenate(self.communicator.allgather_arrays(total, [len(part) for part in parts]))

    def _root(self, gathered: list[np.ndarray], add: Callable) -> np.ndarray:
        nodes = {node: value for own, values in zip(self._nodes, gathered, strict=True)
                 for node, value in zip(own, values, strict=True)}  # fmt: skip
        (root,) = merge(nodes, self.count, add).values()
        return root
