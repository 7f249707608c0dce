"""Planted bugs: 26 that real libraries have had, and two of transposed convolution. They test the checker, and teach.

    bug = bugs["dx_kernel_flipped"]
    bug.sentence                                  what is wrong
    check_op(bug.op, pair=bug.pair)               the check goes red
    bug.caught_by                                 the laws that refuse it
    compare_op(bug.op, *bug.pair)                 how far its results are from the library's

Each is the real NumPy op but for one mistake. tests/lessons/test_planted_bugs.py holds the table of who catches which.
"""

from . import convolution, losses, normalization, pooling
from .compare import compare_op
from .planted import Bug
from .planted import bugs as _bugs

__all__ = ["Bug", "bugs", "compare_op"]

#: in the order of their numbers, so that a table of them is the tests' table
bugs: dict[str, Bug] = dict(sorted(_bugs.items(), key=lambda item: item[1].number))
