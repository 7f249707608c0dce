"""The learner's own ops for the network of lesson 15: which are kept, guarded calls, swaps and their comparison.

    op = read_ops()                    the twelve ops, from mysegnet.py or from the library
    op.relu_backward(dout, x)          calls the chosen version and checks its result
    op.use("relu_backward", "numpy")   chooses the learner's version ("mine") or one of the library's ("numpy", "numba")
    op.compare(step)                   runs every version on the arguments of one training step

All versions have the arguments and results of the exercises.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinysegnet import ops
from tinysegnet.errors import DataError, SettingError, TinySegNetError
from tinysegnet.runtime import BACKEND

from .figures import SourceListing, show_source
from .grader import kept_answers
from .library_versions import MORE, OPS, SEVERAL
from .own_report import Table

__all__ = ["MORE", "OPS", "Ops", "OwnOpError", "read_ops"]

Function = Callable[..., Any]
SLOW = 200.0  # milliseconds; a slower version runs only once in a comparison


class OwnOpError(TinySegNetError):
    """Error in a learner's op inside the network. The message names the op and says how to go on without it."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows instead of a traceback."""
        return str(self).splitlines()


class Ops:
    """The functions of the network by name, as attributes. The results of the learner's versions are checked.

    Args:
        kept: the learner's functions by the name of the exercise, as `kept_answers` returns them.

    Attributes:
        mine: the learner's versions of the twelve ops by name.
        more: the learner's functions of `MORE` by name.
        loops: whether the learner's convolution consists of the seven loops of lesson 01.
        chosen: for each of the twelve ops, "mine", "numpy" or "numba".
    """

    def __init__(self, kept: Mapping[str, Function]) -> None:
        self.mine: dict[str, Function] = {}
        for name, one in OPS.items():
            found = next((kept[exercise] for exercise in one.kept_as or [name] if exercise in kept), None)
            if found and not (name == "max_pool2d_backward" and len(inspect.signature(found).parameters) != 3):
                self.mine[name] = found
        self.more = {name: kept[name] for name in MORE if name in kept}
        self.loops = "conv2d_seven_loops" in kept and "conv2d_shifted_products" not in kept
        self.chosen = {name: "mine" if name in self.mine else "numpy" for name in OPS}
        self._checked: set[Any] = set()
        self._single: set[str] = set()  # the learner's versions that compute in float32
        self._calls: list[tuple[str, tuple]] | None = None  # during `compare`

    def __getattr__(self, name: str) -> Function:
        if name not in OPS:
            raise AttributeError(f"there is no op {name!r}. Choose one of {', '.join(OPS)}")
        return partial(self._call, name)

    def versions(self, name: str) -> list[str]:
        """Return the versions of an op that this process can run."""
        return ["mine"] * (name in self.mine) + ["numpy"] + ["numba"] * (BACKEND == "numba")

    def use(self, name: str, whose: str) -> None:
        """Choose the version of one op, or of "all". An op that is not the learner's keeps its version for "mine"."""
        for one in OPS if name == "all" else [name]:
            if not (name == "all" and whose == "mine" and one not in self.mine):
                self.function(one, whose)
                self.chosen[one] = whose

    def function(self, name: str, whose: str) -> Function:
        """Return one version of an op, without checks of its results.

        Raises:
            SettingError: If the op or the version does not exist.
        """
        if name not in OPS:
            raise SettingError(f"there is no op {name!r}. Choose one of {', '.join(OPS)}")
        if whose not in self.versions(name):
            raise SettingError(f"{name}: there is no version {whose!r}. Choose one of {', '.join(self.versions(name))}")
        if whose != "mine":
            return partial(OPS[name].library, ops.REGISTRY[OPS[name].registered].variants[whose])
        return partial(_padded, self.mine[name]) if name == "conv2d" and self.loops else self.mine[name]

    def _call(self, name: str, *given: Any) -> Any:
        if self._calls is not None:
            self._calls.append((name, given))
        in_double = given[0].dtype == np.float64
        whose = "numpy" if in_double and name in self._single else self.chosen[name]
        if whose != "mine":
            return self.function(name, whose)(*given)
        try:
            with np.errstate(all="ignore"):
                found = self.function(name, "mine")(*given)
            results = found if name in SEVERAL and found is not None else (found,)
            arrays = [np.asarray(result, given[0].dtype) for result in results]
        except Exception as error:
            raise self._error(name, given, f"raises {type(error).__name__}: {error}") from error
        if any(result is None for result in results):
            raise self._error(name, given, "returns None. Is a return statement missing?")
        self._check(name, given, arrays)
        if name == "max_pool2d_forward":
            arrays[1] = arrays[1].astype(np.uint8)  # the positions
        return tuple(arrays) if name in SEVERAL else arrays[0]

    def _check(self, name: str, given: tuple, arrays: list[np.ndarray]) -> None:
        """Compare the results with the library's, once for each shape of the arguments."""
        key = name, given[0].dtype, *(np.shape(one) for one in given)
        if key in self._checked:
            return
        expected = _listed(name, self.function(name, "numpy")(*given))
        shapes, right = ([np.shape(one) for one in both] for both in (arrays, expected))
        if shapes != right:
            raise self._error(name, given, f"returns {_words(shapes)}, not {_words(right)}")
        off = _difference(arrays, expected)
        if not off < 1e-4:
            raise self._error(name, given, "returns numbers that differ from the library's")
        if off > 1e-9 and given[0].dtype == np.float64:
            self._single.add(name)
            print(f"{name}: your function computes in float32. In float64, the library's replaces it.")
        self._checked.add(key)

    def _error(self, name: str, given: tuple, what: str) -> OwnOpError:
        shapes = ", ".join(f"{one.dtype} {one.shape}" if isinstance(one, np.ndarray) else repr(one) for one in given)
        return OwnOpError(f"{name}, your function in {place(self.mine[name])}, {what}\n  its arguments: {shapes}\n"
                          f'  To go on with the library\'s function, run op.use("{name}", "numpy") and then this cell '
                          "again.")  # fmt: skip

    def table(self) -> Table:
        """Return the table of the twelve ops and of the further answers: whose each is, and where it stands."""
        functions = {**self.more, **self.mine}
        lessons = {name: one.lesson for name, one in OPS.items()} | MORE
        rows = [(lesson, name, *(("mine", place(functions[name])) if name in functions else ("library", "")))
                for name, lesson in lessons.items()]  # fmt: skip
        return Table(("lesson", "function", "whose", "source"), rows)

    def source(self, name: str) -> SourceListing:
        """Return the learner's source of an op, or else the library's NumPy function that it comes from."""
        if name not in self.mine:
            pair = ops.REGISTRY[OPS[name].registered].variants["numpy"]
            return show_source(pair.backward if "_d" in name or "backward" in name else pair.forward)
        lines, first = inspect.getsourcelines(self.mine[name])
        return SourceListing("mysegnet.py", first, "".join(lines))

    def compare(self, step: Callable[[], Any], only: str | None = None) -> list[dict[str, Any]]:
        """Run one step, then every version of each op, or only one of them, on the arguments of that step.

        Returns:
            For each op, a row with its name as "op", the least milliseconds of each version, and the largest relative
            "difference" between results of two versions.
        """
        calls: list[tuple[str, tuple]] = []
        self._calls = calls
        try:
            step()
        finally:
            self._calls = None
        return [self._compared(name, [given for one, given in calls if one == name], only) for name in OPS]

    def _compared(self, name: str, calls: list[tuple], only: str | None) -> dict[str, Any]:
        row: dict[str, Any] = {"op": name, "difference": 0.0}
        first: list[Any] = []
        for whose in self.versions(name):
            if whose != (only or whose) or (whose == "mine" and self.chosen[name] != "mine"):
                continue  # the learner's version is not chosen if it is wrong or far too slow
            function = self.function(name, whose)
            if whose == "numba":
                [function(*given) for given in calls]  # the first calls compile
            row[whose] = np.inf
            for _ in range(3):
                began = time.perf_counter()
                found = [function(*given) for given in calls]
                row[whose] = min(row[whose], 1000 * (time.perf_counter() - began))
                if row[whose] > SLOW:
                    break
            found = [_listed(name, one) for one in found]
            first = first or found
            row["difference"] = max(row["difference"], *map(_difference, first, found))
        return row


