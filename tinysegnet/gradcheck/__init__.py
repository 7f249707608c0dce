"""Gradient checks, which compare a hand-written backward with its forward and explain the errors they find.

    check(forward, backward, *arrays)      any NumPy layer
    check_op("conv2d"), check_all()        the library's own ops, from their registry
    check_model(model)                     a whole network, parameter by parameter

Read the modules in this order: differences (how a slope is measured and judged), contract (what a layer must and must
not do), checker, hints (what a wrong gradient looks like), results, cases and suite (the ops), network_check.
"""

from .cases import CASES, Case
from .checker import check
from .network_check import check_model
from .results import Report, TensorReport, table
from .suite import check_all, check_op, find_ops, find_variants, run

__all__ = ["CASES", "Case", "Report", "TensorReport", "check", "check_all", "check_model", "check_op",
           "find_ops", "find_variants", "run", "table"]  # fmt: skip
