"""Slopes, measured by moving x by one entry (or along one direction) and evaluating the loss.

    numeric slope at x  =  (J(x + h) - J(x - h)) / ((x + h) - (x - h))        truncation error h^2 J'''/6,
                                                                              rounding error about eps F / h

J = sum(out * dout) with a random dout, F = sum |out * dout|. The divisor is the step that was really taken: x + h is
rounded, so dividing by 2 h would be off by eps * x / h. A slope `a` from backward is accepted when

    |a - n| <= rtol * max(|a|, |n|)  +  floor * eps * F / h

The second term is the rounding noise of the difference itself, so that a true gradient of 0 is no false alarm.

Where a slope is refused, the two one-sided slopes show why. K(h) = |slope to the right - slope to the left|:

    smooth    K = h |J''|         halves with h        ratio K(h/2)/K(h) = 0.5      a disagreement is a bug
    kink      K = bend            stays                1                            ReLU at 0, a tie of a pool
    jump      K = height / h      doubles              2                            unpooling after a tie

A kink or jump within h of x explains an error of at most K/2, and goes away when h shrinks below its distance. So the
step shrinks tenfold as long as K explains the error, and an entry exactly at a kink counts as crossed: not judged.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

EPS = float(np.finfo(float).eps)
SMALLEST_STEP = 1e-8
TAYLOR_STEP = 1e-3

Move = tuple[int, ...] | np.ndarray  # an index, or a direction of the tensor's shape


@dataclass(frozen=True)
class Rule:
    """The acceptance rule: step h, relative part rtol, noise floor in units of eps * F / h."""

    h: float = 1e-5
    rtol: float = 1e-7
    floor: float = 10.0

    def noise(self, F: float, h: float) -> float:
        """The rounding error of a difference, whatever the slope."""
        return self.floor * EPS * F / h

    def allowed(self, analytic: float, numeric: float, F: float, h: float) -> float:
        """The largest accepted |analytic - numeric|."""
        return self.rtol * max(abs(analytic), abs(numeric)) + self.noise(F, h)


@dataclass
class Probe:
    """One slope of one tensor, measured and judged. `where` is an index, or "direction k"."""

    where: tuple[int, ...] | str
    analytic: float
    numeric: float
    allowed: float
    h: float
    status: str = "ok"  # "ok", "wrong", or "crossed": at a kink or jump, not to be judged
    kind: str = "smooth"  # "smooth", "kink" or "jump"
    ratio: float | None = None  # K(h/2) / K(h); None where the one-sided slopes agree
    shrunk: bool = False  # a kink or jump was within the first step; judged with a smaller one

    @property
    def error(self) -> float:
        """|analytic - numeric|"""
        return abs(self.analytic - self.numeric)

    @property
    def excess(self) -> float:
        """Error / allowed error: above 1 it is refused; infinite for a NaN."""
        return self.error / self.allowed if np.isfinite(self.error) else np.inf


@dataclass
class Objective:
    """J as a function of one tensor, at x.

    value(moved): J(moved) - J(x). gradient: backward's. F: sum |out * dout|. signature(): the branches (signs
    of ReLUs, winners of pools) that the last evaluation took, or None where they are unknown; branch: those at x.
    """

    value: Callable[[np.ndarray], float]
    x: np.ndarray
    gradient: np.ndarray
    F: float
    signature: Callable[[], bytes | None] = lambda: None
    branch: bytes | None = None

    def judge(self, move: Move, rule: Rule, where: tuple[int, ...] | str) -> Probe:
        """Measure the slope along `move`, an index or an array of x's shape, and compare it with the gradient's."""
        h, first = rule.h, None
        while True:
            analytic, numeric, right, left, crossed = self._measure(move, h)
            allowed = rule.allowed(analytic, numeric, self.F, h)
            probe = Probe(where, analytic, numeric, allowed, h, shrunk=h < rule.h)
            if probe.error <= probe.allowed and not crossed:
                return _with_kind(probe, first)
            bend, noise = abs(right - left), rule.noise(self.F, h)
            if first is None:
                first = self._kind(move, h, bend, noise)
            explained = crossed or (bend > 4 * noise and probe.error <= 0.6 * bend + probe.allowed)
            if not explained or h / 10 < 0.99 * SMALLEST_STEP:
                probe.status = "crossed" if explained else "wrong"
                return _with_kind(probe, first)
            h /= 10

    def taylor_slope(self, direction: np.ndarray) -> float | None:
        """How fast |J(x + h d) - J(x) - h gradient.d| falls with h: 2.00 if the gradient is right, else 1.

        This needs no tolerance. None if the remainder is rounding noise at once: J is linear, the gradient right.
        Steps begin at 1e-3, at 1e-4 or 1e-5 where a branch changes on the way; NaN if one changes even then.
        """
        for first in (TAYLOR_STEP, TAYLOR_STEP / 10, TAYLOR_STEP / 100):
            remainders, crossed = [], False
            for h in (first, first / 2, first / 4):
                moved = self.x + h * direction
                remainders.append(abs(self.value(moved) - float((self.gradient * (moved - self.x)).sum())))
                crossed |= self.signature() != self.branch
            if not crossed:
                return _slope(remainders, 100 * EPS * self.F)
        return float("nan")

    def _moved(self, move: Move, h: float) -> np.ndarray:
        if isinstance(move, np.ndarray):
            return self.x + h * move
        moved = self.x.copy()
        moved[move] += h
        return moved

    def _measure(self, move: Move, h: float) -> tuple[float, float, float, float, bool]:
        """-> analytic, numeric, slope to the right, slope to the left, whether a branch changed."""
        plus, minus = self._moved(move, h), self._moved(move, -h)
        up, crossed = self.value(plus), self.signature() != self.branch
        down, crossed = self.value(minus), crossed or self.signature() != self.branch
        if isinstance(move, np.ndarray):
            step, analytic = 2 * h, float((self.gradient * (plus - minus)).sum() / (2 * h))
        else:
            step, analytic = float(plus[move] - minus[move]), float(self.gradient[move])
        return analytic, (up - down) / step, up / (step / 2), -down / (step / 2), crossed

    def _kind(self, move: Move, h: float, bend: float, noise: float) -> tuple[str, float | None]:
        """-> "smooth", "kink" or "jump", and the ratio that says so."""
        if not bend > 4 * noise:
            return "smooth", None
        _, _, right, left, _ = self._measure(move, h / 2)
        ratio = abs(right - left) / bend
        # below 1/4: a kink between h/2 and h, which the half step does not reach
        return ("smooth" if 0.25 <= ratio < 0.75 else "jump" if ratio > 1.5 else "kink"), ratio


def _with_kind(probe: Probe, kind: tuple[str, float | None] | None) -> Probe:
    if kind is not None:
        probe.kind, probe.ratio = kind
    if probe.kind == "smooth" and (probe.shrunk or probe.status == "crossed"):
        probe.kind = "kink"  # a kink at a third of the step has ratio 0.5, too; only the smaller step shows it
    return probe


def _slope(remainders: list[float], noise: float) -> float | None:
    if not np.isfinite(remainders).all():
        return float("nan")
    return float(np.log2(remainders[0] / remainders[-1]) / 2) if remainders[-1] > noise else None
