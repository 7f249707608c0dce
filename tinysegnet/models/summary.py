"""What a network costs: parameters, memory and multiply-adds, layer by layer, computed from shapes alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers import Dropout, Layer, MaxPool2d, MaxUnpool2d, SkipSource

if TYPE_CHECKING:
    from .network import Network

__all__ = ["LayerRow", "Summary", "summarize"]


@dataclass(frozen=True)
class LayerRow:
    """One layer. kept: bytes of activations that training holds on to for backward; indices: bytes of pool indices;
    crossing: bytes that wait here for the decoder, indices or maps.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    kept: int
    indices: int
    crossing: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """The rows and their totals; `print` shows a table. All memory in bytes, for one batch. kernels: the numbers in the
    convolutions' weights, which papers count.
    """

    model: str
    input_shape: tuple[int, ...]
    itemsize: int
    rows: tuple[LayerRow, ...]
    kernels: int

    def total(self, column: str) -> int:
        """Sum of a column of the rows: "parameters", "kept", "indices", "multiply_adds"."""
        return sum(getattr(row, column) for row in self.rows)

    @property
    def gflops(self) -> float:
        """Of one forward, in 1e9; a multiply-add is two."""
        return 2 * self.total("multiply_adds") / 1e9

    @property
    def training_bytes(self) -> int:
        """Weights, gradients, momentum, kept activations and indices: what a step with SGD holds at least."""
        return 3 * self.total("parameters") * self.itemsize + self.total("kept") + self.total("indices")

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "model": self.model,
            "input_shape": self.input_shape,
            "parameters": self.total("parameters"),
            "kernel_parameters": self.kernels,
            "activation_bytes": self.total("kept"),
            "index_bytes": self.total("indices"),
            "crossing_bytes": self.total("crossing"),
            "gflops": self.gflops,
            "training_bytes": self.training_bytes,
            "layers": [asdict(row) for row in self.rows],
        }

    def __str__(self) -> str:
        head = f"{'layer':<20} {'kind':<17} {'output':<22} {'parameters':>11} {'kept':>9} {'indices':>9} {'GFLOP':>8}"
        lines = [f"{self.model}, input {self.input_shape}", "", head, "-" * len(head)]
        for row in self.rows:
            shape = " x ".join(map(str, row.output_shape))
            parameters = f"{row.parameters:,}" if row.parameters else ""
            lines.append(f"{row.name:<20} {row.kind:<17} {shape:<22} {parameters:>11} {_size(row.kept):>9} "
                         f"{_size(row.indices):>9} {_gflop(row.multiply_adds):>8}")  # fmt: skip
        lines += ["-" * len(head), *self._totals()]
        return "\n".join(lines)

    def _totals(self) -> list[str]:
        parameters, indices = self.total("parameters"), self.total("indices")
        return [
            f"parameters       {parameters:,} ({_size(parameters * self.itemsize)}), {self.kernels:,} in kernels",
            f"activations      {_size(self.total('kept'))} kept for backward",
            f"pool indices     {_size(indices)} at 2 bits a 2x2 window; as PyTorch's int64 {_size(32 * indices)}",
            f"crossing         {_size(self.total('crossing')) or 'nothing'} from the encoder to the decoder",
            f"forward          {self.gflops:.2f} GFLOP (a multiply-add is 2)",
            f"training step    {3 * self.gflops:.2f} GFLOP, {_size(self.training_bytes)} held"
            " (weights, gradients, momentum, activations, indices)",
        ]


def _size(count: float) -> str:
    if not count:
        return ""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count} B"
        count /= 1000
    return f"{count:.3g} GB"


def _gflop(multiply_adds: int) -> str:
    return f"{2 * multiply_adds / 1e9:.3f}" if multiply_adds else ""


def summarize(network: Network, size: tuple[int, int], batch_size: int) -> Summary:
    """Walk the shapes down the line. An activation that two layers keep is one array and counts once."""
    itemsize, counted, rows = network.dtype.itemsize, set(), []
    used = {layer.pool for layer in network.layers.values() if type(layer) is MaxUnpool2d}
    alone = {step.name for step in network.steps}  # a ReLU within the step before it keeps nothing
    input_shape = (batch_size, *size, 3)
    array = 0  # number of the one between two layers
    for name, layer, before, after in network.output_shapes(input_shape):
        ahead = array if isinstance(layer, SkipSource) else array + 1  # a tap passes its input on
        number, shape = {"input": (array, before), "output": (ahead, after)}.get(layer.keeps or "", (None, ()))
        bytes_kept = 0
        if number is not None and number not in counted and name in alone:
            bytes_kept = int(np.prod(shape)) * itemsize
            counted.add(number)
        if isinstance(layer, Dropout):
            bytes_kept = int(np.prod(before))  # the mask
        indices = layer.indices_bytes(before) if isinstance(layer, MaxPool2d) else 0
        rows.append(LayerRow(
            name, type(layer).__name__, after, sum(array.size for array in layer.params.values()), bytes_kept, indices,
            _crossing(layer, before, itemsize, indices if layer in used else 0), layer.multiply_adds(before),
        ))  # fmt: skip
        array = ahead
    kernels = sum(array.size for name, array in network.named_parameters() if name.endswith(".weight"))
    return Summary(str(network.config["name"]), input_shape, itemsize, tuple(rows), kernels)


def _crossing(layer: Layer, shape: tuple[int, ...], itemsize: int, indices: int) -> int:
    return int(np.prod(layer.kept_shape(shape))) * itemsize if isinstance(layer, SkipSource) else indices
