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
NARROWEST = 5  # columns of the bar itself

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
    """Print a line, on stderr by default, so that a progress line stays below it."""
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(text, file=file or sys.stderr)
    else:
        print(text, file=file or sys.stderr, flush=True)


def track(what: str, total: int | None = None) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Return a function that wraps a loop, and shows its progress if the loop takes longer than a second.

    Args:
        what: a few words, such as "checking pictures".
        total: the number of passes; needed for iterators, which have no length.
    """
    form = "{desc} {n_fmt}/{total_fmt} |{bar}| {remaining} left"
    return lambda loop: _bar(_screen(), iterable=loop, desc=what, total=total, bar_format=form, delay=1, leave=False)


def show_compiling() -> None:
    """Show on the line of a training run that a kernel is being compiled. The next step ends this phase."""
    for progress in _training[-1:]:
        progress.phase = "compiling"
        progress.draw()


class TrainingProgress:
    """The progress of one training run.

    The time left is that of all phases: the passes that are left, times the median duration of a pass. The first pass
    of each phase, which may compile kernels, does not count. "over" means that a phase was not measured yet.

    Args:
        epochs: number of epochs of the whole run.
        steps: number of training steps of the whole run.
        left: number of passes that are left in each phase, such as {"training": 900, "validating": 24, "saving": 5}.
    """

    def __init__(self, epochs: int, steps: int, left: Mapping[str, int]) -> None:
        self.epochs, self.steps, self.left = epochs, steps, dict(left)
        self.epoch, self.phase, self.kind = 0, "", ""  # kind is the phase, also while kernels are compiled
        self.passes, self.total = 0, 0  # in the present phase
        self.facts: dict[str, float] = {}  # the most important one first, because a narrow line omits the last ones
        self.summary = ""  # the line of the last epoch
        self._durations: dict[str, deque[float]] = {}
        self._began = self._drawn = 0.0
        self._screen = _screen()
        self._bar = _bar(self._screen, total=steps, desc="starting", bar_format="{desc} |{bar}| {unit}", unit=" ",
                         leave=False)

    def __enter__(self) -> "TrainingProgress":
        _training.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _training.remove(self)
        self._bar.close()
        if isinstance(self._screen, _CellOutput):
            self._screen.write(self.summary)

    @property
    def visible(self) -> bool:
        """Whether the line is updated in place."""
        return self._screen is not None

    def begin(self, phase: str, epoch: int, total: int = 0) -> None:
        """Begin a phase of an epoch, with this number of passes."""
        self.phase = self.kind = phase
        self.epoch, self.passes, self.total, self._began = epoch, 0, total, time.perf_counter()
        self.draw()

    def advance(self, **facts: float) -> None:
        """Count a pass of the present phase, and show facts such as loss=0.5."""
        now = time.perf_counter()
        durations = self._durations.setdefault(self.kind, deque(maxlen=99))
        if self.passes or len(durations) or self.kind == "saving":
            durations.append(now - self._began)
        self.left[self.kind] = max(0, self.left.get(self.kind, 0) - 1)
        self.phase, self.passes, self._began = self.kind, self.passes + 1, now
        self.facts |= facts
        if now - self._drawn >= REDRAW:
            self.draw()

    def end_epoch(self, row: Mapping[str, float]) -> None:
        """Show a row of metrics.csv: in a terminal if the epoch was validated, and always in a file or a pipe."""
        scores = {name.removeprefix("val_"): row[name] for name in ("val_mIoU", "val_G", "val_C")}
        validated = row["val_mIoU"] == row["val_mIoU"]  # without validation, NaN
        shown = {"loss": row["train_loss"], **(scores if validated else {})}
        self.summary = f"epoch {self.epoch}/{self.epochs}: {_listed(shown)}"
        if validated:
            self.facts["mIoU"] = row["val_mIoU"]
        if self._screen is sys.stderr and validated:
            say(self.summary)
        elif self._screen is None and _shown.get():
            say(", ".join(filter(None, [self.summary, self.time_left()])))

    def time_left(self) -> str:
        """Return the time left for all phases, such as "03:25 left", or "" before two steps are measured."""
        from tqdm import tqdm

        known = {kind: median(durations) for kind, durations in self._durations.items() if durations}
        unknown = {kind for kind, count in self.left.items() if count and kind not in known} - {"saving"}
        if "training" in unknown:
            return ""
        seconds = sum(count * known.get(kind, 0) for kind, count in self.left.items())
        return f"{'over ' if unknown else ''}{tqdm.format_interval(seconds)} left"

    def draw(self) -> None:
        """Update the line."""
        if not self.visible:
            return
        bar, self._drawn = self._bar, time.perf_counter()
        counted = f" {self.passes}/{self.total}" if self.total and self.phase != "compiling" else ""
        bar.set_description_str(f"epoch {self.epoch}/{self.epochs}, {self.phase}{counted}", refresh=False)
        room = (bar.dynamic_ncols(self._screen)[0] if bar.dynamic_ncols else bar.ncols) or 80
        room -= len(bar.desc) + NARROWEST + len(" || ")
        parts = [part for part in (self.time_left(), *map(_fact, self.facts.items())) if part]
        while len(parts) > 1 and len(", ".join(parts)) > room:
            del parts[-1]
        bar.unit, bar.n = ", ".join(parts), self.steps - self.left.get("training", 0)
        bar.refresh()


def _fact(fact: tuple[str, float]) -> str:
    return f"{fact[0]} {fact[1]:.3f}"


def _listed(facts: Mapping[str, float]) -> str:
    return ", ".join(map(_fact, facts.items()))


def _screen() -> Any:
    """Return where a line can be updated in place: a terminal, or a notebook's cell. Return None if it cannot."""
    ipython = sys.modules.get("IPython")
    if not _shown.get():
        return None
    if ipython and hasattr(ipython.get_ipython(), "kernel"):
        return _CellOutput()
    return sys.stderr if sys.stderr.isatty() else None


def _bar(screen: Any, **settings: Any) -> Any:
    from tqdm import tqdm

    width = {"ncols": 100} if isinstance(screen, _CellOutput) else {"dynamic_ncols": True}
    return tqdm(file=screen, disable=screen is None, **width, **settings)


class _CellOutput:
    """A file that shows the last line in the output of a notebook's cell, as plain text in any notebook program."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._handle: Any = None

    def write(self, text: str) -> None:
        from IPython.display import display

        shown = {"text/plain": text.strip()}
        if self._handle:
            self._handle.update(shown, raw=True)
        elif text.strip():
            self._handle = display(shown, raw=True, display_id=True)

    def flush(self) -> None:
        pass
