"""Planted bugs: 26 that occurred in real libraries, and two of transposed convolution, for tests and teaching.

    bug = bugs["dx_kernel_flipped"]
    bug.sentence                                  what is wrong
    check_op(bug.op, pair=bug.pair)               the check fails
    bug.caught_by                                 the laws that detect it
    compare_op(bug.op, *bug.pair)                 how far its results are from the library's

Each bug is the real NumPy op with one mistake. The table in tests/lessons/test_planted_bugs.py shows which checks
detect it.
"""

from . import convolution, losses, normalization, pooling
from .compare import compare_op
from .planted import Bug
from .planted import bugs as _bugs

__all__ = ["Bug", "bugs", "compare_op"]

#: the bugs by name, in the order of their numbers
bugs: dict[str, Bug] = dict(sorted(_bugs.items(), key=lambda item: item[1].number))
