"""A command that several processes (ranks) run together: output, threads, and the end of all if one fails."""

import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .. import runtime
from ..errors import SettingError
from ..runtime.progress import hidden

if TYPE_CHECKING:
    from ..runtime.distributed import Communicator
    from ..runtime.distributed.communicator import MPICommunicator

Distributed = Annotated[bool, Parameter(help=(
    "Share the work with the other processes that mpiexec has started: mpiexec -n 4 tinysegnet ... --distributed. The "
    'results have the same bits for any number of processes. Needs MPI: pip install "tinysegnet[mpi]".'
))]  # fmt: skip
PATIENCE = 5.0  # seconds that the other ranks have to fail, too, before the rank that failed ends them
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")  # set by mpiexec

_ranks: "list[Communicator]" = []  # of the command that is running


def ranks_of_command() -> "Communicator":
    """Return what connects the processes that run this command, of which there may be only one."""
    from ..runtime.distributed import Communicator

    return _ranks[-1] if _ranks else Communicator()


def check_alone() -> None:
    """Raise SettingError if mpiexec has started several processes."""
    if started := _started():
        raise SettingError(f"mpiexec has started {started} processes, which would all do the same work. Add "
                           "--distributed, or leave out mpiexec")  # fmt: skip


def _started() -> str | None:
    """Return how many processes mpiexec has started if it is more than one, as its environment variables say."""
    return next((size for name in SIZES if (size := os.environ.get(name, "1")) != "1"), None)


@contextmanager
def distributed_job() -> Iterator[None]:
    """Run the block on all ranks that mpiexec has started.

    Rank 0 alone prints. An error on all ranks is raised as usual. After an error on one rank, this rank prints it and
    ends all the others, which would wait for it.
    """
    from ..runtime.distributed.communicator import open_mpi

    ranks = open_mpi()
    if ranks.size == 1 and (started := _started()):
        raise SettingError(f"mpiexec has started {started} processes, but mpi4py finds only one. Use the mpiexec of "
                           "the MPI library that mpi4py uses")  # fmt: skip
    if runtime.JIT:  # otherwise, matrix products use threads, and their rounding depends on the number
        runtime.set_threads(min(ranks.threads(), runtime.threads()))  # NUMBA_NUM_THREADS may be less
    streams = _silence() if ranks.rank else []
    _ranks.append(ranks)
    try:
        with hidden(ranks.rank > 0):
            _announce(ranks)
            yield
        ranks.all_arrive(math.inf)
    except BaseException as error:
        if not ranks.all_arrive(PATIENCE):
            _end_all(ranks, error, streams)
        raise
    finally:
        _ranks.pop()
        ranks.finalize()


def _announce(ranks: "Communicator") -> None:
    """Print the process of each rank, because mpiexec reports only the process if one dies."""
    places = ranks.allgather(f"process {os.getpid()} on {platform.node()}, threads: {runtime.threads()}")
    for rank, place in enumerate(places if ranks.size > 1 else ()):
        print(f"rank {rank}: {place}", file=sys.stderr)


def _silence() -> list[int]:
    """Redirect stdout and stderr to the null device, and return copies of both."""
    copies, null = [os.dup(number) for number in (1, 2)], os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(null, number)
    return copies


def _end_all(ranks: "MPICommunicator", error: BaseException, streams: list[int]) -> None:
    from .cli_errors import explain
    from .interrupts import EXIT_CODE, is_interrupt

    for number, copy in zip((1, 2), streams, strict=False):
        os.dup2(copy, number)
    text, code = ("interrupted", EXIT_CODE) if is_interrupt(error) else explain(error)
    print(f"error: rank {ranks.rank} of {ranks.size}:", " ".join(text.split()), file=sys.stderr, flush=True)
    ranks.abort(code)
