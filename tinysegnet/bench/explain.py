"""Which algorithm computes each convolution, and what the cost model expects it to cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..layers import Conv2d
from ..models import build
from ..ops.engine import cost_model
from .ours import CLASSES
from .workloads import Work

__all__ = ["Convolution", "convolutions", "explain"]


LEGEND = """The algorithm of each convolution and its cost < that of the next best one, in millions of multiply-adds.
The costs are estimates of ops/engine/cost_model.py; other work counts as the multiply-adds that take the same time."""


class Convolution(NamedTuple):
    """A convolution with stride 1 and "same" padding: input (N, H, W, C), weight (K, K, C, F)."""

    name: str
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, int, int, int]
    backward: bool
    input_gradient: bool


def convolutions(work: Work) -> Iterator[Convolution]:
    """All that happen in a work."""
    if work.kind == "conv":
        weight = (work.kernel, work.kernel, work.shape[3], work.features)
        yield Convolution(work.name, work.shape, weight, work.backward, work.input_gradient)
    if work.model:
        gradient = False  # of the picture
        for name, layer, before, _ in build(work.model, CLASSES).output_shapes(work.shape):
            if isinstance(layer, Conv2d):
                yield Convolution(name, before, layer.params["weight"].shape, work.backward, gradient)
                gradient = True


def explain(works: Sequence[Work]) -> str:
    """A table for the single convolutions and one for each network, its training if there are both."""
    trained = {(work.model, work.shape) for work in works if work.kind == "train"}
    works = [work for work in works if work.kind != "infer" or (work.model, work.shape) not in trained]
    ops = [conv for work in works if work.kind == "conv" for conv in convolutions(work)]
    tables = [("single convolutions", ops)] if ops else []
    tables += [(work.name, list(convolutions(work))) for work in works if work.model]
    return "\n\n".join([LEGEND, *(_table(title, convs) for title, convs in tables)])


def _table(title: str, convs: Sequence[Convolution]) -> str:
    head = f"{title:<22} {'input':<16} {'kernel':<13} {'forward':<26} {'dx':<26} {'dweight':<26}".rstrip()
    return "\n".join([head, "-" * 133, *map(_row, convs)])


def _row(conv: Convolution) -> str:
    N, H, W, C = conv.input_shape
    K, _, _, F = conv.weight_shape
    choices = [_choice(cost_model.convolution_costs(conv.weight_shape, (1, 1), (N, H, W, F)))]
    if conv.backward:
        rotated = cost_model.convolution_costs((K, K, F, C), (1, 1), conv.input_shape)  # as conv.py does it
        choices += [_choice(rotated) if conv.input_gradient else "not needed"]
        choices += [_choice(cost_model.weight_gradient_costs(conv.weight_shape, (1, 1), (N, H, W, F)))]
    cells = "".join(f" {choice:<26}" for choice in choices)
    return f"{conv.name:<22} {f'{N}x{H}x{W}':<16} {f'{K}x{K} {C}->{F}':<13}{cells}".rstrip()


def _choice(costs: dict[str, float]) -> str:
    best, *others = sorted(costs, key=costs.__getitem__)
    return f"{best} " + " < ".join(f"{costs[name] / 1e6:.0f}" for name in [best, *others[:1]])
