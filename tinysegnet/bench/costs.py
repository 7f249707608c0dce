"""The minimum cost of a workload, computed from shapes, and the cost of the algorithms that compute it.

Winograd's algorithms need fewer multiplications than counted in `flops`, so a convolution may exceed the machine's
peak. `explain` lists the algorithm of each convolution and its cost according to `ops.engine.cost_model`.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from math import prod

from ..models import build
from ..models.summary import layer_shapes
from ..ops.engine import cost_model
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
    if workload.model:  # without elementwise layers, as a convolution can apply them to values in registers
        values, before = 0, workload.shape
        for row in _summary(workload.model, workload.shape).rows:
            if row.multiply_adds or row.output_shape[1:3] != before[1:3]:
                values += prod(before) + prod(row.output_shape) + row.parameters
            before = row.output_shape  # type: ignore[assignment]
        return FLOAT * values * (2 if workload.kind == "train" else 1)
    C, F = workload.shape[3], workload.features
    others = FLOAT * workload.kernel**2 * C * F + x // C * F  # weight and output
    dx = x * workload.input_gradient
    return x + others + (dx + others) * workload.backward


def bound_by_memory(workload: Workload) -> bool:
    """Return whether the workload has no matrix products, so that memory bandwidth limits its speed."""
    return workload.kind in ELEMENTWISE


_summary = cache(lambda model, shape: build(model, CLASSES).summary(shape[1:3], batch_size=shape[0]))
Shape = tuple[int, ...]

#: The text above the tables.
LEGEND = """The algorithm of each convolution, its cost in millions of multiply-adds, and that cost as a share of the
next best algorithm's. Costs are estimates: other work is counted as multiply-adds that take the same time."""


def convolutions(workload: Workload) -> Iterator[str]:
    """Yield one line per convolution of a workload, in order."""
    if workload.kind == "conv":
        weight = (workload.kernel, workload.kernel, workload.shape[3], workload.features)
        yield _row(workload.name, workload.shape, weight, workload.backward, workload.input_gradient)
    if workload.model:
        input_gradient = False  # the picture needs no gradient
        for name, layer, before, _ in layer_shapes(build(workload.model, CLASSES).layers, workload.shape):
            if "weight" in layer.params:
                yield _row(name, before, layer.params["weight"].shape, workload.backward, input_gradient)
                input_gradient = True


def explain(workloads: Sequence[Workload]) -> str:
    """Return one table of single convolutions and one per network; training includes the convolutions of inference."""
    trained = {(workload.model, workload.shape) for workload in workloads if workload.kind == "train"}
    shown = [w for w in workloads if w.kind != "infer" or (w.model, w.shape) not in trained]
    single = [line for workload in shown if not workload.model for line in convolutions(workload)]
    tables = [("single convolutions", single), *((w.name, convolutions(w)) for w in shown if w.model)]
    titles = "input", "kernel", "forward", "dx", "dweight"
    return "\n\n".join(
        [LEGEND, *("\n".join([_line(title, *titles), "-" * 119, *rows]) for title, rows in tables if rows)]
    )


def _row(name: str, input_shape: Shape, weight_shape: Shape, backward: bool, input_gradient: bool) -> str:
    """Describe a convolution with stride 1 and "same" padding: input (N, H, W, C), weight (K, K, C, F)."""
    (N, H, W, C), (K, _, _, F) = input_shape, weight_shape
    cells = [_algorithm(cost_model.convolution_costs(weight_shape, (1, 1), (N, H, W, F)))]
    if backward:
        rotated = cost_model.convolution_costs((K, K, F, C), (1, 1), input_shape)  # for dx
        cells += [_algorithm(rotated) if input_gradient else "not needed"]
        cells += [_algorithm(cost_model.weight_gradient_costs(weight_shape, (1, 1), (N, H, W, F)))]
    return _line(name, f"{N}x{H}x{W}", f"{K}x{K} {C}->{F}", *cells)


def _line(name: str, size: str, kernel: str, *cells: str) -> str:
    return f"{name:<20} {size:<10} {kernel:<12}{''.join(f' {cell:<24}' for cell in cells)}".rstrip()


def _algorithm(costs: dict[str, float]) -> str:
    """Return the best algorithm, its cost, and its relative cost, for example "winograd_f4x3 1234 45%"."""
    best, *others = sorted(costs, key=costs.__getitem__)
    share = f" {costs[best] / costs[others[0]]:.0%}" if others else ""
    return f"{best} {costs[best] / 1e6:.0f}{share}"
