"""A trained network as data: a description for JSON, and the kernels' weights as float16.

`page_source/forward.js` runs a network from these two. The description lists the layers in the order in which inference
runs them. A batch norm or ReLU after a convolution becomes a part of it, and dropout is omitted. The weights of a layer
are one array, in the order in which `page_source/kernels.ts` reads them, described by

    at, length      the number of values before this array, and in it
    unit            a power of 2 by which all values are multiplied, so that the largest is just below 2^15 in the file
    scale, bias     for each output channel, a factor of the weights, such as that of a batch norm, and the bias
    block           the number of output channels whose values alternate: all channels, or 8 for `conv2d`

Because of `unit`, no weight exceeds 65504, the largest float16, and only weights below 2^-29 of the largest are stored
with fewer than 11 bits. The weights of a checkpoint that is stored in float16 do not change at all.
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
from ..models import Network, check_network
from ..ops.array_checks import pair

Described = dict[str, Any]
CHANNELS, BLOCK = 4, 8  # as in kernels.ts: maps have a multiple of 4 channels, and conv2d computes 8 at a time


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
        raise SettingError(f"palette: it has {palette.num_classes} classes, but the network predicts "
                           f"{model.num_classes}. Give the palette of the network's data")  # fmt: skip
    for name, array in model.state().items():
        with np.errstate(over="ignore"):
            if not np.isfinite(array.astype(np.float32)).all():
                raise SettingError(f"{name}: contains values that are not finite in float32. Give another checkpoint")
    layers, stages, weights = [], {}, bytearray()
    picture: Described = {"mean": [0, 0, 0], "scale": [1, 1, 1], "reversed": False}
    previous: Layer | None = None
    for name, layer in model.layers.items():
        if type(layer) is Normalize and previous is None:
            mean, scale = (np.broadcast_to(array, 3).tolist() for array in (layer.mean, layer.scale))
            picture = {"mean": mean, "scale": scale, "reversed": layer.order == -1}
        elif type(layer) is BatchNorm2d and type(previous) is Conv2d:
            scale, bias = previous.absorb(layer)
            layers[-1]["weights"] |= {"scale": scale.tolist(), "bias": bias.tolist()}
        elif type(layer) is ReLU and layers and layers[-1].get("relu") is False:
            layers[-1]["relu"] = True
        elif type(layer) is not Dropout:
            layers.append({"name": name, **_describe(layer, weights)})
        previous, (stage, dot, _) = layer, name.partition(".")
        if dot and layers:
            stages[stage] = layers[-1]  # the last layer of a stage replaces the ones before
    for stage, last in stages.items():
        last["stage"] = stage
    classes = [{"name": name, "color": list(color)} for name, color in zip(palette.names, palette.colors, strict=True)]
    description = {"name": str(model.config["name"]), "classes": classes, "size": None if size is None else list(size),
                   "size_multiple": model.size_multiple, "input": picture, "layers": layers}  # fmt: skip
    return description, bytes(weights)


def _describe(layer: Layer, weights: bytearray) -> Described:
    describe = _DESCRIPTIONS.get(type(layer))
    if describe is None:  # a subclass may compute something else
        raise SettingError(f"{layer.name}: a page cannot run a layer of class {type(layer).__name__} here. Only "
                           "classes of tinysegnet.layers can be exported, and Normalize only as the first layer")  # fmt: skip
    return describe(layer, weights)


def _store(rows: np.ndarray, block: int, bias: Any, weights: bytearray) -> Described:
    """Append weights (rows, channels), block by block, each with a first row of zeros for the biases."""
    channels, at = rows.shape[1], len(weights) // 2
    blocks = np.pad(rows.astype(np.float64), ((1, 0), (0, -channels % block))).reshape(len(rows) + 1, -1, block)
    unit = 2.0 ** (int(np.frexp(np.abs(blocks).max())[1]) - 15)
    weights += (blocks / unit).swapaxes(0, 1).astype("<f2").tobytes()
    per_channel = {"scale": [1.0] * channels, "bias": [0.0] * channels if bias is None else bias.tolist()}
    return {"weights": {"at": at, "length": blocks.size, "unit": unit, "block": block, **per_channel}}


def _convolution(layer: Any, weight: np.ndarray, weights: bytearray) -> Described:
    """Describe a convolution with a weight (KH, KW, C, F)."""
    KH, KW, C, F = weight.shape
    rows = np.pad(weight, ((0, 0), (0, 0), (0, -C % CHANNELS), (0, 0))).reshape(-1, F)
    return {"kernel": [KH, KW], "outputs": F, "stride": list(pair(layer.stride)), "relu": False,
            **_store(rows, BLOCK, layer.params.get("bias"), weights)}  # fmt: skip


def _conv2d(layer: Any, weights: bytearray) -> Described:
    padding = 0 if layer.padding == "valid" else layer.padding
    return {"kind": "conv2d", "padding": padding if padding == "same" else list(pair(padding)),
            **_convolution(layer, layer.params["weight"], weights)}  # fmt: skip


def _conv_transpose2d(layer: Any, weights: bytearray) -> Described:
    rotated = layer.params["weight"][::-1, ::-1].swapaxes(2, 3)
    return {"kind": "conv_transpose2d", **_restores(layer), **_convolution(layer, rotated, weights)}


def _depthwise_conv2d(layer: Any, weights: bytearray) -> Described:
    return _per_channel(layer.params["weight"], layer.params.get("bias"), weights)


def _per_channel(weight: np.ndarray, bias: Any, weights: bytearray) -> Described:
    """Describe a depthwise convolution with a weight (KH, KW, 1, C)."""
    KH, KW, _, C = weight.shape
    stored = _store(weight.reshape(-1, C), C + -C % CHANNELS, bias, weights)
    return {"kind": "depthwise_conv2d", "kernel": [KH, KW], **stored}


def _batchnorm2d(layer: Any, weights: bytearray) -> Described:
    """Describe a batch norm that is not a part of a convolution: as a depthwise convolution with 1x1 kernels of 1."""
    mean, var = layer.buffers["running_mean"], layer.buffers["running_var"]
    scale = layer.params["gamma"] / np.sqrt(var + var.dtype.type(layer.eps))
    described = _per_channel(np.ones((1, 1, 1, len(scale))), layer.params["beta"] - scale * mean, weights)
    described["weights"]["scale"] = scale.tolist()
    return described


def _max_pool2d(layer: Any, weights: bytearray) -> Described:
    return {"kind": "max_pool2d", "size": layer.kernel_size, "stride": layer.stride}


def _max_unpool2d(layer: Any, weights: bytearray) -> Described:
    settings = {"kind": "max_unpool2d", "fixed": layer.source is None}
    return _max_pool2d(layer.pool, weights) | settings | _restores(layer)


def _restores(layer: Layer) -> Described:
    return {"pool": layer.pool.name if layer.pool else None}


def _skip_source(layer: Any, weights: bytearray) -> Described:
    plain = type(layer.through) is type(SkipSource().through)  # a skip connection without a convolution
    return {"kind": "skip_source", "through": None if plain else _describe(layer.through, weights)}


#: functions that describe a layer, by its exact class
_DESCRIPTIONS: dict[type, Callable[[Any, bytearray], Described]] = {
    BatchNorm2d: _batchnorm2d, Conv2d: _conv2d, ConvTranspose2d: _conv_transpose2d, DepthwiseConv2d: _depthwise_conv2d,
    FixedUnpool2d: _max_unpool2d, MaxPool2d: _max_pool2d, MaxUnpool2d: _max_unpool2d, SkipSource: _skip_source,
    LocalResponseNorm: lambda layer, weights: {"kind": "local_response_norm", **layer.settings},
    ReLU: lambda layer, weights: {"kind": "relu"},
    SkipAdd: lambda layer, weights: {"kind": "skip_add", "source": layer.source.name},
    Upsample: lambda layer, weights: {"kind": "upsample", "factor": layer.scale_factor,
                                            "bilinear": layer.mode == "bilinear", **_restores(layer)},
}  # fmt: skip
