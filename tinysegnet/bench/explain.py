"""The algorithm of each convolution, and its cost according to `ops.engine.cost_model`."""

from collections.abc import Iterable, Iterator, Sequence

from ..models import build
from ..models.summary import layer_shapes
from ..ops.engine import cost_model
from .workloads import CLASSES, Workload

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
    tables = [_table("single convolutions", single)] if single else []
    tables += [_table(workload.name, convolutions(workload)) for workload in shown if workload.model]
    return "\n\n".join([LEGEND, *tables])


def _table(title: str, rows: Iterable[str]) -> str:
    head = _line(title, "input", "kernel", "forward", "dx", "dweight")
    return "\n".join([head, "-" * 119, *rows])


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
