"""Folding batch norm into the convolution before it: with fixed statistics, the two are a single convolution.

`Conv2d.absorb` has the formula, and lesson 14 derives it. A ReLU after the batch norm remains.
"""

import copy

from ..layers import Layer
from .network import Network, join_layers


def fold_batchnorm(model: Network) -> Network:
    """Return a new network that computes the same outputs without batch norms.

    The new network uses the current statistics of `model`. Its convolutions have biases and keep their names. It is
    saved and loaded like any other network. `build(..., folded=True)` makes the same layers. A batch norm that does not
    directly follow a Conv2d, such as one after a DepthwiseConv2d, remains.
    """
    layers = copy.deepcopy(model.layers)  # copied together, so that each unpooling refers to its copied pool
    folded = Network(fold_layers(layers), {**model.config, "folded": True}, size_multiple=model.size_multiple)
    folded.generator.bit_generator.state = model.generator.bit_generator.state
    return folded


def fold_layers(layers: dict[str, Layer]) -> dict[str, Layer]:
    """Return the layers with each batch norm folded into the convolution before it."""
    folded = join_layers(layers, lambda layer, following: layer.fold(following))
    names = {layer: name for name, layer in layers.items()}
    for layer in folded.values():
        if layer.pool is not None:  # the size that it restores may be that before a folded convolution
            layer.pool = folded.get(names[layer.pool], layer.pool)
    return folded
