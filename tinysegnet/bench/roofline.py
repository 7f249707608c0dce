"""Results as dots of a roofline."""

from __future__ import annotations

from collections.abc import Sequence

from ..viz import Dot
from . import costs
from .measure import Result

__all__ = ["dots"]


def dots(results: Sequence[Result]) -> list[Dot]:
    """A dot for each work that was timed."""
    return [
        Dot(r.work.name, costs.flops(r.work) / costs.traffic(r.work), r.rate, _kind(r),
            costs.flops(r.work) / r.peer_seconds if r.peer_seconds else None)
        for r in results if r.rate
    ]  # fmt: skip


def _kind(result: Result) -> str:
    return "network" if result.work.model else "memory" if costs.bound_by_memory(result.work) else "convolution"
