"""Measurements: only workloads with correct results are timed. Both libraries take turns, so load affects both."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from ..errors import MeasurementError
from . import costs
from .workers import Worker
from .workloads import Workload

#: The largest accepted |found - reference| / |reference| (2-norms of whole arrays) in float32. In single ops, rounding
#: errors grow with the length of the sums, and gradients have the longest sums. In networks, rounding can decide which
#: of two almost equal pixels in a pooling window is larger, so that unpooling moves a value. If one value in 10,000
#: moves, the logits have an error of 1e-2 (PyTorch: up to 7e-3). Such errors cancel in the loss, but not in gradients.
BOUNDS = {"out": 1e-4, "logits": 5e-2, "loss": 1e-3, "next loss": 1e-2}
GRADIENT = 1e-3  #: The bound for gradients.


class Validation(NamedTuple):
    """The largest normwise error, and a description of the results that exceed their bounds ("" if none does)."""

    error: float
    wrong: str = ""


def validate(found: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Validation:
    """Compare each result with the reference of the same name."""
    if missing := set(reference) ^ set(found):
        return Validation(float("nan"), f"only one of the two results has {', '.join(sorted(missing))}")
    errors = {name: distance(found[name], reference[name]) for name in reference}
    wrong = [f"{name} is off by {error:.1e}, more than {BOUNDS.get(name, GRADIENT):.0e}"
             for name, error in errors.items() if not error <= BOUNDS.get(name, GRADIENT)]  # fmt: skip
    return Validation(float(np.max(list(errors.values()))), "; ".join(wrong))


def distance(found: np.ndarray, reference: np.ndarray) -> float:
    """Return |found - reference| / |reference|: infinite if the shapes differ, NaN if there is a NaN."""
    if found.shape != reference.shape:
        return float("inf")
    size = float(np.linalg.norm(reference.ravel()))
    return float(np.linalg.norm((found - reference).ravel())) / (size or 1.0)


SAMPLE = 0.15  #: The minimum duration of a sample in seconds. A sample has at least one run.
TRIALS = 2  #: The number of trial samples per variant of PyTorch. Only the fastest variant is measured.
CHECKED_FLOPS = 60e9  #: Operations in the largest workload that NumPy checks, in float64, within a few seconds.


@dataclass(frozen=True)
class BenchSettings:
    """The settings of a measurement."""

    against: str | None = None  # "torch", or None to measure tinysegnet alone
    threads: int = 1  # per worker
    rounds: int = 5  # samples per worker
    compiled: bool = False  # also try torch.compile


@dataclass(frozen=True)
class Result:
    """The measurements of a workload, ours and PyTorch's; None means "not measured"."""

    workload: Workload
    seconds: float | None = None  # medians
    peer_seconds: float | None = None
    variant: str = ""  # the fastest variant of PyTorch
    error: float | None = None  # see `validate`
    peer_error: float | None = None
    bytes: int | None = None  # increase in a new process's peak memory from its imports to the end of two runs
    peer_bytes: int | None = None
    wrong: str = ""  # why the workload was not timed
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """PyTorch's time divided by ours. If the ratio is above 1, tinysegnet is faster."""
        return self.peer_seconds / self.seconds if self.seconds and self.peer_seconds else None

    @property
    def verdict(self) -> str:
        """How the ratio compares with the workload's `least` and `aim`."""
        if self.wrong:
            return "WRONG"
        if self.ratio is None or self.workload.least is None or self.workload.aim is None:
            return ""
        return "BELOW" if self.ratio < self.workload.least else "below aim" if self.ratio < self.workload.aim else "ok"

    @property
    def rate(self) -> float | None:
        """Operations per second, or bytes per second for workloads without matrix products."""
        work = costs.traffic if costs.bound_by_memory(self.workload) else costs.flops
        return work(self.workload) / self.seconds if self.seconds else None

    def share(self, product: float, copy: float) -> float | None:
        """Return the rate as a share of the machine's peak, given in operations or in copied bytes per second."""
        return self.rate and self.rate / (copy if costs.bound_by_memory(self.workload) else product)

    def as_dict(self) -> dict[str, Any]:
        """Return all measurements and costs, for --json."""
        fields = asdict(self)
        return {**fields.pop("workload"), **fields, "ratio": self.ratio, "verdict": self.verdict,
                "flops": costs.flops(self.workload), "traffic_bytes": costs.traffic(self.workload)}  # fmt: skip


