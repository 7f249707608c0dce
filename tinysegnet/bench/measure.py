"""A work is checked, then timed: ours and PyTorch's in turns, so that a busy minute of the machine hits both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

from ..errors import MeasurementError
from . import costs
from .validate import Check, validate
from .workers import Side
from .workloads import Work

__all__ = ["Bench", "Plan", "Result"]

SAMPLE = 0.15  # seconds, at least one run
TRIALS = 2  # samples of each of PyTorch's variants; the shortest tells which to take
CHECKED_FLOPS = 60e9  # up to here NumPy in float64 checks in seconds


@dataclass(frozen=True)
class Plan:
    """How to measure. against: "torch", or None for ours alone. threads: of each side. rounds: samples of each side."""

    against: str | None = None
    threads: int = 1
    rounds: int = 5
    compiled: bool = False


@dataclass(frozen=True)
class Result:
    """What was found about a work. Seconds are medians; None is "not measured". wrong: why it was not timed.

    variant: the fastest of PyTorch's. Errors: see `validate`. Bytes: how much the peak memory of a fresh process rose
    from its imports to the end of two steps.
    """

    work: Work
    seconds: float | None = None
    peer_seconds: float | None = None
    variant: str = ""
    error: float | None = None
    peer_error: float | None = None
    bytes: int | None = None
    peer_bytes: int | None = None
    wrong: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def ratio(self) -> float | None:
        """PyTorch's time / ours: above 1, ours is faster."""
        return self.peer_seconds / self.seconds if self.seconds and self.peer_seconds else None

    @property
    def verdict(self) -> str:
        """Of the ratio, against what is asked for and hoped for."""
        if self.wrong:
            return "WRONG"
        if self.ratio is None or self.work.least is None or self.work.aim is None:
            return ""
        return "BELOW" if self.ratio < self.work.least else "below aim" if self.ratio < self.work.aim else "ok"

    @property
    def rate(self) -> float | None:
        """Operations of the definition a second."""
        return costs.flops(self.work) / self.seconds if self.seconds else None

    def share(self, product: float, copy: float) -> float | None:
        """How much of what the machine can do: of its products, or of its memory for works that have none."""
        if not self.seconds:
            return None
        memory = costs.bound_by_memory(self.work)
        return (
            costs.traffic(self.work) / self.seconds / copy
            if memory
            else costs.flops(self.work) / self.seconds / product
        )

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        derived = {"ratio": self.ratio, "verdict": self.verdict, "flops": costs.flops(self.work),
                   "traffic_bytes": costs.traffic(self.work)}  # fmt: skip
        fields = {name: value for name, value in vars(self).items() if name != "work"}
        return {**asdict(self.work), **fields, **derived}


class Bench:
    """The processes that measure. `with Bench(plan) as bench: bench.measure(work)`.

    Raises MeasurementError if one of them fails.
    """

    def __init__(self, plan: Plan, start: Callable[[str, int], Side] = Side) -> None:
        self.plan, self.start, self.stack = plan, start, ExitStack()

    def __enter__(self) -> Bench:
        with self.stack:  # if the second does not start, the first one ends
            self.ours = self._side("tinysegnet")
            self.theirs = self._side(self.plan.against) if self.plan.against else None
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.close()

    def _side(self, name: str) -> Side:
        return self.stack.enter_context(self.start(name, self.plan.threads))

    def peaks(self) -> tuple[float, float]:
        """Flops and copied bytes a second: `machine.peaks`."""
        return self.ours.ask("peaks")

    def measure(self, work: Work) -> Result:
        """Check, then time, then weigh."""
        result = self._checked(work)
        if result.wrong:
            return result
        if self.theirs:
            variant, notes = self._best_variant(work)
            result = replace(result, variant=variant, notes=result.notes + notes)
        return self._weighed(self._timed(result))

    def _checked(self, work: Work) -> Result:
        reference = self._reference(work)
        if reference is None:
            return Result(work, notes=("not checked: too large for NumPy; --against torch checks it",))
        ours = validate(self.ours.ask("outputs", work, "float32"), reference)
        theirs = validate(self.theirs.ask("outputs", work, "float32"), reference) if self.theirs else Check(0.0)
        notes = (f"PyTorch: {theirs.wrong}",) if theirs.wrong else ()
        return Result(work, error=ours.error, peer_error=theirs.error if self.theirs else None,
                      wrong=ours.wrong, notes=notes)  # fmt: skip

    def _reference(self, work: Work) -> dict[str, np.ndarray] | None:
        """In float64: PyTorch's results, or those of our NumPy pairs if that does not take long."""
        if self.theirs:
            return self.theirs.ask("outputs", work, "float64")
        if costs.flops(work) > CHECKED_FLOPS:
            return None
        with self.start("numpy", self.plan.threads) as side:
            return side.ask("outputs", work, "float64")

    def _best_variant(self, work: Work) -> tuple[str, tuple[str, ...]]:
        assert self.theirs
        times, notes = {}, []
        for variant in self.theirs.ask("variants", self.plan.compiled):
            try:
                self.theirs.ask("prepare", work, variant)
                times[variant] = min(self.theirs.ask("seconds", SAMPLE) for _ in range(TRIALS))
            except MeasurementError as error:
                if not self.theirs.process.is_alive() or " " not in variant:  # only compiling may fail
                    raise
                notes.append(f"{variant}: {error}")
        return min(times, key=times.__getitem__), tuple(notes)

    def _timed(self, result: Result) -> Result:
        sides = [self.ours, self.theirs] if self.theirs else [self.ours]
        for side, variant in zip(sides, ("", result.variant), strict=False):
            side.ask("prepare", result.work, variant)
        samples = [[side.ask("seconds", SAMPLE) for side in sides] for _ in range(self.plan.rounds)]
        seconds, *others = map(median, zip(*samples, strict=True))
        return replace(result, seconds=seconds, peer_seconds=others[0] if others else None)

    def _weighed(self, result: Result) -> Result:
        """Peak memory, of networks only: a single op's is its arrays."""
        if not result.work.model:
            return result
        theirs = self._memory(self.theirs.name, result) if self.theirs else None
        return replace(result, bytes=self._memory("tinysegnet", result), peer_bytes=theirs)

    def _memory(self, name: str, result: Result) -> int | None:
        with self.start(name, self.plan.threads) as side:
            before = side.ask("peak_memory")
            side.ask("prepare", result.work, result.variant if name == "torch" else "")
            after = side.ask("peak_memory")
            return None if before is None else after - before
