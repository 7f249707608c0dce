"""The library's own ops under test: every op of `tinysegnet.ops.REGISTRY`, in every variant that it declares."""

import inspect
import json as json_format
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import ShapeError, unknown_name
from ..ops import REGISTRY, Variant
from .cases import Case, cases_of
from .checker import check
from .results import Report, table

COMPLETE = ("numpy", "numba")  # these support every case; a special variant may refuse a shape with a ShapeError


def find_ops() -> list[str]:
    """Names of the public ops: "conv2d" for `tinysegnet.ops.conv2d_forward`."""
    return sorted(REGISTRY)


def find_variants(op: str) -> dict[str, Variant]:
    """ "numpy" -> Variant(forward, backward), and so on. Raises ShapeError for an unknown op."""
    if op not in REGISTRY:
        raise ShapeError(unknown_name("op", op, find_ops()))
    return REGISTRY[op].variants


def _pair(op: str, variant: str | None) -> Variant:
    variants = find_variants(op)
    if variant is None:
        return Variant(REGISTRY[op].forward, REGISTRY[op].backward)
    if variant not in variants:
        raise ShapeError(f"{op} has no variant {variant!r}; there are {', '.join(variants)}")
    return variants[variant]


def check_op(op: str, variant: str | None = None, *, seed: int = 0, pair: tuple[Callable, Callable] | None = None,
             backward: Callable | None = None, **settings: Any) -> Report:  # fmt: skip
    """Check one op of the library on all its cases: `check_op("conv2d")`, `check_op("relu", "numba")`.

    Args:
        op, variant: names in `ops.REGISTRY`; variant None for the public functions.
        seed: for arguments and dout.
        pair: another (forward, backward) to check on this op's cases, such as your own.
        backward: another backward alone, which takes the caches of the NumPy forward.
        settings: as for `check`.

    Raises:
        ShapeError: for an unknown name, or an op without a case.
    """
    own = ", backward=..." if backward is not None else ", pair=..." if pair else ""
    if backward is not None:
        pair = _pair(op, "numpy")[0], backward
    forward, backward = pair or _pair(op, variant)
    cases = [case for case in cases_of(op) if case.gradient]
    if not cases:
        raise ShapeError(f"{op} has no case with a gradient in tinysegnet/gradcheck/cases.py")
    title = op + (f" [{variant}]" if variant else "")
    parts, refused = [], 0
    for case in cases:
        try:
            parts.append(_check_case(case, forward, backward, seed, settings))
        except ShapeError:
            if pair or variant is None or variant in COMPLETE:
                raise
            refused += 1
    problems = [] if parts else [f"serves none of the {refused} cases"]
    call = f'ts.gradcheck.check_op("{op}"' + (f', "{variant}"' if variant else "") + f"{own}, seed={seed})"
    return Report(title, parts=[replace(part, reproduce=call) for part in parts], problems=problems, refused=refused)


def _check_case(case: Case, forward: Callable, backward: Callable, seed: int, settings: dict[str, Any]) -> Report:
    arrays, kwargs = case.arguments(seed)
    names = list(inspect.signature(REGISTRY[case.op].forward).parameters)[: len(arrays)]
    return check(lambda *a: forward(*a, **kwargs), backward, *arrays, seed=seed, title=case.name, names=names,
                 **settings)  # fmt: skip


def check_all(variant: str | None = None, *, ops: Sequence[str] = (), seed: int = 0, **settings: Any) -> list[Report]:
    """Check every op, or these, in every variant, or in the given one where it exists."""
    return [check_op(op, name, seed=seed, **settings)
            for op in ops or find_ops() for name in sorted(find_variants(op), reverse=True)
            if variant in (None, name)]  # fmt: skip


def run(names: Sequence[str] = (), *, json: bool = False, seed: int = 0) -> tuple[str, bool]:
    """What `tinysegnet gradcheck [OP ...]` prints (a table, then every refused op in full), and whether all passed."""
    for op in names:
        find_variants(op)  # an unknown name is an error before anything is checked
    reports = check_all(ops=names, seed=seed)
    ok = all(report.ok for report in reports)
    if json:
        return json_format.dumps({"ok": ok, "checks": [report.to_dict() for report in reports]}, indent=1), ok
    failed = [str(report) for report in reports if not report.ok]
    return "\n\n".join([table(reports), *failed]), ok
