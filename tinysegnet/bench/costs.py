"""What a work costs at least, from shapes alone: operations of its mathematics, and bytes to and from memory.

Winograd's way multiplies less than is counted here, so a convolution may exceed the peak of plain products.
"""

from __future__ import annotations

from functools import cache
from math import prod

from ..models import Summary, build
from .ours import CLASSES
from .workloads import Work

__all__ = ["bound_by_memory", "flops", "summary", "traffic"]

FLOAT = 4  # bytes
# Works without products: operations for each number of the input, forward and backward, counted on the formulas.
# Pooling has hardly any: one for each number in each of its four passes.
ELEMENTWISE = {"batchnorm_relu": 14.0, "pool_unpool": 4.0, "loss": 6.0}


def flops(work: Work) -> float:
    """Operations of the definition; a multiply-add is two. A backward is twice the forward: dx and dweight."""
    if bound_by_memory(work):
        return ELEMENTWISE[work.kind] * prod(work.shape)
    if work.kind == "conv":
        forward = 2 * prod(work.shape) * work.kernel**2 * work.features
        return forward * (1 + work.backward * (1 + work.input_gradient))
    products = [2 * row.multiply_adds for row in summary(work).rows if row.multiply_adds]
    return 3 * sum(products) - products[0] if work.kind == "train" else sum(products)  # no dx for the picture


def traffic(work: Work) -> float:
    """Bytes of inputs, outputs and weights, each once; of a network, of each convolution and pooling."""
    x = FLOAT * prod(work.shape)
    if bound_by_memory(work):
        return {"batchnorm_relu": 4 * x, "pool_unpool": 4 * x, "loss": 2 * x + x / work.shape[3] / FLOAT}[work.kind]
    if work.kind == "conv":
        weight = FLOAT * work.kernel**2 * work.shape[3] * work.features
        return _both_ways(work, x, weight + x // work.shape[3] * work.features)
    return _network_traffic(work)


def _both_ways(work: Work, x: float, others: float) -> float:
    """Each array, and with a backward its gradient."""
    return (x + others) * (1 + work.backward) - (x if work.backward and not work.input_gradient else 0)


def _network_traffic(work: Work) -> float:
    """Batch norm and ReLU are not counted: they can happen while a convolution has the numbers anyway."""
    numbers, before = 0, prod(work.shape)
    for row in summary(work).rows:
        if row.kind in ("Conv2d", "MaxPool2d", "MaxUnpool2d"):
            numbers += before + prod(row.output_shape) + row.parameters
        before = prod(row.output_shape)
    return FLOAT * numbers * (2 if work.kind == "train" else 1)


def bound_by_memory(work: Work) -> bool:
    """Has the work no products, so that the speed of memory sets its pace?"""
    return work.kind in ELEMENTWISE


def summary(work: Work) -> Summary:
    """Of a network at the work's size."""
    return _summary(work.model, work.shape)


@cache
def _summary(model: str, shape: tuple[int, int, int, int]) -> Summary:
    return build(model, CLASSES).summary(shape[1:3], batch_size=shape[0])