def read_ops(folder: str | Path = ".") -> Ops:
    """Return the ops with the learner's answers in mysegnet.py, and print what was found. A broken file is no error."""
    kept: dict[str, Function] = {}
    try:
        kept = kept_answers(folder)
    except DataError as error:
        print(f"{error}\nCorrect this answer in the file, or delete the file, and run this cell again.")
    found = Ops(kept)
    if not found.mine:
        print("None of the twelve functions is in mysegnet.py. To add one, run grader.keep_answers() in this folder, "
              "then solve its exercise.")  # fmt: skip
    rest = "" if len(found.mine) == len(OPS) else " The others come from the library."
    print(f"{len(found.mine)} of {len(OPS)} ops are yours.{rest}")
    return found


def place(function: Function) -> str:
    """Return where a kept function stands, such as "mysegnet.py, lines 41 to 49"."""
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return "mysegnet.py"
    return f"mysegnet.py, line{f's {first} to {first + len(lines) - 1}' if len(lines) > 1 else f' {first}'}"


def _padded(valid: Function, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Any:
    p = len(weight) // 2
    return valid(np.pad(x, ((0, 0), (p, p), (p, p), (0, 0))), weight, bias)


def _listed(name: str, found: Any) -> list[Any]:
    return list(found) if name in SEVERAL else [found]


def _words(shapes: list[tuple[int, ...]]) -> str:
    return f"{len(shapes)} results of shapes {shapes}" if len(shapes) != 1 else f"the shape {shapes[0]}"


def _difference(found: list[Any], expected: list[Any]) -> float:
    """Return the largest difference, relative to the largest number of all results; integers must be equal.

    One common scale, because a sum such as dbias may be 0 apart from rounding.
    """
    off, size = 0.0, 1e-30
    for one, other in zip(found, map(np.asarray, expected), strict=True):
        differences = np.abs(np.asarray(one, float) - other)
        if other.dtype.kind != "f":
            off = max(off, np.inf if differences.any() else 0)
        elif np.isfinite(differences).all():
            off, size = max(off, float(differences.max())), max(size, float(np.abs(other).max()))
        else:
            off = np.inf
    return off / size
