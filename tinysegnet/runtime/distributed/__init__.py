"""Work that is divided over several processes (ranks), with the same bits for any number of them.

    tree           sums over the pictures of a batch, always in the same order
    communicator   one process; several processes with MPI
    simulated      ranks that are threads of one process, for tests and lessons
    split_batch    a batch whose pictures are divided over the ranks, and sums over its pictures

mpi4py is imported only by `communicator.open_mpi`.
"""

from .communicator import Communicator
from .simulated import run_ranks
from .split_batch import SplitBatch
from .tree import merge, share, subtrees

__all__ = ["Communicator", "SplitBatch", "merge", "run_ranks", "share", "subtrees"]
