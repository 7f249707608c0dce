"""Communication between the processes (ranks) that train one network. Without MPI, there is one rank."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import SettingError
from .tree import share


class Communicator:
    """The communicator of a single process, and the interface of all others.

    All ranks must call the same methods in the same order.

    Attributes:
        rank: the number of this process, from 0.
        size: the number of processes.
    """

    rank, size = 0, 1

    def allgather(self, value: Any) -> list[Any]:
        """Return the small Python objects of all ranks."""
        return [value]

    def allgather_arrays(self, array: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
        """Return the one-dimensional arrays of all ranks, which have one dtype and these numbers of elements."""
        return [array]

    def alltoall_arrays(self, arrays: Sequence[np.ndarray], counts: Sequence[int]) -> list[np.ndarray]:
        """Send arrays[r] to rank r, and return what the ranks sent to this one, with these numbers of elements."""
        return list(arrays)

    def share(self, count: int) -> range:
        """Return this rank's pictures of a batch of `count`."""
        return share(count, self.rank, self.size)

    def any(self, condition: Any) -> bool:
        """Return whether the condition holds on any rank."""
        return any(self.allgather(bool(condition)))


class MPICommunicator(Communicator):
    """The processes that `mpiexec` has started. `comm` is an mpi4py communicator."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        self._end: Any = None  # the request of `all_arrive`
        self._ends = comm.Dup()  # apart from all other messages, which may be in any state when a rank fails

    def allgather(self, value):
        return self.comm.allgather(value)

    def allgather_arrays(self, array, counts):
        received = np.empty(sum(counts), array.dtype)
        self.comm.Allgatherv(np.ascontiguousarray(array), (received, counts))
        return np.split(received, np.cumsum(counts)[:-1])

    def alltoall_arrays(self, arrays, counts):
        received = np.empty(sum(counts), arrays[0].dtype)
        self.comm.Alltoallv((np.concatenate(arrays), [len(array) for array in arrays]), (received, counts))
        return np.split(received, np.cumsum(counts)[:-1])

    def threads(self) -> int:
        """Return the number of processor cores that this rank may use, divided by the ranks that may use them too."""
        from mpi4py import MPI

        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        others = self.comm.Split_type(MPI.COMM_TYPE_SHARED).allgather(cores)  # the ranks on this machine
        return max(1, len(cores) // sum(not cores.isdisjoint(other) for other in others))

    def all_arrive(self, seconds: float) -> bool:
        """Wait until all ranks have called this, at most so many seconds, and return whether they have."""
        self._end, latest = self._end or self._ends.Ibarrier(), time.monotonic() + seconds
        while not self._end.Test():
            if time.monotonic() > latest:
                return False
            time.sleep(0.02)
        return True

    def finalize(self) -> None:
        """End MPI, after which the process may exit at once."""
        from mpi4py import MPI

        MPI.Finalize()

    def abort(self, code: int) -> None:
        """End all ranks."""
        self.comm.Abort(code)


def open_mpi() -> MPICommunicator:
    """Start MPI and return the communicator of all its processes. Raises SettingError if mpi4py cannot be used."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI library
        raise SettingError('--distributed needs mpi4py and an MPI library. Run pip install "tinysegnet[mpi]" '
                           f"({' '.join(str(error).split())})") from error  # fmt: skip
    return MPICommunicator(MPI.COMM_WORLD)
