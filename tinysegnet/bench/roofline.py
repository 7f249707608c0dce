"""Results as dots of a roofline figure."""

from __future__ import annotations

from collections.abc import Sequence

from ..viz import Dot
from . import costs
from .measure import Result

__all__ = ["roofline_dots"]


def roofline_dots(results: Sequence[Result]) -> list[Dot]:
    """One dot per workload that was timed."""
    dots = []
    for result in results:
        if result.seconds:
            flops, traffic = costs.flops(result.workload), costs.traffic(result.workload)
            peer = flops / result.peer_seconds if result.peer_seconds else None
            dots.append(Dot(result.workload.name, flops / traffic, flops / result.seconds, _kind(result), peer))
    return dots


def _kind(result: Result) -> str:
    if result.workload.model:
        return "network"
    return "memory" if costs.bound_by_memory(result.workload) else "convolution"
