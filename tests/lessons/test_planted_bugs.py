"""Planted bugs: 26 that occurred in real libraries, two of transposed convolution, and what catches each of them.

A bug is a variant of a real NumPy op with one mistake. The lessons use the bugs of lessons/tinysegnet_lessons/bugs. The
checker sees only the variant's forward and backward. The comparison uses PyTorch's frozen answers (tests/golden).

     #  planted bug                                            checker   comparison
     1  loss gradient not divided by the count                    x          x
     2  bias gradient: mean instead of sum                        x          x
     3  bias gradient from the first sample only                  x          x
     4  dx with the kernel flipped                                x          x
     5  dweight with its two kernel axes swapped                  x          x
     6  dweight overwritten sample by sample, not added up        x          x
     7  dx: taps assign instead of adding                         x          x
     8  padding of dx cropped from the wrong side                 x          x
     9  batch norm drops the mean term                            x          x
    10  batch norm drops the variance term                        x          x
    11  batch norm: backward divides the variance by m - 1        x          x
    12  batch norm: gamma missing in dx                           x          x
    13  ReLU masks by the sign of dout                            x          x
    14  a pool's tie: every maximum gets the gradient             -          x
    15  flat indices with a wrong row stride                      x          x
    16  unpool's backward reads a fixed corner                    x          x
    17  overlapping pool gradients overwritten, not added         x          x
    18  void pixels get a gradient                                x          x
    19  void pixels counted in the gradient's divisor             x          x
    20  class weight forgotten in the gradient                    x          x
    21  the cache is shared: a second forward replaces it         x          -
    22  backward writes to dout                                   x          -
    23  kernel flipped, in forward and backward alike             -          x
    24  batch norm's variance divided by m - 1, in both           -          x
    25  "weights" divides by the count, in both                   -          x
    26  ReLU's slope at 0 is 1                                    -          x
    27  transposed: dx with the kernel flipped                    x          x
    28  transposed: output_size cropped from the wrong side       -          x

The checker alone catches 22 bugs. It proves only that backward matches forward, so it misses 23-25 and 28, which change
both alike. It also misses 14 and 26, which change the gradient where no slope exists. The comparison misses 21 and 22,
because it calls forward and backward only once.
"""

from __future__ import annotations

import golden_values
import numpy as np
import pytest
from forms import amount

from tinysegnet.gradcheck import check_op, find_variants
from tinysegnet.ops.loss import softmax_cross_entropy_backward_numpy, softmax_cross_entropy_forward_numpy
from tinysegnet_lessons.bugs import bugs, compare_op

CAUGHT_BY_CHECKER = {*range(1, 29)} - {14, 23, 24, 25, 26, 28}
OPS = sorted({bug.op for bug in bugs.values()})
WRONG_TENSOR = {2: "bias", 3: "bias", 4: "x", 5: "weight", 6: "weight", 7: "x", 8: "x"}  # by the number of the bug


def test_there_are_28_bugs_and_the_checker_sees_22():
    assert {bug.number for bug in bugs.values()} == set(range(1, 29))
    assert {bug.number for bug in bugs.values() if bug.seen_by_checker} == CAUGHT_BY_CHECKER
    assert len(CAUGHT_BY_CHECKER) == 22
    assert all(name == bug.name and bug.caught_by and bug.sentence.endswith(".") for name, bug in bugs.items())


def test_table_in_this_docstring_matches_the_bugs():
    rows = [line.split() for line in __doc__.splitlines() if line[:6].strip().isdigit()]
    table = {int(number): (checker == "x", comparison == "x") for number, *_, checker, comparison in rows}
    assert table == {bug.number: (bug.seen_by_checker, bug.seen_by_comparison) for bug in bugs.values()}


@pytest.mark.parametrize("bug", list(bugs.values())[:: amount(4, 1)], ids=lambda bug: f"{bug.number} {bug.name}")
def test_planted_bug_is_caught_as_declared(bug):
    report = check_op(bug.op, pair=bug.pair)
    assert report.ok == (not bug.seen_by_checker), f"\n{report}"
    assert set(report.broken_laws) == set(bug.caught_by) - {"comparison"}, f"\n{report}"
    assert golden_values.agrees(bug.op, *bug.pair) == (not bug.seen_by_comparison)
    if bug.seen_by_checker:
        assert report.verdict in ("bug", "contract")
    if bug.number in WRONG_TENSOR:
        assert {tensor.name for tensor in report.all_tensors() if not tensor.ok} == {WRONG_TENSOR[bug.number]}
    if bug.hint:
        assert bug.hint in str(report), f"\n{report}"


@pytest.mark.parametrize("bug", bugs.values(), ids=lambda bug: f"{bug.number} {bug.name}")
def test_comparison_with_the_library_agrees_with_pytorchs_answers(bug):
    assert (compare_op(bug.op, *bug.pair) > 1e-10) == bug.seen_by_comparison


@pytest.mark.parametrize("op", OPS[: amount(2, None)])
def test_real_ops_pass_checker_and_comparison(op):
    pair = find_variants(op)["numpy"]
    assert check_op(op, pair=pair).ok
    assert golden_values.agrees(op, *pair)
    assert compare_op(op, *pair) == 0


def test_comparison_detects_other_shapes_and_lost_nans():
    def flat(dloss, cache):
        return softmax_cross_entropy_backward_numpy(dloss, cache).ravel()

    assert compare_op("softmax_cross_entropy", softmax_cross_entropy_forward_numpy, flat) == np.inf
    assert compare_op("relu", lambda x: (x, x), lambda dout, cache: dout * np.nan) == np.inf
