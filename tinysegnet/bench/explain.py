"""The algorithm of each convolution, and its cost according to `ops.engine.cost_model`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..models import build
from ..models.summary import layer_shapes
from ..ops.engine import cost_model
from .workloads import CLASSES, Workload

#: The text above the tables.
LEGEND = """The algorithm of each convolution, its cost in millions of multiply-adds, and that cost as a share of the
next best algorithm's. Costs are estimates: other work is counted as multiply-adds that take the same time."""


class ConvolutionShapes(NamedTuple):
    """A convolution with stride 1 and "same" padding: input (N, H, W, C), weight (K, K, C, F)."""

    name: str
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    backward: bool
    input_gradient: bool


def convolutions(workload: Workload) -> Iterator[ConvolutionShapes]:
    """Yield all convolutions of a workload, in order."""
    if workload.kind == "conv":
        weight = (workload.kernel, workload.kernel, workload.shape[3], workload.features)
        yield ConvolutionShapes(workload.name, workload.shape, weight, workload.backward, workload.input_gradient)
    if workload.model:
        input_gradient = False  # the picture needs no gradient
        for name, layer, before, _ in layer_shapes(build(workload.model, CLASSES).layers, workload.shape):
            if "weight" in layer.params:
                weight = layer.params["weight"].shape
                yield ConvolutionShapes(name, before, weight, workload.backward, input_gradient)
                input_gradient = True


def explain(workloads: Sequence[Workload]) -> str:
    """Return one table of single convolutions and one per network; training includes the convolutions of inference."""
    trained = {(workload.model, workload.shape) for workload in workloads if workload.kind == "train"}
    shown = [w for w in workloads if w.kind != "infer" or (w.model, w.shape) not in trained]
    ops = [convolution for w in shown if w.kind == "conv" for convolution in convolutions(w)]
    tables = [_table("single convolutions", ops)] if ops else []
    tables += [_table(workload.name, convolutions(workload)) for workload in shown if workload.model]
    return "\n\n".join([LEGEND, *tables])


def _table(title: str, rows: Iterable[ConvolutionShapes]) -> str:
    head = _line(title, "input", "kernel", "forward", "dx", "dweight")
    return "\n".join([head, "-" * 119, *map(_row, rows)])


def _row(convolution: ConvolutionShapes) -> str:
    N, H, W, C = convolution.input_shape
    K, _, _, F = convolution.weight_shape
    cells = [_algorithm(cost_model.convolution_costs(convolution.weight_shape, (1, 1), (N, H, W, F)))]
    if convolution.backward:
        rotated = cost_model.convolution_costs((K, K, F, C), (1, 1), convolution.input_shape)  # for dx
        cells += [_algorithm(rotated) if convolution.input_gradient else "not needed"]
        cells += [_algorithm(cost_model.weight_gradient_costs(convolution.weight_shape, (1, 1), (N, H, W, F)))]
    return _line(convolution.name, f"{N}x{H}x{W}", f"{K}x{K} {C}->{F}", *cells)


def _line(name: str, size: str, kernel: str, *cells: str) -> str:
    return f"{name:<20} {size:<10} {kernel:<12}{''.join(f' {cell:<24}' for cell in cells)}".rstrip()


def _algorithm(costs: dict[str, float]) -> str:
    """Return the best algorithm, its cost, and its relative cost, for example "winograd_f4x3 1234 45%"."""
    best, *others = sorted(costs, key=costs.__getitem__)
    share = f" {costs[best] / costs[others[0]]:.0%}" if others else ""
    return f"{best} {costs[best] / 1e6:.0f}{share}"
