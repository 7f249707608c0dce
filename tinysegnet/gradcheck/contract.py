"""The contract for a layer under test: what it must return, and what it must never do.

A layer that returns anything other than `check` describes raises a ShapeError. A layer must not write to its arguments
or return different results when called again. Its backward must depend only on its cache and be linear in dout, unlike
a ReLU that masks by the sign of dout. Each violation becomes a line of the report.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import ShapeError

LINEARITY = 1e-12
ROUNDING = 2e-14  # the accepted error of a gradient that should be 0, relative to dout


def draw_dout(rng: np.random.Generator, out: np.ndarray) -> np.ndarray:
    """Return a random dout of out's shape: normally distributed, or in [0.5, 1.5] if out is a single number.

    A dout of ones would test sum(out), which misses many mistakes: a batch norm's output has a constant sum.
    """
    return np.float64(rng.uniform(0.5, 1.5)) if out.ndim == 0 else rng.standard_normal(out.shape)  # type: ignore[return-value]


def _float64(value: Any) -> Any:
    """Return a copy: float arrays as float64, other arrays unchanged."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "c":
        raise ShapeError(f"gradcheck can differentiate only real arrays, got {value.dtype} of shape {value.shape}")
    return value.astype(np.float64) if value.dtype.kind == "f" else value.copy()


def _copy(value: Any) -> Any:
    return value.copy(order="K") if isinstance(value, np.ndarray) else value


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


