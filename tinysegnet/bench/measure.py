"""Check a workload's results, then time it: tinysegnet and PyTorch take turns, so that a busy minute hits both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from ..errors import MeasurementError
from . import costs
from .validate import Validation, validate
from .workers import Worker
from .workloads import Workload

__all__ = ["Bench", "BenchSettings", "Result"]

SAMPLE = 0.15  # seconds, at least one run
TRIALS = 2  # samples per variant of PyTorch; the shortest one decides which variant is measured
CHECKED_FLOPS = 60e9  # NumPy in float64 checks up to this size within seconds


@dataclass(frozen=True)
class BenchSettings:
    """How to measure.

    Args:
        against: "torch", or None to measure tinysegnet alone.
        threads: per worker.
        rounds: samples per worker.
        compiled: also try torch.compile.
    """

    against: str | None = None
    threads: int = 1
    rounds: int = 5
    compiled: bool = False


@dataclass(frozen=True)
class Result:
    """What was measured of a workload; None means "not measured".

    Args:
        seconds, peer_seconds: medians of ours and of PyTorch's.
        variant: the fastest of PyTorch's.
        error, peer_error: see `validate`.
        bytes, peer_bytes: how much the peak memory of a fresh process rose from its imports to the end of two steps.
        wrong: why it was not timed.
    """

    workload: Workload
    seconds: float | None = None
    peer_seconds: float | None = None
    variant: str = ""
    error: float | None = None
    peer_error: float | None = None
    bytes: int | None = None
    peer_bytes: int | None = None
    wrong: str = ""
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """PyTorch's time / ours: above 1, ours is faster."""
        return self.peer_seconds / self.seconds if self.seconds and self.peer_seconds else None

    @property
    def verdict(self) -> str:
        """The ratio compared with the workload's `least` and `aim`."""
        if self.wrong:
            return "WRONG"
        if self.ratio is None or self.workload.least is None or self.workload.aim is None:
            return ""
        return "BELOW" if self.ratio < self.workload.least else "below aim" if self.ratio < self.workload.aim else "ok"

    def share(self, product: float, copy: float) -> float | None:
        """The share of what the machine can do: of its products, or of its memory for workloads without products."""
        if not self.seconds:
            return None
        if costs.bound_by_memory(self.workload):
            return costs.traffic(self.workload) / self.seconds / copy
        return costs.flops(self.workload) / self.seconds / product

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        derived = {"ratio": self.ratio, "verdict": self.verdict, "flops": costs.flops(self.workload),
                   "traffic_bytes": costs.traffic(self.workload)}  # fmt: skip
        fields = {name: value for name, value in vars(self).items() if name != "workload"}
        return {**asdict(self.workload), **fields, **derived}


class Bench:
    """The processes that measure: `with Bench(settings) as bench: bench.measure(workload)`.

    Raises:
        MeasurementError: if one of them fails.
    """

    def __init__(self, settings: BenchSettings, start: Callable[[str, int], Worker] = Worker) -> None:
        self.settings, self.start, self.stack = settings, start, ExitStack()

    def __enter__(self) -> Bench:
        with self.stack:  # if the second worker does not start, the first one ends
            self.ours = self._start("tinysegnet")
            self.peer = self._start(self.settings.against) if self.settings.against else None
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.close()

    def _start(self, name: str) -> Worker:
        return self.stack.enter_context(self.start(name, self.settings.threads))

    def peaks(self) -> tuple[float, float]:
        """Flops and copied bytes per second of this machine: see `machine.peaks`."""
        return self.ours.ask("peaks")

    def measure(self, workload: Workload) -> Result:
        """Check the results, then measure time and memory."""
        result = self._checked(workload)
        if result.wrong:
            return result
        if self.peer:
            variant, notes = self._best_variant(self.peer, workload)
            result = replace(result, variant=variant, notes=result.notes + notes)
        return self._with_memory(self._timed(result))

    def _checked(self, workload: Workload) -> Result:
        reference = self._reference(workload)
        if reference is None:
            return Result(workload, notes=("not checked: too large for NumPy; --against torch checks it",))
        ours = validate(self.ours.ask("outputs", workload, "float32"), reference)
        if not self.peer:
            return Result(workload, error=ours.error, wrong=ours.wrong)
        peer: Validation = validate(self.peer.ask("outputs", workload, "float32"), reference)
        notes = (f"PyTorch: {peer.wrong}",) if peer.wrong else ()
        return Result(workload, error=ours.error, peer_error=peer.error, wrong=ours.wrong, notes=notes)

    def _reference(self, workload: Workload) -> dict[str, np.ndarray] | None:
        """Results in float64: PyTorch's, or those of our NumPy pairs if they do not take long."""
        if self.peer:
            return self.peer.ask("outputs", workload, "float64")
        if costs.flops(workload) > CHECKED_FLOPS:
            return None
        with self.start("numpy", self.settings.threads) as worker:
            return worker.ask("outputs", workload, "float64")

    def _best_variant(self, peer: Worker, workload: Workload) -> tuple[str, tuple[str, ...]]:
        times, notes = {}, []
        for variant in peer.ask("variants", self.settings.compiled):
            try:
                peer.ask("prepare", workload, variant)
                times[variant] = min(peer.ask("seconds", SAMPLE) for _ in range(TRIALS))
            except MeasurementError as error:
                if not peer.process.is_alive() or " " not in variant:  # only compiling may fail
                    raise
                notes.append(f"{variant}: {error}")
        return min(times, key=times.__getitem__), tuple(notes)

    def _timed(self, result: Result) -> Result:
        workers = [self.ours, self.peer] if self.peer else [self.ours]
        for worker, variant in zip(workers, ("", result.variant), strict=False):
            worker.ask("prepare", result.workload, variant)
        samples = [[worker.ask("seconds", SAMPLE) for worker in workers] for _ in range(self.settings.rounds)]
        seconds, *others = map(median, zip(*samples, strict=True))
        return replace(result, seconds=seconds, peer_seconds=others[0] if others else None)

    def _with_memory(self, result: Result) -> Result:
        """Adds peak memory, for networks only: that of a single op is its arrays."""
        if not result.workload.model:
            return result
        peer = self._peak_memory(self.peer.name, result) if self.peer else None
        return replace(result, bytes=self._peak_memory("tinysegnet", result), peer_bytes=peer)

    def _peak_memory(self, name: str, result: Result) -> int | None:
        with self.start(name, self.settings.threads) as worker:
            before = worker.ask("peak_memory")
            worker.ask("prepare", result.workload, result.variant if name == "torch" else "")
            after = worker.ask("peak_memory")
            return None if before is None else after - before
