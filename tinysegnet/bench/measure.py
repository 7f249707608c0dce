"""Measurements: only correct results are timed. The libraries take turns, so that other load affects all of them."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import inf
from statistics import median
from typing import Any

import numpy as np

from ..errors import MeasurementError
from . import costs
from .ours import Limits
from .peers import PEERS
from .workers import Worker
from .workloads import Workload

#: The largest accepted |found - reference| / |reference| (2-norms of whole arrays) in float32. In networks, rounding
#: can decide which of two almost equal pixels in a pooling window is larger, so that unpooling moves a value. If one
#: value in 10,000 moves, the logits have an error of 1e-2. Such errors cancel in the loss, but not in gradients.
BOUNDS = {"out": 1e-4, "logits": 5e-2, "loss": 1e-3, "next loss": 1e-2}
GRADIENT = 1e-3  #: The bound for gradients.


@dataclass(frozen=True)
class Measurement:
    """The measurements of one library; None means "not measured"."""

    variant: str = ""  # the fastest variant
    seconds: float | None = None  # the median
    error: float | None = None  # the largest normwise error of a result
    bytes: int | None = None  # increase in a new process's peak memory from its imports to the end of two runs
    wrong: str = ""  # why the workload was not timed


def validate(found: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Measurement:
    """Compare each result with the reference of the same name."""
    if missing := set(reference) ^ set(found):
        return Measurement(error=float("nan"), wrong=f"only one of the two results has {', '.join(sorted(missing))}")
    errors = {name: distance(found[name], reference[name]) for name in reference}
    wrong = [f"{name} is off by {error:.1e}, more than {BOUNDS.get(name, GRADIENT):.0e}"
             for name, error in errors.items() if not error <= BOUNDS.get(name, GRADIENT)]  # fmt: skip
    return Measurement(error=float(np.max(list(errors.values()))), wrong="; ".join(wrong))


def distance(found: np.ndarray, reference: np.ndarray) -> float:
    """Return |found - reference| / |reference|: infinite if the shapes differ, NaN if there is a NaN."""
    if found.shape != reference.shape:
        return float("inf")
    return float(np.linalg.norm((found - reference).ravel()) / (np.linalg.norm(reference.ravel()) or 1.0))


OURS = "tinysegnet"
SAMPLE = 0.15  #: The minimum duration of a sample in seconds. A sample has at least one run.
TRIALS = 2  #: The number of trial samples per variant of a peer. Only the fastest variant is measured.
SMALL = 60e9  #: Operations in the largest workload that NumPy checks and that --quick measures; both take seconds.
PATIENCE = 300  #: Seconds after which a variant of a peer that is not ready counts as failed.


@dataclass(frozen=True)
class BenchSettings:
    """The settings of a measurement."""

    against: tuple[str, ...] = ()  # names in PEERS
    threads: int = 1  # per worker
    rounds: int = 5  # samples per worker
    compiled: bool = False  # use torch.compile also for training and single ops
    quick: bool = False  # short samples, nothing compiled, no memory; peers are compared with our results


@dataclass(frozen=True)
class Result:
    """The measurements of a workload."""

    workload: Workload
    ours: Measurement
    peers: dict[str, Measurement] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> Measurement:
        """The fastest peer; without seconds if none was timed."""
        return min(self.peers.values(), key=lambda peer: peer.seconds or inf, default=Measurement())

    @property
    def ratio(self) -> float | None:
        """The fastest peer's time divided by ours. If the ratio is above 1, tinysegnet is faster."""
        return self.best.seconds / self.ours.seconds if self.ours.seconds and self.best.seconds else None

    @property
    def verdict(self) -> str:
        """How the ratio compares with the workload's `least` and `aim`."""
        if self.ours.wrong:
            return "WRONG"
        if self.ratio is None or self.workload.least is None or self.workload.aim is None:
            return ""
        return "BELOW" if self.ratio < self.workload.least else "below aim" if self.ratio < self.workload.aim else "ok"

    def share(self, limits: Limits) -> float | None:
        """Return operations per second, or bytes per second without matrix products, as a share of their limit."""
        _, product, copy, _ = limits
        work, memory = self.workload, costs.bound_by_memory(self.workload)
        fastest = costs.traffic(work) / copy if memory else costs.flops(work) / product
        return fastest / self.ours.seconds if self.ours.seconds else None

    def as_dict(self) -> dict[str, Any]:
        """Return all measurements and costs, for --json."""
        fields = asdict(self)
        return {**fields.pop("workload"), **fields.pop("ours"), **fields, "peer_seconds": self.best.seconds,
                "ratio": self.ratio, "verdict": self.verdict, "flops": costs.flops(self.workload),
                "traffic_bytes": costs.traffic(self.workload)}  # fmt: skip


