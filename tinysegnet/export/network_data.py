"""A network as data for the live page: a description for JSON, and the kernels' weights as float16.

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

from .. import layers
from ..data import Palette
from ..errors import SettingError
from ..models import Network, check_network
from ..ops.array_checks import pair

Described = dict[str, Any]
UNCHANGED = {"mean": [0, 0, 0], "scale": [1, 1, 1], "reversed": False}  # the picture
CHANNELS, BLOCK = 4, 8  # as in kernels.ts: maps have a multiple of 4 channels, and conv2d computes 8 at a time


def describe_network(model: Network, palette: Palette, *,
                     size: tuple[int, int] | None = None, half: bool = True) -> tuple[Described, bytes]:  # fmt: skip
    """Return a description of a network that JSON can store, and its weights as little-endian float16 or float32.

    Args:
        model: a network of layers from `tinysegnet.layers`.
        palette: the names and colours of the classes.
        size: the (H, W) of the training pictures.
        half: whether the weights are float16.

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
                raise SettingError(
                    f"{name}: it contains values that are not finite in float32. Give another checkpoint"
                )
    writer, stages = NetworkWriter(half), {}
    for name, layer in model.layers.items():
        writer.layers += [{"name": name, **described} for described in [writer.describe(layer)] if described]
        stage, dot, _ = name.partition(".")
        if dot and writer.layers:
            stages[stage] = writer.layers[-1]  # the last layer of a stage replaces the ones before
    for stage, last in stages.items():
        last.setdefault("stage", stage)
    classes = [{"name": name, "color": list(color)} for name, color in zip(palette.names, palette.colors, strict=True)]
    description = {
        "name": str(model.config["name"]),
        "classes": classes,
        "size": None if size is None else list(size),
        "size_multiple": model.size_multiple,
        "input": writer.input or UNCHANGED,
        "layers": writer.layers,
    }
    return description, bytes(writer.weights)


class NetworkWriter:
    """The description of a network up to the current layer.

    Attributes:
        input: the normalisation of the picture, or None if there is none.
        layers: the descriptions of the layers.
        weights: the content of the file of weights.
    """

    def __init__(self, half: bool) -> None:
        self.dtype = np.dtype("<f2" if half else "<f4")
        self.input: Described | None = None
        self.layers: list[Described] = []
        self.weights = bytearray()

    def describe(self, layer: layers.Layer) -> Described | None:
        """Describe a layer, or return None if it became a part of the description so far."""
        describe = _DESCRIPTIONS.get(type(layer))
        if describe is None:  # a subclass may compute something else
            raise SettingError(f"{layer.name}: a page cannot run layers of class {type(layer).__name__}. Only the "
                               "classes of tinysegnet.layers can be exported")  # fmt: skip
        return describe(self, layer)

    def store(self, rows: np.ndarray, block: int, bias: np.ndarray | None = None) -> Described:
        """Append weights (rows, channels), block by block, each after a row of zeros for the biases."""
        channels, at = rows.shape[1], len(self.weights) // self.dtype.itemsize
        blocks = np.pad(rows.astype(np.float64), ((1, 0), (0, -channels % block))).reshape(len(rows) + 1, -1, block)
        unit = 2.0 ** (int(np.frexp(np.abs(blocks).max())[1]) - 15) if self.dtype.itemsize == 2 else 1.0
        self.weights += (blocks / unit).swapaxes(0, 1).astype(self.dtype).tobytes()
        return {"at": at, "length": blocks.size, "unit": unit, "block": block, "scale": [1.0] * channels,
                "bias": [0.0] * channels if bias is None else bias.tolist()}  # fmt: skip


def _normalize(writer: NetworkWriter, layer: Any) -> None:
    if writer.layers or writer.input:
        raise SettingError(f"{layer.name}: a page can normalise only the picture. Make this layer the first one")
    mean, scale = (np.broadcast_to(array, 3).tolist() for array in (layer.mean, layer.scale))
    writer.input = {"mean": mean, "scale": scale, "reversed": layer.order == -1}


def _convolution(writer: NetworkWriter, layer: Any, weight: np.ndarray) -> Described:
    """Describe a convolution with a weight (KH, KW, C, F)."""
    KH, KW, C, F = weight.shape
    rows = np.pad(weight, ((0, 0), (0, 0), (0, -C % CHANNELS), (0, 0))).reshape(-1, F)
    return {"kernel": [KH, KW], "outputs": F, "stride": list(pair(layer.stride)), "relu": False,
            "weights": writer.store(rows, BLOCK, layer.params.get("bias"))}  # fmt: skip


