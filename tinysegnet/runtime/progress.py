"""Progress on one line: what a command does, how far it is, and the time left.

In a terminal and in the output of a notebook's cell, the line is updated in place. If stderr is a file or a pipe,
training writes one line per epoch, and other work writes nothing.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import median
from typing import Any

REDRAW = 0.1  # seconds between two updates of the line
BAR = 6  # columns of the shortest bar, with its edges; twice as many beside two facts

_shown = ContextVar("shown", default=True)
_training: list["TrainingProgress"] = []  # the runs that are going on


@contextmanager
def hidden(hide: bool) -> Iterator[None]:
    """Show no progress while the block runs if `hide` is true. Other lines, such as warnings, are still shown."""
    token = _shown.set(_shown.get() and not hide)
    try:
        yield
    finally:
        _shown.reset(token)


def say(text: str, file: Any = None) -> None:
    """Print a line, on stderr by default, above the progress line if there is one."""
    write = sys.modules["tqdm"].tqdm.write if "tqdm" in sys.modules else print
    if (file := file or sys.stderr) and not getattr(file, "closed", False):  # a program without a console has none
        write(text, file=file)


def track(what: str, total: int | None = None) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Return a function that wraps a loop, and shows its progress if the loop takes longer than a second.

    Args:
        what: a few words, such as "checking pictures".
        total: the number of passes; needed for iterators, which have no length. If it is unknown, passes are counted.
    """

    def tracked(loop: Iterable[Any]) -> Iterable[Any]:
        is_known = total is not None or hasattr(loop, "__len__")
        form = "{desc} {n_fmt}/{total_fmt} |{bar}| {remaining} left" if is_known else "{desc} {n_fmt}"
        return _bar(_screen(), iterable=loop, desc=what, total=total, bar_format=form, delay=1)

    return tracked


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Show what happens while the block runs, which may also be a function, unless the line of a training is shown."""
    with _bar(None if _training else _screen(), desc=what, bar_format="{desc} ..."):
        yield


def show_compiling() -> None:
    """Show on the line of a training run that a kernel is being compiled. The next step ends this phase."""
    for progress in _training[-1:]:
        progress.shown_phase = "compiling"
        progress.draw()


class TrainingProgress:
    """The progress of one training run.

    The time left is the sum over all phases of the passes that are left, times the median duration of a pass. The first
    pass of a phase does not count, because kernels may be compiled in it. ">" means that a phase is not measured yet.

    Args:
        epochs: number of epochs of the whole run.
        steps: number of training steps of the whole run.
        left: number of passes that are left in each phase, such as {"training": 900, "validating": 24, "saving": 5}.
    """

    def __init__(self, epochs: int, steps: int, left: Mapping[str, int]) -> None:
        self.epochs, self.steps, self.left = epochs, steps, dict(left)
        self.facts: dict[str, float] = {}  # such as the loss; a narrow line omits the last ones
        self.summary = ""  # the line of the last epoch
        self._durations: dict[str, deque[float]] = {}  # by phase
        self._drawn, self._screen = 0.0, _screen()
        self._bar = _bar(self._screen, total=steps, desc="starting", unit=" ", bar_format="{desc} |{bar}| {unit}")

    def __enter__(self) -> "TrainingProgress":
        _training.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _training.remove(self)
        self._bar.close()
        if isinstance(self._screen, _CellOutput):
            self._screen.write(self.summary)

    def begin(self, phase: str, epoch: int, total: int = 0) -> None:
        """Begin a phase of an epoch, with this number of passes."""
        self.phase = self.shown_phase = phase
        self.epoch, self.passes, self.total, self._began = epoch, 0, total, time.perf_counter()
        self.draw()

    def advance(self) -> None:
        """Count a pass of the present phase."""
        now = time.perf_counter()
        if self.phase in self._durations or self.phase == "saving":
            self._durations.setdefault(self.phase, deque(maxlen=99)).append(now - self._began)
        else:
            self._durations[self.phase] = deque(maxlen=99)
        self.left[self.phase] = max(0, self.left.get(self.phase, 0) - 1)
        self.shown_phase, self.passes, self._began = self.phase, self.passes + 1, now
        if now - self._drawn >= REDRAW:
            self.draw()

    def end_epoch(self, row: Mapping[str, float]) -> None:
        """Show a row of metrics.csv: in a terminal if the epoch was validated, and always in a file or a pipe."""
        facts = {name: row[f"val_{name}"] for name in ("mIoU", "G", "C") if row[f"val_{name}"] == row[f"val_{name}"]}
        self.summary = f"epoch {self.epoch}/{self.epochs}: {_written({'loss': row['train_loss'], **facts})}"
        if self._screen is None and _shown.get():
            say(", ".join(filter(None, [self.summary, self.time_left()])))
        elif facts:
            self.facts["mIoU"] = facts["mIoU"]
            if self._screen is sys.stderr:
                say(self.summary)

    def time_left(self) -> str:
        """Return the time left for all phases, such as "03:25 left", or "" before two steps are measured."""
        from tqdm import tqdm

        known = {phase: median(durations) for phase, durations in self._durations.items() if durations}
        unknown = {phase for phase, count in self.left.items() if count and phase not in known} - {"saving"}
        if "training" in unknown:
            return ""
        seconds = sum(count * known.get(phase, 0) for phase, count in self.left.items())
        return f"{'> ' if unknown else ''}{tqdm.format_interval(seconds)} left"

    def draw(self) -> None:
        """Update the line in place."""
        bar, self._drawn = self._bar, time.perf_counter()
        if bar.disable:
            return
        counted = f" {self.passes}/{self.total}" if self.total and self.shown_phase == self.phase else ""
        bar.desc = f"epoch {self.epoch}/{self.epochs}, {self.shown_phase}{counted}"
        columns = bar.format_dict["ncols"] or 80
        facts = dict(self.facts)
        while facts and len(f"{self.time_left()}, {_written(facts)}") > columns - len(bar.desc) - BAR * len(facts):
            facts.popitem()
        bar.unit = ", ".join(filter(None, [self.time_left(), _written(facts)]))
        bar.n = self.steps - self.left["training"]
        bar.refresh()


def _written(facts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in facts.items())


def _screen() -> Any:
    """Return the file whose last line can be updated in place: a terminal, or a notebook's cell, or None."""
    ipython = sys.modules.get("IPython")
    if _shown.get() and ipython and hasattr(ipython.get_ipython(), "kernel"):
        return _CellOutput()
    has_stderr = hasattr(sys.stderr, "isatty") and not getattr(sys.stderr, "closed", False)
    return sys.stderr if _shown.get() and has_stderr and sys.stderr.isatty() else None


def _bar(screen: Any, **settings: Any) -> Any:
    from tqdm import tqdm

    settings |= {"ncols": 100} if isinstance(screen, _CellOutput) else {"dynamic_ncols": True}
    return tqdm(file=screen, disable=screen is None, leave=False, **settings)


class _CellOutput:
    """A file that shows its last line in the output of a notebook's cell, as plain text in any notebook program."""

    encoding = "utf-8"  # tqdm asks for it
    handle: Any = None

    def write(self, text: str) -> None:
        from IPython.display import display

        shown = {"text/plain": text.strip()}
        if self.handle:
            self.handle.update(shown, raw=True)
        elif text.strip():
            self.handle = display(shown, raw=True, display_id=True)

    def flush(self) -> None:
        pass
