"""The shapes of the arrays between layers, computed without running the layers."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

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
