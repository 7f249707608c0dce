"""A trained network as data: a description for JSON, and the weights as float16.

`page_source/forward.js` runs a network from these two. The description lists the layers in the order in which inference
runs them. Batch norm is folded into the convolution before it, a ReLU after a convolution becomes one of its settings,
and dropout is omitted. An array of weights is described by its first byte ("at"), its number of values ("length"), and
a power of 2 ("scale"): value = float16 * scale. The scale makes the best use of float16, whose normal numbers only
range from 2^-14 to 65504. So no value becomes infinite, and values are only rounded to 0 if they are tiny compared with
the largest value of their array. The arrays have the axes of `tinysegnet.layers`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data import Palette
from ..errors import SettingError
from ..layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Dropout,
    FixedUnpool2d,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Normalize,
    ReLU,
    SkipAdd,
    SkipSource,
    Upsample,
)
from ..models import Network, check_network, fold_batchnorm
from ..ops.array_checks import pair

Described = dict[str, Any]
LARGEST = 15  # scaled values are below 2^15, half of float16's largest number


class HalfWeights:
    """Arrays in float16, one after the other."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def add(self, what: str, array: np.ndarray | None) -> Described | None:
        """Append an array and return its description, or None for None."""
        if array is None:
            return None
        with np.errstate(over="ignore"):
            if not np.isfinite(array.astype(np.float32)).all():
                raise SettingError(f"{what} contains values that are not finite in float32. Export another checkpoint")
        exponent = int(np.frexp(np.abs(array).max(initial=0))[1])  # the largest value is below 2^exponent
        at, scale = len(self.bytes), 2.0 ** (exponent - LARGEST)
        self.bytes += (array.astype(np.float64) / scale).astype("<f2").tobytes()
        return {"at": at, "length": array.size, "scale": scale}


def describe_network(model: Network, palette: Palette, *,
                     size: tuple[int, int] | None = None) -> tuple[Described, bytes]:  # fmt: skip
    """Return a description of a network that JSON can store, and its weights as little-endian float16.

    Args:
        model: a network of layers from `tinysegnet.layers`.
        palette: the names and colours of the classes.
        size: the (H, W) of the training pictures.

    Raises:
        SettingError: if a layer's class is not in `tinysegnet.layers`, the palette has another number of classes, or a
            weight is not finite.
    """
    if palette.num_classes != check_network(model).num_classes:
        raise SettingError(f"palette: {palette.num_classes} classes, but the network predicts {model.num_classes}")
    weights, layers, stages = HalfWeights(), [], {}
    for name, layer in fold_batchnorm(model).layers.items():
        if type(layer) is ReLU and layers and layers[-1]["kind"] == "conv2d":
            layers[-1]["relu"] = True
        elif type(layer) is not Dropout:
            layers.append({"name": name, **_describe(layer, weights)})
        stage, dot, _ = name.partition(".")
        if dot and layers:
            stages[stage] = layers[-1]  # the last layer of a stage overwrites the others
    for stage, described in stages.items():
        described["stage"] = stage
    classes = [{"name": name, "color": list(color)} for name, color in zip(palette.names, palette.colors, strict=True)]
    description = {"name": str(model.config["name"]), "classes": classes, "size": None if size is None else list(size),
                   "size_multiple": model.size_multiple, "layers": layers}  # fmt: skip
    return description, bytes(weights.bytes)


def _describe(layer: Layer, weights: HalfWeights) -> Described:
    describe = _DESCRIPTIONS.get(type(layer))
    if describe is None:
        raise SettingError(f"{layer.name}: the page cannot run layers of class {type(layer).__name__}. Use a class "
                           "of tinysegnet.layers itself, not a subclass")  # fmt: skip
    return describe(layer, weights)


def _arrays(layer: Layer, weights: HalfWeights) -> Described:
    return {key: weights.add(f"{layer.name}.{key}", layer.params.get(key)) for key in ("weight", "bias")}


def _conv2d(layer: Any, weights: HalfWeights) -> Described:
    KH, KW, inputs, outputs = layer.params["weight"].shape
    padding = layer.padding
    rows_and_columns = [padding] * 2 if padding == "same" else [0, 0] if padding == "valid" else list(pair(padding))
    return {"kind": "conv2d", "kernel": [KH, KW], "inputs": inputs, "outputs": outputs, "relu": False,
            "stride": list(pair(layer.stride)), "padding": rows_and_columns, **_arrays(layer, weights)}  # fmt: skip


def _conv_transpose2d(layer: Any, weights: HalfWeights) -> Described:
    KH, KW, outputs, inputs = layer.params["weight"].shape
    return {"kind": "conv_transpose2d", "kernel": [KH, KW], "inputs": inputs, "outputs": outputs, "relu": False,
            "stride": list(pair(layer.stride)), "pool": layer.pool and layer.pool.name,
            **_arrays(layer, weights)}  # fmt: skip


def _depthwise_conv2d(layer: Any, weights: HalfWeights) -> Described:
    KH, KW, _, channels = layer.params["weight"].shape
    return {"kind": "depthwise_conv2d", "kernel": [KH, KW], "channels": channels, **_arrays(layer, weights)}


def _affine(layer: Any, weights: HalfWeights) -> Described:
    """Describe a batch norm that is not folded: out = scale * x + shift."""
    mean, var = layer.buffers["running_mean"], layer.buffers["running_var"]
    scale = layer.params["gamma"] / np.sqrt(var + var.dtype.type(layer.eps))
    shift = layer.params["beta"] - scale * mean
    return {"kind": "affine", "channels": scale.size, "scale": weights.add(f"{layer.name}.scale", scale),
            "shift": weights.add(f"{layer.name}.shift", shift)}  # fmt: skip


def _normalize(layer: Any, weights: HalfWeights) -> Described:
    mean, scale = (np.broadcast_to(a, 3).tolist() for a in (layer.mean, layer.scale))
    return {"kind": "normalize", "mean": mean, "scale": scale, "reversed": layer.order == -1}


def _unpool(layer: Any, weights: HalfWeights) -> Described:
    return _pool(layer.pool, weights) | {"kind": "max_unpool2d", "pool": layer.pool.name, "fixed": layer.source is None}


def _pool(layer: Any, weights: HalfWeights) -> Described:
    return {"kind": "max_pool2d", "size": layer.kernel_size, "stride": layer.stride}


def _upsample(layer: Any, weights: HalfWeights) -> Described:
    return {"kind": "upsample", "factor": layer.scale_factor, "bilinear": layer.mode == "bilinear",
            "pool": layer.pool and layer.pool.name}  # fmt: skip


def _skip_source(layer: Any, weights: HalfWeights) -> Described:
    plain = type(layer.through) is type(SkipSource().through)  # a skip connection without a convolution
    return {"kind": "skip_source", "through": None if plain else _describe(layer.through, weights)}


#: functions that describe a layer, by its exact class
_DESCRIPTIONS: dict[type, Callable[[Any, HalfWeights], Described]] = {
    BatchNorm2d: _affine, Conv2d: _conv2d, ConvTranspose2d: _conv_transpose2d, DepthwiseConv2d: _depthwise_conv2d,
    FixedUnpool2d: _unpool, MaxPool2d: _pool, MaxUnpool2d: _unpool, Normalize: _normalize, SkipSource: _skip_source,
    Upsample: _upsample,
    LocalResponseNorm: lambda layer, weights: {"kind": "local_response_norm", **layer.settings},
    ReLU: lambda layer, weights: {"kind": "relu"},
    SkipAdd: lambda layer, weights: {"kind": "skip_add", "source": layer.source.name},
}  # fmt: skip