class Subject:
    """A forward and backward with their arguments. Each call checks the contract."""

    def __init__(self, forward: Callable, backward: Callable, arrays: Sequence[Any], kwargs: dict[str, Any],
                 outputs: Sequence[int] | None = None, names: Sequence[str] | None = None):  # fmt: skip
        self._forward, self._backward = forward, backward
        self.arrays = [_float64(a) for a in arrays]
        self.kwargs = {name: _float64(value) for name, value in kwargs.items()}
        self.outputs = (0,) if outputs is None else tuple(outputs)
        self.names = _argument_names(forward, arrays) if names is None else list(names)
        self.floats = [k for k, a in enumerate(self.arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        self.problems: list[str] = []  # one line per violation so far
        self._given: list[tuple[Any, Any]] = []  # the arrays of the last forward, each with the copy that it received
        if len(self.names) != len(self.arrays):
            raise ShapeError(f"names: {self.names} contains {len(self.names)} names for {len(self.arrays)} arrays")
        if not self.floats:
            kinds = ", ".join(str(getattr(a, "dtype", type(a).__name__)) for a in self.arrays) or "none"
            raise ShapeError(f"nothing to differentiate: no argument is a float array, got {kinds}. "
                             "Convert one with x.astype(float).")  # fmt: skip
        for k in self.floats:
            if not self.arrays[k].size:
                raise ShapeError(f"{self.names[k]} of shape {self.arrays[k].shape} is empty: nothing can be checked")

    def forward(self, replaced: dict[int, np.ndarray] | None = None) -> tuple[list[np.ndarray], Any]:
        """Return the differentiated results as float64 arrays, and the cache."""
        arrays = [(replaced or {}).get(k, a) for k, a in enumerate(self.arrays)]
        # Copies reveal what a layer writes. For read-only arrays, numba would compile every kernel again.
        given, kwargs = [_copy(a) for a in arrays], {name: _copy(value) for name, value in self.kwargs.items()}
        self._given = [*zip(arrays, given, strict=True), *((self.kwargs[name], kwargs[name]) for name in kwargs)]
        result = self._forward(*given, **kwargs)
        if self._note_writes(self._given, "forward writes to one of its arguments; copy it first"):
            self._given = []  # so that backward is not accused
        return self._results(result)

    def _note_writes(self, given: Iterable[tuple[Any, Any]], problem: str) -> bool:
        """Return whether an array has changed, and note it once."""
        changed = not all(_same_bits(*pair) for pair in given if isinstance(pair[0], np.ndarray))
        if changed and problem not in self.problems:
            self.problems.append(problem)
        return changed

    def _results(self, result: Any) -> tuple[list[np.ndarray], Any]:
        if not isinstance(result, tuple) or len(result) != 2:
            what = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
            raise ShapeError(f"forward must return (out, cache), a tuple of two, got {what}. "
                             "Return several results as ((out, indices), cache).")  # fmt: skip
        outs = result[0] if isinstance(result[0], tuple) else (result[0],)
        if max(self.outputs) >= len(outs):
            raise ShapeError(f"outputs={self.outputs} does not fit: forward returned {len(outs)} results")
        chosen = [np.asarray(outs[k]) for k in self.outputs]
        for k, out in zip(self.outputs, chosen, strict=True):
            if out.dtype != np.float64:
                raise ShapeError(f"result {k} of forward is {out.dtype}, although every argument is float64. "
                                 "Let the dtype follow the input, or select float results with outputs=.")  # fmt: skip
        return chosen, result[1]

    def backward(self, douts: Sequence[np.ndarray], cache: Any) -> list[np.ndarray]:
        """Return one gradient for each float argument, after checks of their number, shapes and dtypes."""
        given = [_copy(d) for d in douts]
        result = self._backward(given[0] if len(given) == 1 else tuple(given), cache)
        self._note_writes([*zip(douts, given, strict=True), *self._given],
                          "backward writes to dout or to an array of the caller; copy it first")  # fmt: skip
        gradients = self._matched(list(result) if isinstance(result, (tuple, list)) else [result])
        return [self._gradient(k, g) for k, g in zip(self.floats, gradients, strict=True)]

    def _matched(self, gradients: list[Any]) -> list[Any]:
        """Remove the None entries of arguments that have no gradient."""
        rest = [g for k, g in enumerate(gradients) if k not in self.floats]
        if len(gradients) >= len(self.arrays) and all(g is None for g in rest):
            return [gradients[k] for k in self.floats]
        if len(gradients) != len(self.floats):
            wanted = ", ".join(self.names[k] for k in self.floats)
            others = [self.names[k] for k in range(len(self.arrays)) if k not in self.floats]
            note = f" ({', '.join(others)} may have None or no entry)" if others else ""
            raise ShapeError(f"backward returned {len(gradients)} gradients, but there are {len(self.floats)} float "
                             f"arguments: {wanted}{note}")  # fmt: skip
        return gradients

    def _gradient(self, k: int, gradient: Any) -> np.ndarray:
        name, wanted = self.names[k], self.arrays[k].shape
        if gradient is None or not (hasattr(gradient, "shape") or np.isscalar(gradient)):
            raise ShapeError(f"backward returned {type(gradient).__name__} as the gradient of {name}, a float array "
                             f"of shape {wanted}")  # fmt: skip
        gradient = np.asarray(gradient)
        if gradient.shape != wanted:
            raise ShapeError(f"the gradient of {name} has shape {gradient.shape}, but {name} has shape {wanted}"
                             + _shape_hint(gradient.shape, wanted))  # fmt: skip
        if gradient.dtype != np.float64:
            raise ShapeError(f"the gradient of {name} is {gradient.dtype}, although every argument is float64. "
                             "Look for a fixed dtype in backward.")  # fmt: skip
        return gradient.copy()

    def examine(self, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray], Any, list[np.ndarray]]:
        """Run the layer a few times, record every violation, and return outs, douts, cache and gradients."""
        outs, cache = self.forward()
        outs = [out.copy() for out in outs]
        douts, others = ([draw_dout(rng, out) for out in outs] for _ in range(2))
        gradients = self.backward(douts, cache)
        if self._repeats(outs, douts, cache, gradients):  # without repeatable gradients, linearity cannot be tested
            self._examine_linearity(douts, others, cache, gradients)
        if not all(np.isfinite(out).all() for out in outs):
            self.problems.append("forward returns NaN or infinity for these arguments; choose arguments of order 1")
        return outs, douts, cache, gradients

    def _repeats(self, outs, douts, cache, gradients) -> bool:
        """Return whether repeated calls return the same bits, even after a forward with other arguments."""
        if not all(map(_same_bits, outs, self.forward()[0])):
            self.problems.append("forward returns different results when called again with the same arguments; "
                                 "pass random numbers as an argument, such as a mask")  # fmt: skip
        if not all(map(_same_bits, gradients, self.backward(douts, cache))):
            self.problems.append("backward returns different gradients when called again with the same cache; "
                                 "it writes to the cache, or accumulates a sum")  # fmt: skip
            return False
        self.forward({k: np.flip(self.arrays[k]) for k in self.floats})  # other arguments of the same shapes and range
        if not all(map(_same_bits, gradients, self.backward(douts, cache))):
            self.problems.append("backward returns different gradients after another forward; "
                                 "it reads something that is not in its cache")  # fmt: skip
            return False
        return True

    def _examine_linearity(self, douts, others, cache, gradients) -> None:
        """Check that backward(a u + b v) = a backward(u) + b backward(v), as the chain rule is linear in dout."""
        a, b = 0.75, -1.5
        noise = ROUNDING * max(np.abs(d).max(initial=0) for d in (*douts, *others))
        mixed = self.backward([a * u + b * v for u, v in zip(douts, others, strict=True)], cache)
        second = self.backward(others, cache)
        for k, both, u, v in zip(self.floats, mixed, gradients, second, strict=True):
            size = np.abs(a * u).max(initial=0) + np.abs(b * v).max(initial=0)
            if np.abs(both - (a * u + b * v)).max(initial=0) > LINEARITY * size + noise:
                self.problems.append(f"the gradient of {self.names[k]} is not linear in dout; backward may use the "
                                     "sign or size of dout where it should use its cache")  # fmt: skip


def _argument_names(forward: Callable, arrays: Sequence[Any]) -> list[str]:
    """Return the names from forward's signature, or names such as argument0 where it has none."""
    names = []
    with suppress(TypeError, ValueError):
        parameters = inspect.signature(forward).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*names[: len(arrays)], *(f"argument{k}" for k in range(len(names), len(arrays)))]


def _shape_hint(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    extra = len(shape) - len(wanted)
    if shape[extra:] == wanted:
        return f". Forward broadcast it, so sum over axes {tuple(range(extra))}."
    if sorted(shape) == sorted(wanted):
        return ". The sizes are in another order: is it transposed?"
    return ". Is it swapped with another gradient?" if len(shape) != len(wanted) else ""
