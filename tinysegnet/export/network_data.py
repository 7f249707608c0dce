"""A trained network as data: a description for JSON, and the weights as float16.

`page_source/forward.js` runs a network from these two. The description lists the layers in the order in which inference
runs them. Batch norm is folded into the convolution before it, a ReLU after a convolution becomes one of its settings,
and dropout is omitted. The weights of a layer are one array, in the order in which `page_source/kernels.ts` reads them:

    {"at": the number of values before it, "length": the number of its values, "scale": a power of 2}

A value is float16 * scale. With the scale, the largest value of each array is just below 2^15. So no value exceeds
65504, the largest float16, and only values below 2^-29 of the largest are stored with fewer than 11 bits.
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
LARGEST = 15  # scaled values are below 2^15, half of the largest float16
CHANNELS, BLOCK = 4, 8  # as in kernels.ts: channels are padded to multiples of 4, output channels to multiples of 8


class HalfWeights:
    """The weights of all layers in float16, one array after the other."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.count = 0

    def add(self, layer: Layer, array: np.ndarray) -> Described:
        """Append the weights of a layer, and return their description."""
        with np.errstate(over="ignore"):
            if not np.isfinite(array.astype(np.float32)).all():
                raise SettingError(f"{layer.name}: its weights are not finite in float32. Export another checkpoint")
        exponent = int(np.frexp(np.abs(array).max())[1])  # the largest value is below 2^exponent
        at, scale = self.count, 2.0 ** (exponent - LARGEST)
        self.arrays.append((array.astype(np.float64) / scale).astype("<f2"))
        self.count += array.size
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
    picture: Described = {"mean": [0, 0, 0], "scale": [1, 1, 1], "reversed": False}
    for number, (name, layer) in enumerate(fold_batchnorm(model).layers.items()):
        if number == 0 and type(layer) is Normalize:
            mean, scale = (np.broadcast_to(a, 3).tolist() for a in (layer.mean, layer.scale))
            picture = {"mean": mean, "scale": scale, "reversed": layer.order == -1}
        elif type(layer) is ReLU and layers and layers[-1]["kind"] == "conv2d":
            layers[-1]["relu"] = True
        elif type(layer) is not Dropout:
            layers.append({"name": name, **_describe(layer, weights)})
        stage, dot, _ = name.partition(".")
        if dot and layers:
            stages[stage] = layers[-1]  # the last layer of a stage replaces the ones before
    for stage, last in stages.items():
        last["stage"] = stage
    classes = [{"name": name, "color": list(color)} for name, color in zip(palette.names, palette.colors, strict=True)]
    description = {"name": str(model.config["name"]), "classes": classes, "size": None if size is None else list(size),
                   "size_multiple": model.size_multiple, "input": picture, "layers": layers}  # fmt: skip
    return description, b"".join(array.tobytes() for array in weights.arrays)


def _describe(layer: Layer, weights: HalfWeights) -> Described:
    describe = _DESCRIPTIONS.get(type(layer))
    if describe is None:
        raise SettingError(f"{layer.name}: the page cannot run layers of class {type(layer).__name__}. Use a class "
                           "of tinysegnet.layers itself, not a subclass")  # fmt: skip
    return describe(layer, weights)


def _pad(array: np.ndarray, axis: int, multiple: int) -> np.ndarray:
    """Append zeros along an axis."""
    return np.pad(array, [(0, -n % multiple if k == axis else 0) for k, n in enumerate(array.shape)])


def _convolution(layer: Any, weights: HalfWeights, weight: np.ndarray) -> Described:
    """Describe a convolution with a weight (KH, KW, C, F). `conv2d` in kernels.ts explains the order of the values."""
    KH, KW, C, F = weight.shape
    bias = layer.params.get("bias", np.zeros(F, weight.dtype))
    rows = np.concatenate([bias[None], _pad(weight, 2, CHANNELS).reshape(-1, F)])  # (1 + KH * KW * C, F)
    blocks = _pad(rows, 1, BLOCK).reshape(len(rows), -1, BLOCK).swapaxes(0, 1)
    return {"kernel": [KH, KW], "inputs": C, "outputs": F, "relu": False, "stride": list(pair(layer.stride)),
            "weights": weights.add(layer, blocks)}  # fmt: skip


def _conv2d(layer: Any, weights: HalfWeights) -> Described:
    padding = 0 if layer.padding == "valid" else layer.padding
    padding = padding if padding == "same" else list(pair(padding))
    return {"kind": "conv2d", "padding": padding, **_convolution(layer, weights, layer.params["weight"])}


def _conv_transpose2d(layer: Any, weights: HalfWeights) -> Described:
    rotated = layer.params["weight"][::-1, ::-1].swapaxes(2, 3)
    return {"kind": "conv_transpose2d", "pool": layer.pool and layer.pool.name,
            **_convolution(layer, weights, rotated)}  # fmt: skip


def _depthwise_conv2d(layer: Any, weights: HalfWeights) -> Described:
    weight = layer.params["weight"]
    return _per_channel(layer, weights, weight, layer.params.get("bias", np.zeros(weight.shape[3], weight.dtype)))


def _batchnorm2d(layer: Any, weights: HalfWeights) -> Described:
    """Describe a batch norm that is not folded: scale * x + shift is a depthwise convolution with a 1x1 kernel."""
    mean, var = layer.buffers["running_mean"], layer.buffers["running_var"]
    scale = layer.params["gamma"] / np.sqrt(var + var.dtype.type(layer.eps))
    return _per_channel(layer, weights, scale[None, None, None], layer.params["beta"] - scale * mean)


def _per_channel(layer: Any, weights: HalfWeights, weight: np.ndarray, bias: np.ndarray) -> Described:
    """Describe a depthwise convolution with a weight (KH, KW, 1, C)."""
    rows = np.concatenate([bias[None], weight.reshape(-1, len(bias))])
    return {"kind": "depthwise_conv2d", "kernel": list(weight.shape[:2]),
            "weights": weights.add(layer, _pad(rows, 1, CHANNELS))}  # fmt: skip


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
    BatchNorm2d: _batchnorm2d, Conv2d: _conv2d, ConvTranspose2d: _conv_transpose2d, DepthwiseConv2d: _depthwise_conv2d,
    FixedUnpool2d: _unpool, MaxPool2d: _pool, MaxUnpool2d: _unpool, SkipSource: _skip_source,
    Upsample: _upsample,
    LocalResponseNorm: lambda layer, weights: {"kind": "local_response_norm", **layer.settings},
    ReLU: lambda layer, weights: {"kind": "relu"},
    SkipAdd: lambda layer, weights: {"kind": "skip_add", "source": layer.source.name},
}  # fmt: skip
