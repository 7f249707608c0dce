"""The minimum cost of a workload, computed from shapes: arithmetic operations, and bytes to and from memory.

Winograd's algorithms need fewer multiplications than counted here, so a convolution may exceed the machine's peak.
"""

from functools import cache
from math import prod

from ..models import Summary, build
from .workloads import CLASSES, Workload

FLOAT = 4  #: Bytes per float32 value.
#: Operations per input value, forward and backward together, of workloads without matrix products.
ELEMENTWISE = {"batchnorm_relu": 14.0, "pool_unpool": 4.0, "loss": 6.0}


def flops(workload: Workload) -> float:
    """Return the number of operations. A multiply-add counts as two, and a backward pass as two forward passes."""
    if bound_by_memory(workload):
        return ELEMENTWISE[workload.kind] * prod(workload.shape)
    if workload.kind == "conv":
        forward = 2 * prod(workload.shape) * workload.kernel**2 * workload.features
        return forward * (1 + workload.backward * (1 + workload.input_gradient))
    rows = _summary(workload.model, workload.shape).rows
    products = [2 * row.multiply_adds for row in rows if row.multiply_adds]
    return 3 * sum(products) - products[0] if workload.kind == "train" else sum(products)  # no dx of the picture


def traffic(workload: Workload) -> float:
    """Return the bytes of inputs, outputs and weights; for a network, the sum over convolutions and pooling layers."""
    x = FLOAT * prod(workload.shape)
    if workload.kind == "loss":
        return 2 * x + x / workload.shape[3] / FLOAT  # labels have one byte per pixel
    if bound_by_memory(workload):
        return 4 * x
    if workload.model:
        return _network_traffic(workload)
    C, F = workload.shape[3], workload.features
    others = FLOAT * workload.kernel**2 * C * F + x // C * F  # weight and output
    dx = x * workload.input_gradient
    return x + others + (dx + others) * workload.backward


def _network_traffic(workload: Workload) -> float:
    """Ignore elementwise layers, since a convolution can apply them to values that are already in registers."""
    values, before = 0, workload.shape
    for row in _summary(workload.model, workload.shape).rows:
        if row.multiply_adds or row.output_shape[1:3] != before[1:3]:
            values += prod(before) + prod(row.output_shape) + row.parameters
        before = row.output_shape  # type: ignore[assignment]
    return FLOAT * values * (2 if workload.kind == "train" else 1)


def bound_by_memory(workload: Workload) -> bool:
    """Return whether the workload has no matrix products, so that memory bandwidth limits its speed."""
    return workload.kind in ELEMENTWISE


@cache
def _summary(model: str, shape: tuple[int, int, int, int]) -> Summary:
    return build(model, CLASSES).summary(shape[1:3], batch_size=shape[0])
