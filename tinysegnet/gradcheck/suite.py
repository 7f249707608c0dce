"""Gradient checks of the library's ops: every op of `tinysegnet.ops.REGISTRY`, in every variant."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import ShapeError, unknown_name
from ..ops import REGISTRY, Variant
from ..runtime.progress import track
from .cases import cases_of
from .checker import check
from .results import Report, table

COMPLETE = ("numpy", "numba")  # variants that support every case; others may raise a ShapeError for some shapes


def find_ops() -> list[str]:
    """Return the names of the public ops, such as "conv2d" for `tinysegnet.ops.conv2d_forward`."""
    return sorted(REGISTRY)


def find_variants(op: str) -> dict[str, Variant]:
    """Return the variants of an op by name, such as "numpy". Raise ShapeError for an unknown op."""
    if op not in REGISTRY:
        raise ShapeError(unknown_name("op", op, find_ops()))
    return REGISTRY[op].variants


def _pair(op: str, variant: str | None) -> Variant:
    variants = find_variants(op)
    if variant is None:
        return Variant(REGISTRY[op].forward, REGISTRY[op].backward)
    if variant not in variants:
        raise ShapeError(f"{op} has no variant {variant!r}; its variants are {', '.join(variants)}")
    return variants[variant]


def check_op(op: str, variant: str | None = None, *, seed: int = 0, pair: tuple[Callable, Callable] | None = None,
             backward: Callable | None = None, **settings: Any) -> Report:  # fmt: skip
    """Check one op of the library on all its cases, as in `check_op("conv2d")` or `check_op("relu", "numba")`.

    Args:
        op, variant: names in `ops.REGISTRY`. With None as the variant, the public functions are checked.
        seed: the seed of the arguments and of dout.
        pair: another (forward, backward) to check on the cases of this op, such as your own.
        backward: another backward to check, which takes the caches of the NumPy forward.
        settings: as for `check`.

    Raises ShapeError for an unknown name, or an op without a case.
    """
    own = ", backward=..." if backward is not None else ", pair=..." if pair else ""
    if backward is not None:
        pair = _pair(op, "numpy")[0], backward
    forward, backward = pair or _pair(op, variant)
    cases = [case for case in cases_of(op) if case.gradient]
    if not cases:
        raise ShapeError(f"{op} has no case with a gradient in tinysegnet/gradcheck/cases.toml")
    title = op + (f" [{variant}]" if variant else "")
    arguments = list(inspect.signature(REGISTRY[op].forward).parameters)
    parts, refused = [], 0
    for case in cases:
        arrays, kwargs = case.arguments(seed)
        more = {"seed": seed, "title": case.name, "names": arguments[: len(arrays)], **settings}
        try:
            parts.append(check(partial(forward, **kwargs), backward, *arrays, **more))
        except ShapeError:
            if pair or variant is None or variant in COMPLETE:
                raise
            refused += 1
    problems = [] if parts else [f"the variant supports none of the {refused} cases"]
    call = f'ts.gradcheck.check_op("{op}"' + (f', "{variant}"' if variant else "") + f"{own}, seed={seed})"
    return Report(title, parts=[replace(part, reproduce=call) for part in parts], problems=problems, refused=refused)


def check_all(variant: str | None = None, *, ops: Sequence[str] = (), seed: int = 0, progress: Any = iter,
              **settings: Any) -> list[Report]:  # fmt: skip
    """Check the given ops, or all, in every variant, or in the given variant where it exists.

    `progress` wraps the loop over the ops, such as tqdm.
    """
    return [check_op(op, name, seed=seed, **settings)
            for op in progress(ops or find_ops()) for name in sorted(find_variants(op), reverse=True)
            if variant in (None, name)]  # fmt: skip


def run(names: Sequence[str] = (), *, seed: int = 0) -> tuple[str, bool]:
    """Return the table of `tinysegnet gradcheck [OP ...]` with the failed checks, and whether all passed."""
    for op in names:
        find_variants(op)  # so that an unknown name raises an error before the first check
    reports = check_all(ops=names, seed=seed, progress=track("checking ops"))
    failed = [str(report) for report in reports if not report.ok]
    return "\n\n".join([table(reports), *failed]), not failed
