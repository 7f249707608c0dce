"""Segmenting picture files in several processes, with the same results as in one.

Each process opens the checkpoint once and runs `segment_files` on the tasks that it receives. Tasks and outcomes are
small, because each process reads the pictures and writes the results itself.
"""

import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, resource_tracker
from typing import Any

from .. import runtime
from ..errors import DataError, StateError
from .segment_files import SLOTS, Outcome, PictureTask, Segmenter, SegmentSettings, segment_files

PATIENCE = 5.0  # seconds that a process has for completing the results that it is writing


def segment_in_processes(
    tasks: Sequence[PictureTask], settings: SegmentSettings, jobs: int, finished: Callable[[Outcome], None]
) -> Generator[Outcome, None, None]:
    """Do tasks with the numbers 0, 1, ... in `jobs` processes, as `segment_files` does in one.

    If a process dies, each of its pictures is segmented again, alone in a new process. If a process dies with one
    picture, the outcome of this picture is a DataError. If the iteration is ended early, the processes end.

    Raises StateError if a process could not start.
    """
    queue, known, jobs = deque(tasks), dict[int, Outcome](), min(jobs, len(tasks))
    processes: list[_Process] = []
    try:
        processes += (_Process(settings, jobs, announce=k == 0) for k in range(jobs))
        for process in processes:
            process.check_start()
        for number in range(len(tasks)):
            while number not in known:
                for _ in range(SLOTS):  # in turns, because all processes should have work
                    for process in processes:
                        process.assign(queue, number + 2 * SLOTS * jobs)  # limits the outcomes that wait for a slow one
                for ready in connection.wait([process.connection for process in processes]):
                    k = [process.connection for process in processes].index(ready)  # type: ignore[arg-type]
                    outcome = processes[k].receive()
                    if outcome:
                        known[outcome.task.number] = outcome
                        finished(outcome)
                    if processes[k].has_ended:
                        processes[k] = _Process(settings, jobs, processes[k].tasks + processes[k].suspects)
                        processes[k].check_start()
            yield known.pop(number)
    except BaseException:  # also GeneratorExit
        for process in processes:
            process.process.terminate()
        raise
    finally:
        for process in processes:
            with suppress(OSError):
                process.connection.send(None)  # there are no more tasks
        for process in processes:
            with suppress(Exception):  # until it has ended; also, an interrupt may have cut a message
                while process.connection.poll(PATIENCE):
                    finished(process.connection.recv())
            process.process.join(PATIENCE)
            process.process.kill()


class _Process:
    """A process that segments pictures. `tasks` are those that it has, and each of the `suspects` must be alone."""

    def __init__(
        self, settings: SegmentSettings, jobs: int, suspects: Sequence[PictureTask] = (), *, announce: bool = False
    ) -> None:
        context = get_context("spawn")  # because numba's threads do not survive a fork
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, settings, jobs, announce), daemon=True)
        self.tasks, self.suspects = list[PictureTask](), list(suspects)
        self.most, self.has_ended = 1, False
        with _blocked_interrupts():  # which the process inherits, because this process ends it
            self.process.start()
        other.close()

    def check_start(self) -> None:
        """Wait until the process is ready. Raises StateError if it ends before."""
        try:
            self.connection.recv()
        except (EOFError, OSError):
            how = f"A process that was to segment pictures {self.end()}. Leave out --jobs, or give fewer"
            raise StateError(how) from None

    def assign(self, queue: deque[PictureTask], limit: int) -> None:
        """Send the next task, if its number is below the limit and the process does not have enough."""
        if not self.tasks:
            self.most = 1 if self.suspects else SLOTS
        if len(self.tasks) < self.most and (self.suspects or (queue and queue[0].number < limit)):
            self.tasks.append(self.suspects.pop(0) if self.suspects else queue.popleft())
            with suppress(OSError):  # if the process has ended, `receive` finds out
                self.connection.send(self.tasks[-1])

    def receive(self) -> Outcome | None:
        """Receive an outcome. If the process has ended, return the error of the only picture that it had."""
        try:
            outcome: Outcome = self.connection.recv()
        except (EOFError, OSError):
            self.has_ended, how = True, self.end()
            if len(self.tasks) != 1:
                return None
            task = self.tasks.pop()
            wrong = f"the process that segmented it {how}, perhaps because there was not enough memory"
            return Outcome(task, error=DataError(f"{task.path}: {wrong}. Reduce the picture, or give fewer --jobs"))
        self.tasks.remove(outcome.task)
        return outcome

    def end(self) -> str:
        """Wait for the end of a process that has closed its connection, and return how it ended."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block. Windows does not allow this."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # Process.start would start it, and it would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Any, settings: SegmentSettings, jobs: int, announce: bool) -> None:
    """Segment the pictures of the tasks that come through the pipe, until None comes, and send the outcomes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its KeyboardInterrupt ends `segment_files`
    sys.unraisablehook = _end_if_interrupted
    lock = threading.Lock()

    def send(outcome: Outcome) -> None:
        if outcome.error:
            outcome.error.add_note("".join(traceback.format_exception(outcome.error)))  # for --debug
        with lock:
            pipe.send(outcome)

    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):  # the last two mean that the other process has ended
        if runtime.JIT:  # the other backend uses BLAS, where the number of threads changes the rounding
            runtime.set_threads(max(1, runtime.threads() // jobs))
        if announce:  # one process says for all that kernels are compiled
            runtime.announce_compiling()
        segmenter = Segmenter(settings)
        pipe.send(None)  # ready
        deque(segment_files(iter(pipe.recv, None), segmenter, send), maxlen=0)


def _end_if_interrupted(unraisable: Any) -> None:
    """End the process if its interrupt was lost in a place that cannot raise, such as a callback while compiling."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        os._exit(1)
    sys.__unraisablehook__(unraisable)