class Bench(ExitStack):
    """The measuring processes: `with Bench(settings) as bench: bench.measure(workload)`.

    Raises:
        MeasurementError: if a process fails.
    """

    def __init__(self, settings: BenchSettings, start: Callable[[str, int], Worker] = Worker) -> None:
        super().__init__()
        self.settings, self.start = settings, start
        self.ours = self.enter_context(self._worker("tinysegnet"))
        self.peer = self.enter_context(self._worker(settings.against)) if settings.against else None

    def _worker(self, name: str) -> Worker:
        return self.start(name, self.settings.threads)

    def peaks(self) -> tuple[float, float]:
        """Return operations and copied bytes per second of this machine; see `ours.peaks`."""
        return self.ours.ask("peaks")

    def measure(self, workload: Workload) -> Result:
        """Check the results, then measure time and, for networks, memory."""
        result = self._checked(workload)
        if result.wrong:
            return result
        if self.peer:
            result = self._with_best_variant(self.peer, result)
        result = self._timed(result)
        if not workload.model:
            return result
        peer = self._peak_memory(self.peer.name, result) if self.peer else None
        return replace(result, bytes=self._peak_memory("tinysegnet", result), peer_bytes=peer)

    def _checked(self, workload: Workload) -> Result:
        reference = self._reference(workload)
        if reference is None:
            return Result(workload, notes=("not checked, since NumPy would take too long; --against torch checks it",))
        ours = validate(self.ours.ask("outputs", workload, "float32"), reference)
        if not self.peer:
            return Result(workload, error=ours.error, wrong=ours.wrong)
        peer = validate(self.peer.ask("outputs", workload, "float32"), reference)
        notes = (f"PyTorch: {peer.wrong}",) if peer.wrong else ()
        return Result(workload, error=ours.error, peer_error=peer.error, wrong=ours.wrong, notes=notes)

    def _reference(self, workload: Workload) -> dict[str, np.ndarray] | None:
        """Return results in float64: PyTorch's, or those of our NumPy variants if NumPy is fast enough."""
        if self.peer:
            return self.peer.ask("outputs", workload, "float64")
        if costs.flops(workload) > CHECKED_FLOPS:
            return None
        with self._worker("numpy") as worker:
            return worker.ask("outputs", workload, "float64")

    def _with_best_variant(self, peer: Worker, result: Result) -> Result:
        times, notes = {}, result.notes
        for variant in peer.ask("variants", self.settings.compiled):
            try:
                peer.ask("prepare", result.workload, variant)
                times[variant] = min(peer.ask("seconds", SAMPLE) for _ in range(TRIALS))
            except MeasurementError as error:
                if not peer.process.is_alive() or " " not in variant:  # only torch.compile may fail
                    raise
                notes += (f"{variant}: {error}",)
        return replace(result, variant=min(times, key=times.__getitem__), notes=notes)

    def _timed(self, result: Result) -> Result:
        workers = [self.ours, self.peer] if self.peer else [self.ours]
        for worker, variant in zip(workers, ("", result.variant), strict=False):
            worker.ask("prepare", result.workload, variant)
        samples = [[worker.ask("seconds", SAMPLE) for worker in workers] for _ in range(self.settings.rounds)]
        seconds, *others = map(median, zip(*samples, strict=True))
        return replace(result, seconds=seconds, peer_seconds=others[0] if others else None)

    def _peak_memory(self, name: str, result: Result) -> int | None:
        with self._worker(name) as worker:
            before = worker.ask("peak_memory")
            worker.ask("prepare", result.workload, result.variant if name == "torch" else "")
            after = worker.ask("peak_memory")
            return None if before is None else after - before