def _conv2d(writer: NetworkWriter, layer: Any) -> Described:
    padding = 0 if layer.padding == "valid" else layer.padding
    return {"kind": "conv2d", "padding": padding if padding == "same" else list(pair(padding)),
            **_convolution(writer, layer, layer.params["weight"])}  # fmt: skip


def _conv_transpose2d(writer: NetworkWriter, layer: Any) -> Described:
    rotated = layer.params["weight"][::-1, ::-1].swapaxes(2, 3)
    return {"kind": "conv_transpose2d", **_pool(layer), **_convolution(writer, layer, rotated)}


def _depthwise(writer: NetworkWriter, weight: np.ndarray, bias: np.ndarray | None) -> Described:
    """Describe a depthwise convolution with a weight (KH, KW, 1, C)."""
    KH, KW, _, C = weight.shape
    weights = writer.store(weight.reshape(-1, C), C + -C % CHANNELS, bias)
    return {"kind": "depthwise_conv2d", "kernel": [KH, KW], "weights": weights}


def _batchnorm2d(writer: NetworkWriter, layer: Any) -> Described | None:
    """Add a batch norm to the convolution before it, or to a depthwise convolution that returns its input.

    out = gamma * (scale * W x + bias - mean) / std + beta    so: scale becomes gamma / std * scale, and bias becomes
    gamma / std * (bias - mean) + beta.
    """
    last = writer.layers[-1] if writer.layers else {}
    follows = "weights" in last and not last.get("relu")
    described = last if follows else _depthwise(writer, np.ones((1, 1, 1, layer.params["gamma"].size)), None)
    weights, mean, var = described["weights"], layer.buffers["running_mean"], layer.buffers["running_var"]
    factor = layer.params["gamma"] / np.sqrt(var + var.dtype.type(layer.eps))
    weights["scale"] = (factor * weights["scale"]).tolist()
    weights["bias"] = (factor * (weights["bias"] - mean) + layer.params["beta"]).tolist()
    return None if follows else described


def _relu(writer: NetworkWriter, layer: Any) -> Described | None:
    if not writer.layers or writer.layers[-1].get("relu") is not False:
        return {"kind": "relu"}
    writer.layers[-1]["relu"] = True
    return None


def _max_pool2d(writer: NetworkWriter, layer: Any) -> Described:
    return {"kind": "max_pool2d", "size": layer.kernel_size, "stride": layer.stride}


def _max_unpool2d(writer: NetworkWriter, layer: Any) -> Described:
    return _max_pool2d(writer, layer.pool) | _pool(layer) | {"kind": "max_unpool2d", "fixed": layer.source is None}


def _pool(layer: layers.Layer) -> Described:
    return {"pool": layer.pool.name if layer.pool else None}


def _skip_source(writer: NetworkWriter, layer: Any) -> Described:
    plain = type(layer.through) is type(layers.SkipSource().through)  # a skip connection without a convolution
    return {"kind": "skip_source", "through": None if plain else writer.describe(layer.through)}


#: functions that describe a layer, by its exact class
_DESCRIPTIONS: dict[type, Callable[[NetworkWriter, Any], Described | None]] = {
    layers.BatchNorm2d: _batchnorm2d, layers.Conv2d: _conv2d, layers.ConvTranspose2d: _conv_transpose2d,
    layers.FixedUnpool2d: _max_unpool2d, layers.MaxPool2d: _max_pool2d, layers.MaxUnpool2d: _max_unpool2d,
    layers.Normalize: _normalize, layers.ReLU: _relu, layers.SkipSource: _skip_source,
    layers.DepthwiseConv2d: lambda writer, layer: _depthwise(writer, layer.params["weight"], layer.params.get("bias")),
    layers.Dropout: lambda writer, layer: None,
    layers.LocalResponseNorm: lambda writer, layer: {"kind": "local_response_norm", **layer.settings},
    layers.SkipAdd: lambda writer, layer: {"kind": "skip_add", "source": layer.source.name},
    layers.Upsample: lambda writer, layer: {"kind": "upsample", "factor": layer.scale_factor,
                                            "bilinear": layer.mode == "bilinear", **_pool(layer)},
}  # fmt: skip
