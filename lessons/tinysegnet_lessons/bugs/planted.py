"""The class of planted bugs and their registry.

@planted(4, "conv2d", "dx_kernel_flipped", "One sentence that says what is wrong.", hint="...")
def _(dout, cache): ...                     the wrong backward; forward is the op's own

@planted_in_both(23, "conv2d", ...)
def _(): return forward, backward           both are wrong
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinysegnet.gradcheck.suite import find_variants

__all__ = ["BOTH", "COMPARISON", "GRADIENT", "LINEARITY", "REPEATABILITY", "UNWRITTEN", "Bug", "bugs", "planted",
           "planted_in_both"]  # fmt: skip

# The first four are laws of the checker (`Report.broken_laws`); the last is the comparison by `compare_op`.
GRADIENT, LINEARITY, REPEATABILITY, UNWRITTEN = "gradient", "linear in dout", "repeatable", "arguments unwritten"
COMPARISON = "comparison"
BOTH = (GRADIENT, COMPARISON)


@dataclass(frozen=True)
class Bug:
    """A variant of a NumPy op with one mistake in forward or backward.

    `number` is the bug's row in the table of tests/lessons/test_planted_bugs.py, and `sentence` says what is wrong.
    `caught_by` lists every law that detects the bug. `hint` is a part of the checker's hint, or None.
    """

    name: str
    number: int
    op: str
    forward: Callable
    backward: Callable
    sentence: str
    caught_by: tuple[str, ...]
    hint: str | None = None

    @property
    def pair(self) -> tuple[Callable, Callable]:
        """Return (forward, backward) for `check_op(bug.op, pair=bug.pair)`."""
        return self.forward, self.backward

    @property
    def seen_by_checker(self) -> bool:
        """Return whether `check_op` refuses the bug."""
        return set(self.caught_by) != {COMPARISON}

    @property
    def seen_by_comparison(self) -> bool:
        """Return whether a comparison with the right results reveals the bug."""
        return COMPARISON in self.caught_by


bugs: dict[str, Bug] = {}


def planted(number: int, op: str, name: str, sentence: str, caught_by: tuple[str, ...] = BOTH,
            hint: str | None = None) -> Callable:  # fmt: skip
    """Register the decorated function as a wrong backward."""

    def register(backward: Callable) -> Callable:
        forward, _ = find_variants(op)["numpy"]
        bugs[name] = Bug(name, number, op, forward, backward, sentence, caught_by, hint)
        return backward

    return register


def planted_in_both(number: int, op: str, name: str, sentence: str,
                    caught_by: tuple[str, ...] = (COMPARISON,)) -> Callable:  # fmt: skip
    """Register the wrong (forward, backward) that the decorated function returns."""

    def register(pair: Callable) -> Callable:
        forward, backward = pair()
        bugs[name] = Bug(name, number, op, forward, backward, sentence, caught_by)
        return pair

    return register
