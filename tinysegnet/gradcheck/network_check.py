"""The gradient check of a whole network, for every parameter and for the picture.

A check of every entry of every weight would take hours. So each tensor is moved along a few random unit directions,
which involve every entry, and a few of its entries are moved one by one. Everything that a forward changes (running
statistics, random generators) is restored before each evaluation.

A network has a kink at each of its thousands of ReLUs and a jump at each pool. `branch_signature()`, a hash of all
masks and indices, shows whether a step crossed one of them. In that case, the step is divided by 10.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from .checker import check_tensor, choose_moves, unit_direction
from .contract import draw_dout
from .differences import Objective, Probe, Rule
from .results import Report, TensorReport

VOID = 255


def check_model(model: Any, x: np.ndarray | None = None, labels: np.ndarray | None = None, *,
                size: tuple[int, int] = (20, 28), loss: str = "cross_entropy", seed: int = 0, h: float = 1e-5,
                rtol: float = 1e-7, floor: float = 10.0, directions: int = 2, entries: int = 2) -> Report:  # fmt: skip
    """Check that `model.backward` is the derivative of `model.forward(x, training=True)`.

    Args:
        model: a float64 network, such as `ts.build(..., dtype=np.float64)`.
        x: the pictures, (N, H, W, 3); by default two random pictures of `size`.
        labels: the labels, (N, H, W), with 255 for void; by default random.
        size: (H, W) of the random pictures.
        loss: "cross_entropy" (with void pixels and class weights), or "random" for a random dout of the logits.
        seed, h, rtol, floor: as for `check`.
        directions, entries: how many random unit directions and entries of each tensor are checked.

    Raises ShapeError for a model that is not float64.
    """
    for name, array in model.named_parameters():
        if array.dtype != np.float64:
            raise ShapeError(f"check_model needs a float64 model, but {name} is {array.dtype}, which has too few "
                             "digits for differences. Build it with dtype=np.float64.")  # fmt: skip
    rng = np.random.default_rng([seed, 3])
    x = rng.uniform(0, 255, (2, *size, 3)) if x is None else np.array(x, np.float64)
    point = _NetworkPoint(model, x, _make_loss(loss, labels, rng))
    rule = Rule(h, rtol, floor)
    with np.errstate(all="ignore"):
        tensors = [point.tensor(name, rule, rng, directions, entries) for name in point.tensors]
    point.state.restore()
    title = f"{type(model).__name__} at {'x'.join(map(str, x.shape))}, {loss}"
    return Report(title, tensors, point.problems, reproduce=f"check_model(model, seed={seed}, h={h:g})")


def _make_loss(kind: str, labels: np.ndarray | None, rng: np.random.Generator) -> Callable:
    """Return a function of the logits that returns terms whose sum is J, and a function for dlogits."""
    if kind not in ("cross_entropy", "random"):
        raise ShapeError(f'loss: expected "cross_entropy" or "random", got {kind!r}')
    fixed: dict[str, Any] = {}

    def random(logits: np.ndarray) -> tuple[np.ndarray, Callable]:
        dout = fixed.setdefault("dout", draw_dout(rng, logits))
        return logits * dout, lambda: dout

    def cross_entropy(logits: np.ndarray) -> tuple[np.ndarray, Callable]:
        if not fixed:
            K = max(2, logits.shape[-1])
            drawn = np.where(rng.random(logits.shape[:-1]) < 0.1, VOID, rng.integers(0, K, logits.shape[:-1]))
            fixed.update(labels=drawn if labels is None else labels, weights=rng.uniform(0.5, 1.5, K))
        forward, backward = ops.cross_entropy_for(logits)
        value, cache = forward(logits, fixed["labels"], class_weights=fixed["weights"], ignore_label=VOID)
        return np.atleast_1d(value), lambda: backward(1.0, cache)

    return random if kind == "random" else cross_entropy


class _NetworkPoint:
    """A model at one point, which evaluates J with one tensor moved and restores the model."""

    def __init__(self, model: Any, x: np.ndarray, loss: Callable):
        self.model, self.loss, self.problems = model, loss, []  # type: ignore[var-annotated]
        self.state = _State(model)
        self.tensors: dict[str, np.ndarray] = {"x": x, **dict(model.named_parameters())}
        self.branch: bytes | None = None
        self.terms, dlogits = self._run()
        self.base, self.F = self.branch, float(np.abs(self.terms).sum())
        dx = model.backward(dlogits(), input_gradient=True)
        self.gradients = {"x": dx.copy(), **{name: g.copy() for name, g in model.named_gradients()}}
        self._examine()

    def _run(self) -> tuple[np.ndarray, Callable]:
        self.state.restore()
        logits = self.model.forward(self.tensors["x"], training=True)
        self.branch = getattr(self.model, "branch_signature", lambda: None)()
        return self.loss(logits)

    def _examine(self) -> None:
        """Check that two evaluations return the same bits and that every parameter has a gradient of its shape."""
        if not np.array_equal(self._run()[0], self.terms, equal_nan=True) or self.branch != self.base:
            self.problems.append("two forwards from the same state differ; the model has randomness or state besides "
                                 "its buffers and generators")  # fmt: skip
        if not np.isfinite(self.terms).all():
            self.problems.append("the loss is NaN or infinite for these pictures")
        for name, array in self.tensors.items():
            gradient = self.gradients.get(name)
            if gradient is None or gradient.shape != array.shape:
                found = "does not exist" if gradient is None else f"has shape {gradient.shape}"
                raise ShapeError(f"{name} has shape {array.shape}, but its gradient {found}")

    def value(self, name: str, moved: np.ndarray) -> float:
        """Return the change in J when tensor `name` is moved. Parameters are changed in place and restored."""
        tensor = self.tensors[name]
        kept = tensor.copy()
        try:
            tensor[...] = moved
            return float((self._run()[0] - self.terms).sum())
        finally:
            tensor[...] = kept

    def tensor(self, name: str, rule: Rule, rng: np.random.Generator, directions: int, entries: int) -> TensorReport:
        x, gradient = self.tensors[name].copy(), self.gradients[name]
        # pixels reach 255, so the step grows with the values
        scale = max(1.0, float(np.sqrt(np.mean(x**2))))
        rule = Rule(rule.h * scale, rule.rtol, rule.floor)
        value, signature = partial(self.value, name), lambda: self.branch
        objective = Objective(value, x, gradient, self.F, signature, self.base)
        moves = choose_moves(x.shape, rng, 0, directions, entries)
        report = check_tensor(name, objective, rule, moves, scale * unit_direction(rng, x.shape))
        report.hint = _hint(report.probes)
        return report


class _State:
    """A copy of a model's running statistics and random generators, for restoring them."""

    def __init__(self, model: Any):
        self.buffers = [(array, array.copy()) for _, array in model.named_buffers()]
        owners = [model, *getattr(model, "layers", {}).values()]
        found = {id(v): v for o in owners for v in vars(o).values() if isinstance(v, np.random.Generator)}
        self.generators = [(g, g.bit_generator.state) for g in found.values()]

    def restore(self) -> None:
        for array, kept in self.buffers:
            array[...] = kept
        for generator, state in self.generators:
            generator.bit_generator.state = state


def _hint(probes: list[Probe]) -> str | None:
    wrong = [p for p in probes if p.status == "wrong"]
    if not wrong:
        return None
    if all(p.analytic == 0 for p in wrong):
        return "the analytic gradient is zero: does backward reach this layer?"
    factors = np.array([p.numeric / p.analytic for p in wrong if p.analytic])
    if len(factors) > 1 and np.ptp(factors) <= 1e-4 * np.abs(factors).max():
        return f"numeric = {factors.mean():.4g} x analytic in every probe: a factor is missing"
    return "start with the wrong tensor closest to the output, since its error affects all gradients before it"
