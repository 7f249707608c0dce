"""tinysegnet bench, profile: how fast it is, and where the time goes."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import tyro

from .. import runtime, viz
from ..bench import explain, profiling, table
from ..bench.measure import Bench as Measurement
from ..bench.measure import BenchSettings, Result
from ..bench.roofline import roofline_dots
from ..bench.workloads import WORKLOADS, Workload, find_workloads
from ..errors import SettingError
from ..models import build
from ..training.run_folder import environment
from .train_command import ModelName

__all__ = ["Bench", "Profile"]


@dataclass(frozen=True)
class Bench:
    """Time single ops and whole networks at SegNet's sizes, alone or against PyTorch, after checking their results.

    Exit code 1 if a result is wrong. Times of a machine that does other things at the same time say little.
    """

    words: tyro.conf.Positional[tuple[str, ...]] = ()
    """Only works whose name contains one of these words, such as "conv3x3 64" or train; default: all."""
    against: Literal["torch"] | None = None
    """Measure PyTorch, too, in a process of its own: eager, in the faster of its two memory formats."""
    compile: bool = False
    """Try torch.compile as well."""
    rounds: int = 5
    """Samples of each side, in turns; the median counts."""
    threads: int | None = None
    """Of each side; default: all cores."""
    json: bool = False
    """Print one JSON object instead of the table."""
    explain: bool = False
    """Time nothing: print which way each convolution goes, and the estimated costs."""
    picture: Path | None = None
    """Draw the roofline of this machine into a file, .png or .svg."""

    def run(self) -> int:
        works = find_workloads(self.words)
        if not works:
            raise SettingError(
                f"no workload named {', '.join(self.words)}; there are {', '.join(w.name for w in WORKLOADS)}"
            )
        if self.explain:
            print(explain.explain(works))
            return 0
        results = self._measure(works, self._plan())
        return 1 if any(result.wrong for result in results) else 0

    def _plan(self) -> BenchSettings:
        if self.rounds < 1:
            raise SettingError(f"rounds {self.rounds} (expected 1 or more)")
        if self.against and importlib.util.find_spec(self.against) is None:
            raise SettingError("PyTorch is not installed, so there is nothing to compare with: pip install torch")
        if self.threads is not None:
            runtime.set_threads(self.threads)  # says what is possible here
        return BenchSettings(self.against, runtime.threads(), self.rounds, self.compile)

    def _measure(self, works: Sequence[Workload], plan: BenchSettings) -> list[Result]:
        facts = environment() | ({"torch": version("torch")} if plan.against else {})
        with Measurement(plan) as sides:
            peaks = sides.peaks()
            self._say(table.facts_line(facts, plan, peaks), "", table.head(plan))
            results = []
            for work in works:
                results.append(sides.measure(work))
                self._say(table.row(results[-1], plan, peaks))
        self._say(*table.notes(results))
        if self.json:
            print(table.as_json(facts, plan, peaks, results))
        self._draw(results, facts, peaks)
        return results

    def _say(self, *lines: str) -> None:
        if not self.json:
            for line in lines:
                print(line, flush=True)

    def _draw(self, results: list[Result], facts: dict[str, Any], peaks: tuple[float, float]) -> None:
        if self.picture:
            subtitle = f"{facts['processor']}, {facts['threads']} threads"
            viz.save_figure(viz.roofline_figure(roofline_dots(results), *peaks, subtitle), self.picture)


@dataclass(frozen=True)
class Profile:
    """Where the time of a training step goes: every layer's forward and backward, the loss, the optimizer."""

    model: tyro.conf.Positional[ModelName]
    """Which network."""
    size: tuple[int, int] = (360, 480)
    """Height and width of the pictures."""
    batch_size: int = 1
    """Pictures in a batch."""
    width: float = 1.0
    """A factor on the channels of every stage."""
    picture: Path | None = None
    """Draw the layers as bars into a file, .png or .svg."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def run(self) -> int:
        if self.batch_size < 1:
            raise SettingError(f"batch_size {self.batch_size} (expected 1 or more)")
        found = profiling.profile(build(self.model, width=self.width), self.size, self.batch_size)
        print(found.as_json() if self.json else found)
        if self.picture:
            viz.save_figure(viz.profile_figure(found.bars(), found.title, found.subtitle), self.picture)
        return 0
