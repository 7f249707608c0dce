"""The shapes and the cost of a network: parameters, memory and multiply-adds, without running its layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ..layers import Layer


class LayerShapes(NamedTuple):
    """A layer, its name, and the shapes (N, H, W, C) of its input and output."""

    name: str
    layer: Layer
    before: tuple[int, ...]
    after: tuple[int, ...]


def layer_shapes(layers: Mapping[str, Layer], input_shape: tuple[int, ...]) -> Iterator[LayerShapes]:
    """Yield the shapes of each layer in order, without computing any arrays."""
    inputs: dict[Layer, tuple[int, ...]] = {}
    shape = input_shape
    for name, layer in layers.items():
        inputs[layer], shape = shape, layer.output_shape(shape)
        if layer.pool is not None:
            shape = (*inputs[layer.pool][:3], shape[3])
        yield LayerShapes(name, layer, inputs[layer], shape)


@dataclass(frozen=True)
class LayerRow:
    """The cost of one layer."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    kept: int  # bytes of activations that training stores for backward
    indices: int  # bytes of pool indices
    skip_bytes: int  # bytes of indices or feature maps that are stored for the decoder
    multiply_adds: int  # in one forward pass


@dataclass(frozen=True)
class Summary:
    """The costs of all layers for one batch. `print` shows them as a table. Memory is in bytes."""

    model: str
    input_shape: tuple[int, ...]
    itemsize: int  # bytes per parameter
    rows: tuple[LayerRow, ...]
    kernels: int  # the number of weights in convolutions, which is the count that papers state

    def total(self, column: str) -> int:
        """Return the sum of one column, such as "parameters" or "kept", over all layers."""
        return sum(getattr(row, column) for row in self.rows)

    @property
    def gflops(self) -> float:
        """The cost of one forward pass in 1e9 operations. A multiply-add counts as two."""
        return 2 * self.total("multiply_adds") / 1e9

    @property
    def training_bytes(self) -> int:
        """The minimum memory for a step with SGD: weights, gradients, momentum, stored activations and indices."""
        return 3 * self.total("parameters") * self.itemsize + self.total("kept") + self.total("indices")

    def as_dict(self) -> dict[str, Any]:
        """Return the values that `--json` prints."""
        return {
            "model": self.model,
            "input_shape": self.input_shape,
            "parameters": self.total("parameters"),
            "kernel_parameters": self.kernels,
            "activation_bytes": self.total("kept"),
            "index_bytes": self.total("indices"),
            "skip_bytes": self.total("skip_bytes"),
            "crossing_bytes": self.total("skip_bytes"),  # the name in version 0.1
            "gflops": self.gflops,
            "training_bytes": self.training_bytes,
            "layers": [asdict(row) for row in self.rows],
        }

    def __str__(self) -> str:
        line = "{:<20} {:<17} {:<22} {:>11} {:>9} {:>9} {:>8}"
        head = line.format("layer", "kind", "output", "parameters", "kept", "indices", "GFLOP")
        rule = "-" * len(head)
        rows = [line.format(row.name, row.kind, " x ".join(map(str, row.output_shape)),
                            f"{row.parameters:,}" if row.parameters else "", _size(row.kept), _size(row.indices),
                            f"{2 * row.multiply_adds / 1e9:.3f}" if row.multiply_adds else "")
                for row in self.rows]  # fmt: skip
        parameters, indices = self.total("parameters"), self.total("indices")
        return "\n".join([
            f"{self.model}, input {self.input_shape}", "", head, rule, *rows, rule,
            f"parameters       {parameters:,} ({_size(parameters * self.itemsize)}), {self.kernels:,} in kernels",
            f"activations      {_size(self.total('kept'))} kept for backward",
            *([f"pool indices     {_size(indices)} at 2 bits per 2x2 window ({_size(32 * indices)} as PyTorch's int64)"]
              if indices else []),
            f"crossing         {_size(self.total('skip_bytes')) or 'nothing'} from the encoder to the decoder",
            f"forward          {self.gflops:.2f} GFLOP (a multiply-add counts as 2)",
            f"training step    {3 * self.gflops:.2f} GFLOP, {_size(self.training_bytes)} of memory"
            " (weights, gradients, momentum, activations, indices)",
        ])  # fmt: skip


def _size(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B" if count else ""


def summarize(name: str, layers: Mapping[str, Layer], fused_layers: Sequence[Layer],
              input_shape: tuple[int, ...], dtype: np.dtype) -> Summary:  # fmt: skip
    """Compute the summary of a network for an input shape (N, H, W, 3) and the dtype of the parameters.

    An activation that two layers store is one array and counts once. Training runs the fused layers.
    """
    itemsize, counted, rows = dtype.itemsize, set(), []
    sources = {layer.source for layer in layers.values()}
    alone = {layer.name for layer in fused_layers}  # a fused ReLU stores nothing
    array = 0  # the number of the current array between the layers
    for layer_name, layer, before, after in layer_shapes(layers, input_shape):
        ahead = array if layer.passes_on else array + 1
        number, shape = {"input": (array, before), "output": (ahead, after)}.get(layer.keeps or "", (None, ()))
        kept = layer.kept_bytes(before)
        if number is not None and number not in counted and layer_name in alone:
            kept += int(np.prod(shape)) * itemsize
            counted.add(number)
        rows.append(LayerRow(
            layer_name, type(layer).__name__, after, sum(array.size for array in layer.params.values()), kept,
            layer.indices_bytes(before), layer.skip_bytes(before, itemsize) if layer in sources else 0,
            layer.multiply_adds(before),
        ))  # fmt: skip
        array = ahead
    kernels = sum(layer.params["weight"].size for layer in layers.values() if "weight" in layer.params)
    return Summary(name, input_shape, itemsize, tuple(rows), kernels)
