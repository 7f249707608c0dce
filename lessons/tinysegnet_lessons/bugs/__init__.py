"""Planted bugs: 26 that real libraries have had, and two of transposed convolution. They test the checker, and teach.

    bug = bugs["dx_kernel_flipped"]
    bug.sentence                                  what is wrong
    check_op(bug.op, pair=bug.pair)               the check goes red
    bug.caught_by                                 the laws that refuse it

Each is the real NumPy op but for one mistake. tests/lessons/test_planted_bugs.py holds the table of who catches which.
"""

from . import convolution, losses, normalization, pooling
from .planted import Bug
from .planted import bugs as _bugs

__all__ = ["Bug", "bugs"]

#: in the order of their numbers, so that a table of them is the tests' table
bugs: dict[str, Bug] = dict(sorted(_bugs.items(), key=lambda item: item[1].number))
