"""Compute how much each pixel of the picture influences a number inside a network.

The receptive field is the box of pixels that can have an influence. Most of the influence is near the middle of the box
(Luo et al. 2016, "Understanding the effective receptive field").
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinysegnet.layers import Layer, Tape
from tinysegnet.models.receptive_field import receptive_field

__all__ = ["influence"]


def influence(
    layers: Mapping[str, Layer], layer_name: str, at: tuple[int, int], image: np.ndarray, *, channel: int | None = None
) -> np.ndarray:
    """Return how strongly one pixel of a layer's output depends on each pixel of the picture.

    The influence is the absolute gradient, summed over the three colours, with fixed statistics and without dropout.

    Args:
        layers: the layers of a network by name.
        layer_name, at: the layer, and (row, column) in its output.
        image: (H, W, 3), RGB in 0..255.
        channel: channel of the layer's output, by default the channel with the largest value at that place.

    Returns:
        An array (H, W) with the sum 1, or with the sum 0 if no pixel has an influence.

    Raises:
        SettingError: If the layer or the pixel does not exist.
    """
    receptive_field(layers, layer_name, at, image.shape[:2])  # raises if the layer or pixel does not exist
    line = list(layers.values())[: list(layers).index(layer_name) + 1]
    line = copy.deepcopy(line)  # because backward assigns gradients to layers
    tape = Tape(keep=True)
    x: Any = np.asarray(image, next(array.dtype for layer in layers.values() for array in layer.params.values()))[None]
    for layer in line:
        x = layer.forward(x, tape)
    dout = np.zeros_like(x)
    dout[0, at[0], at[1], int(x[0, at[0], at[1]].argmax()) if channel is None else channel] = 1
    for source, maps in tape.maps.items():  # each source's SkipAdd comes after the named layer
        tape.map_gradients[source] = np.zeros_like(maps)
    for layer in reversed(line):
        dout = layer.backward(dout, tape)
    strength = np.abs(dout[0]).sum(-1)
    return strength / strength.sum() if strength.any() else strength
