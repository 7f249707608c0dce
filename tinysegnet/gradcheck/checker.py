"""The gradient check for any NumPy layer, which compares a backward with its forward.

A passed check shows only that backward is the derivative of forward. It accepts a wrong forward with a matching
backward. Detecting a wrong forward takes an independent implementation, so tests/oracle compares with PyTorch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .contract import Subject
from .differences import Move, Objective, Rule
from .hints import Scene, find_hint
from .results import Report, TensorReport


def check(forward: Callable, backward: Callable, *arrays: Any, seed: int = 0, h: float = 1e-5, rtol: float = 1e-7,
          floor: float = 10.0, outputs: Sequence[int] | None = None, names: Sequence[str] | None = None,
          title: str | None = None, every: int = 2000, directions: int = 3, entries: int = 20,
          **kwargs: Any) -> Report:  # fmt: skip
    """Check that backward is the derivative of forward, entry by entry, by central differences in float64.

        forward(*arrays, **kwargs) -> (out, cache)        out: an array, a number, or a tuple of them
        backward(dout, cache) -> the gradient of each float array in argument order, or a bare array if there is one

    Args:
        forward, backward: the layer.
        arrays: the arguments. Float arrays are differentiated as float64 copies; others are passed on unchanged.
        seed: the seed of the random dout and directions.
        h, rtol, floor: the acceptance rule (see `differences`).
        outputs: the indices of the differentiated results, by default the first. With several, dout is a tuple.
        names: the names of the arrays, by default from forward's signature.
        title: the title of the report.
        every: the size up to which tensors are checked at every entry.
        directions, entries: how many random unit directions and entries of larger tensors are checked.
        kwargs: further arguments of forward, such as labels, strides and masks. They are never differentiated. Wrap a
            layer in a lambda if one of its keywords is named like an argument of `check`.

    Raises ShapeError if forward or backward returns anything other than described above.
    """
    subject, rule = Subject(forward, backward, arrays, kwargs, outputs, names), Rule(h, rtol, floor)
    with np.errstate(all="ignore"):
        measured = _LayerPoint(subject, rule, seed)
        tensors = [measured.tensor(at, k, every, directions, entries) for at, k in enumerate(subject.floats)]
    name = title or str(getattr(forward, "__name__", type(forward).__name__))
    return Report(name, tensors, subject.problems, reproduce=f"seed={seed}, h={h:g}")


class _LayerPoint:
    """A layer at one point, with J = sum(out * dout), whose slopes are measured."""

    def __init__(self, subject: Subject, rule: Rule, seed: int):
        self.subject, self.rule = subject, rule
        self.rng = np.random.default_rng([seed, 2])
        # dout has its own seed, because a generator with the seed of the arguments could repeat their numbers
        self.outs, self.douts, self.cache, self.gradients = subject.examine(np.random.default_rng([seed, 1]))
        self.F = sum(float(np.abs(out * dout).sum()) for out, dout in zip(self.outs, self.douts, strict=True))

    def value(self, k: int, moved: np.ndarray) -> float:
        """Return J(moved) - J(x). Subtracting before summing reduces rounding errors."""
        outs, _ = self.subject.forward({k: moved})
        return sum(float(((new - old) * d).sum()) for new, old, d in zip(outs, self.outs, self.douts, strict=True))

    def tensor(self, at: int, k: int, every: int, directions: int, entries: int) -> TensorReport:
        x, gradient, name = self.subject.arrays[k], self.gradients[at], self.subject.names[k]
        moves = choose_moves(x.shape, self.rng, every, directions, entries)
        objective = Objective(lambda moved: self.value(k, moved), x, gradient, self.F)
        report = check_tensor(name, objective, self.rule, moves, unit_direction(self.rng, x.shape))
        if report.count("wrong"):
            report.hint = self._hint(at, k, report)
        return report

    def _hint(self, at: int, k: int, report: TensorReport) -> str | None:
        subject, x_name = self.subject, report.name
        if np.isnan(report.numeric).any():  # guesses need the whole numeric gradient
            return None
        wrong = np.zeros(report.analytic.shape, bool)
        for p in report.probes:
            if isinstance(p.where, tuple):  # directions have no index
                wrong[p.where] = p.status == "wrong"
        others = {name: a for name, a in zip(subject.names, subject.arrays, strict=True) if name != x_name}
        scene = Scene(subject.arrays[k], others | subject.kwargs, self._sizes(), lambda n: self._sample_gradient(at, n),
                      lambda name, value: self._gradient_with(at, name, value))  # fmt: skip
        return find_hint(report.analytic, report.numeric, wrong, scene)

    def _sizes(self) -> dict[str, int]:
        """Return candidates for a forgotten factor, such as the numbers of samples, pixels and channels."""
        shape = max((a.shape for a in (*self.outs, *(self.subject.arrays[k] for k in self.subject.floats))), key=len)
        if len(shape) == 4:
            N, H, W, C = shape
            return {"N": N, "H*W": H * W, "N*H*W": N * H * W, "C": C, "2": 2}
        first, last = (shape[0], shape[-1]) if shape else (1, 1)
        return {"N": first, "the size": int(np.prod(shape)), "the last axis": last, "2": 2}

    def _sample_gradient(self, at: int, n: int) -> np.ndarray | None:
        if any(d.ndim == 0 or len(d) <= n for d in self.douts):
            return None
        only = [np.zeros_like(d) for d in self.douts]
        for cut, d in zip(only, self.douts, strict=True):
            cut[n] = d[n]
        return self.subject.backward(only, self.subject.forward()[1])[at]

    def _gradient_with(self, at: int, name: str, value: np.ndarray) -> np.ndarray:
        if name not in self.subject.names:
            return self.gradients[at]
        return self.subject.backward(self.douts, self.subject.forward({self.subject.names.index(name): value})[1])[at]


def unit_direction(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return a random direction of length 1."""
    direction = rng.standard_normal(shape)
    return direction / np.linalg.norm(direction)


def choose_moves(shape: tuple[int, ...], rng: np.random.Generator, every: int, directions: int,
                 entries: int) -> list[tuple[tuple[int, ...] | str, Move]]:  # fmt: skip
    """Return pairs (name, move): every index of a small tensor, or some directions and indices of a large one."""
    size = int(np.prod(shape))
    if size <= every:
        return [(index, index) for index in np.ndindex(*shape)]
    moves: list = [(f"direction {k}", unit_direction(rng, shape)) for k in range(directions)]
    for flat in rng.choice(size, min(entries, size), replace=False):
        index = tuple(int(i) for i in np.unravel_index(flat, shape))
        moves.append((index, index))
    return moves


def check_tensor(name: str, objective: Objective, rule: Rule, moves: list, direction: np.ndarray) -> TensorReport:
    """Probe one tensor along all moves. The numeric gradient is NaN where nothing was measured."""
    probes = [objective.judge(move, rule, where) for where, move in moves]
    numeric = np.full(objective.x.shape, np.nan)
    for probe in probes:
        if isinstance(probe.where, tuple):
            numeric[probe.where] = probe.numeric
    return TensorReport(name, objective.gradient, numeric, probes, objective.taylor_slope(direction))
