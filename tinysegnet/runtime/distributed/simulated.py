"""Ranks that are threads of one process, for tests and lessons. They exchange the same data as MPI processes."""

import threading
from collections.abc import Callable
from typing import Any

from .communicator import Communicator


class ThreadCommunicator(Communicator):
    """The communicator of one thread. `board` has a place for the message of each thread."""

    def __init__(self, rank: int, board: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size, self._board, self._barrier = rank, len(board), board, barrier

    def allgather(self, value):
        self._board[self.rank] = value
        self._barrier.wait()
        values = list(self._board)
        self._barrier.wait()  # before the next message replaces this one
        return values

    def allgather_arrays(self, array, counts):
        return self._checked(self.allgather(array.copy()), counts)

    def alltoall_arrays(self, arrays, counts):
        sent = self.allgather([array.copy() for array in arrays])
        return self._checked([arrays[self.rank] for arrays in sent], counts)

    def _checked(self, arrays, counts):
        assert [len(array) for array in arrays] == list(counts), "MPI would receive too much or too little"
        return arrays


def run_ranks(size: int, function: Callable[[Communicator], Any]) -> list[Any]:
    """Call function(communicator) in `size` threads, and return the results by rank.

    If a thread raises an error, the others stop at their next exchange, and the error is raised here.
    """
    board, barrier = [None] * size, threading.Barrier(size)
    results, errors = [None] * size, dict[int, BaseException]()

    def run(rank: int) -> None:
        try:
            results[rank] = function(ThreadCommunicator(rank, board, barrier))
        except BaseException as error:
            errors[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted(errors.values(), key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error  # the first cause, not the errors that follow from it
    return results
