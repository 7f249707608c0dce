"""Slopes of a loss J, measured by moving one entry of x (or all of x along a direction) and evaluating J.

    numeric slope at x  =  (J(x + h) - J(x - h)) / ((x + h) - (x - h))        truncation error h^2 J'''/6,
                                                                              rounding error about eps F / h

J is sum(out * dout) with a random dout, and F is sum |out * dout|. The divisor is the actual step: x + h is rounded, so
division by 2 h would have a relative error of eps * x / h. A slope `a` from backward is accepted when

    |a - n| <= rtol * max(|a|, |n|)  +  floor * eps * F / h

The second term is the rounding noise of the difference, which prevents false alarms if the true gradient is 0.

If a slope is rejected, the two one-sided slopes show why. K(h) is |slope to the right - slope to the left|:

    smooth    K = h |J''|         halves with h        ratio K(h/2)/K(h) = 0.5      an error is a bug
    kink      K = bend            is constant          1                            ReLU at 0, a tie in pooling
    jump      K = height / h      doubles              2                            unpooling after a tie

A kink or jump within h of x explains an error of at most K/2, and it disappears when h shrinks below its distance. So
the step is divided by 10 as long as K explains the error. An entry at a kink counts as crossed and is not judged.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

EPS = float(np.finfo(float).eps)
SMALLEST_STEP = 1e-8
TAYLOR_STEP = 1e-3

Move = tuple[int, ...] | np.ndarray  # an index, or a direction with the tensor's shape


@dataclass(frozen=True)
class Rule:
    """The acceptance rule: step h, relative tolerance rtol, and noise floor in units of eps * F / h."""

    h: float = 1e-5
    rtol: float = 1e-7
    floor: float = 10.0

    def noise(self, F: float, h: float) -> float:
        """Return the part of the allowed error that does not depend on the slope: the difference's rounding noise."""
        return self.floor * EPS * F / h

    def allowed(self, analytic: float, numeric: float, F: float, h: float) -> float:
        """Return the largest accepted |analytic - numeric|."""
        return self.rtol * max(abs(analytic), abs(numeric)) + self.noise(F, h)


@dataclass
class Probe:
    """A measured slope of a tensor and its verdict. `where` is an index, or "direction k"."""

    where: tuple[int, ...] | str
    analytic: float
    numeric: float
    allowed: float
    h: float
    status: str = "ok"  # "ok", "wrong", or "crossed" (at a kink or jump, so not judged)
    kind: str = "smooth"  # "smooth", "kink" or "jump"
    ratio: float | None = None  # K(h/2) / K(h), or None where the one-sided slopes agree
    shrunk: bool = False  # whether the step was reduced because of a kink or jump

    @property
    def error(self) -> float:
        return abs(self.analytic - self.numeric)

    @property
    def excess(self) -> float:
        """The ratio error / allowed error, infinite for a NaN. A slope is rejected if its ratio exceeds 1."""
        return self.error / self.allowed if np.isfinite(self.error) else np.inf


@dataclass
class Objective:
    """J as a function of one tensor, at the point x. Branches are the signs of ReLUs and the maxima of pools."""

    value: Callable[[np.ndarray], float]  # value(moved) is J(moved) - J(x)
    x: np.ndarray
    gradient: np.ndarray  # the result of backward
    F: float  # sum |out * dout|
    signature: Callable[[], bytes | None] = lambda: None  # the branches of the last evaluation, or None if unknown
    branch: bytes | None = None  # the branches at x

    def judge(self, move: Move, rule: Rule, where: tuple[int, ...] | str) -> Probe:
        """Measure the slope along `move`, an index or an array of x's shape, and compare it with backward's."""
        h, kind = rule.h, None
        while True:
            analytic, numeric, right, left, crossed = self._measure(move, h)
            allowed = rule.allowed(analytic, numeric, self.F, h)
            probe = Probe(where, analytic, numeric, allowed, h, shrunk=h < rule.h)
            if probe.error <= probe.allowed and not crossed:
                return _with_kind(probe, kind)
            bend, noise = abs(right - left), rule.noise(self.F, h)
            kind = kind or self._kind(move, h, bend, noise)  # at the first step
            explained = crossed or (bend > 4 * noise and probe.error <= 0.6 * bend + probe.allowed)
            if not explained or h / 10 < 0.99 * SMALLEST_STEP:
                probe.status = "crossed" if explained else "wrong"
                return _with_kind(probe, kind)
            h /= 10

    def taylor_slope(self, direction: np.ndarray) -> float | None:
        """Return p if |J(x + h d) - J(x) - h gradient.d| falls as h^p: 2 if the gradient is right, 1 if it is wrong.

        No tolerance is needed. Return None if J is linear and the gradient right, so that the remainder is only noise.
        The first step is 1e-3, 1e-4 or 1e-5, the largest at which no branch changes. Return NaN if no step qualifies.
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
        """Return analytic, numeric, slope to the right, slope to the left, and whether a branch changed."""
        plus, minus = self._moved(move, h), self._moved(move, -h)
        up, crossed = self.value(plus), self.signature() != self.branch
        down, crossed = self.value(minus), crossed or self.signature() != self.branch
        if isinstance(move, np.ndarray):
            step, analytic = 2 * h, float((self.gradient * (plus - minus)).sum() / (2 * h))
        else:
            step, analytic = float(plus[move] - minus[move]), float(self.gradient[move])
        return analytic, (up - down) / step, up / (step / 2), -down / (step / 2), crossed

    def _kind(self, move: Move, h: float, bend: float, noise: float) -> tuple[str, float | None]:
        """Return "smooth", "kink" or "jump", and the ratio that determines it."""
        if not bend > 4 * noise:
            return "smooth", None
        _, _, right, left, _ = self._measure(move, h / 2)
        ratio = abs(right - left) / bend
        # a ratio below 1/4 means a kink between h/2 and h, which the half step does not reach
        return ("smooth" if 0.25 <= ratio < 0.75 else "jump" if ratio > 1.5 else "kink"), ratio


def _with_kind(probe: Probe, kind: tuple[str, float | None] | None) -> Probe:
    if kind is not None:
        probe.kind, probe.ratio = kind
    if probe.kind == "smooth" and (probe.shrunk or probe.status == "crossed"):
        probe.kind = "kink"  # a kink at a third of the step also has ratio 0.5; only the smaller step shows it
    return probe


def _slope(remainders: list[float], noise: float) -> float | None:
    if not np.isfinite(remainders).all():
        return float("nan")
    return float(np.log2(remainders[0] / remainders[-1]) / 2) if remainders[-1] > noise else None