class Bench(ExitStack):
    """The measuring processes: `with Bench(settings) as bench: bench.measure(workload)`.

    Raises:
        MeasurementError: if a process fails, but a peer that fails before it is timed is only noted in the result.
    """

    def __init__(self, settings: BenchSettings, start: Callable[..., Worker] = Worker) -> None:
        super().__init__()
        self.settings, self.start = settings, partial(start, threads=settings.threads)
        self.sample = SAMPLE / 3 if settings.quick else SAMPLE
        self.workers = {name: self.enter_context(self.start(name)) for name in (OURS, *settings.against)}

    def measure(self, workload: Workload) -> Result:
        """Check the results, then measure time and, for networks, memory."""
        found, reference = _outputs(self.workers[OURS], workload), self._reference(workload)
        ours = validate(found, reference) if reference else Measurement()
        if ours.wrong:
            return Result(workload, ours, notes=(f"not timed, because its result is wrong: {ours.wrong}",))
        notes = [] if reference or self.settings.against else ["not checked, since NumPy would take too long"]
        sides = {OURS: ours}
        for name in self.settings.against:
            if trials := self._trials(name, workload, reference or found):
                sides[name] = best = min(trials, key=lambda trial: trial.seconds or inf)
                if best is not trials[-1] and not best.wrong:  # the last one is still prepared
                    _outputs(self.workers[name], workload, best.variant)
                notes += [f"{PEERS[name].title}, {t.variant}: not timed: {t.wrong}" for t in trials if t.wrong]
        sides = self._timed(workload, sides)
        if workload.model and not self.settings.quick:
            sides = {name: self._with_memory(name, workload, side) for name, side in sides.items()}
        return Result(workload, sides.pop(OURS), sides, tuple(notes))

    def _reference(self, workload: Workload) -> dict[str, np.ndarray] | None:
        """Return results in float64: PyTorch's, or those of our NumPy variants if NumPy is fast enough."""
        if self.settings.quick and self.settings.against:
            return None
        if "torch" in self.settings.against:
            return _outputs(self.workers["torch"], workload, PEERS["torch"].ops[0], "float64")
        if costs.flops(workload) > SMALL:
            return None
        with self.start(OURS) as worker:  # in a process of its own, since NumPy also has threads
            return _outputs(worker, workload, "numpy", "float64")

    def _trials(self, name: str, workload: Workload, reference: Mapping[str, np.ndarray]) -> list[Measurement]:
        """Check and time the variants of a peer."""
        worker, trials = self.workers[name], []
        compiled = not self.settings.quick and (self.settings.compiled or workload.kind == "infer")
        for variant in PEERS[name].variants(workload.kind, compiled):
            try:
                trial = validate(_outputs(worker, workload, variant, limit=PATIENCE), reference)
                seconds = None if trial.wrong else min(worker.ask("seconds", self.sample) for _ in range(TRIALS))
                trials.append(replace(trial, variant=variant, seconds=seconds))
            except MeasurementError as error:
                trials.append(Measurement(variant, wrong=str(error)))
        return trials

    def _timed(self, workload: Workload, sides: dict[str, Measurement]) -> dict[str, Measurement]:
        """Measure all libraries with correct results in turns; their variants are prepared."""
        samples: dict[str, list[float]] = {name: [] for name, side in sides.items() if not side.wrong}
        for _ in range(self.settings.rounds):
            for name, seconds in samples.items():
                seconds.append(self.workers[name].ask("seconds", self.sample))
        return {name: replace(side, seconds=median(samples[name]) if name in samples else None)
                for name, side in sides.items()}  # fmt: skip

    def _with_memory(self, name: str, workload: Workload, side: Measurement) -> Measurement:
        with self.start(name) as worker:
            if side.wrong or (before := worker.ask("peak_memory")) is None:
                return side
            worker.ask("prepare", workload, side.variant)
            worker.ask("seconds", 0)  # one run
            worker.ask("seconds", 0)
            return replace(side, bytes=worker.ask("peak_memory") - before)


def _outputs(worker: Worker, *settings: Any, limit: float | None = None) -> dict[str, np.ndarray]:
    """Prepare a workload, and return the results of its first run."""
    worker.ask("prepare", *settings, limit=limit)
    return worker.ask("outputs", limit=limit)
