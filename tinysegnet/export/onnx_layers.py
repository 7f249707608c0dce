"""The ONNX nodes of every layer.

ONNX's arrays are (N, C, H, W), so kernels are transposed; the 1 of a depthwise kernel becomes its second axis:

    convolution             (KH, KW, C, F) -> (F, C, KH, KW)
    transposed convolution  (KH, KW, F, C) -> (C, F, KH, KW)

The second output of MaxPool is the position of each maximum in the whole array, read as one row of N*C*H*W values.
Max-unpooling scatters values into zeros at these positions. ONNX also has an operator MaxUnpool, but onnxruntime's
version of it fails at odd sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers
from ..errors import SettingError
from ..ops.array_checks import pair
from ..ops.windows import resolve_padding, same_padding


class OnnxGraph:
    """The nodes and constants of a graph, which is built from the input to the output.

    Attributes:
        nodes: operator, inputs, outputs and attributes of each node.
        arrays: the weights and other constants by name.
        scope: the name of the current layer, with which the names of its nodes and arrays begin.
        channels: the number of channels of the current layer's input.
        inputs, indices, maps: the names of each layer's input, pool indices, and stored feature maps, as in a tape.
    """

    def __init__(self) -> None:
        self.nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.scope, self.channels = "", 3
        self.inputs: dict[layers.Layer, str] = {}
        self.indices: dict[layers.Layer, str] = {}
        self.maps: dict[layers.Layer, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, op: str, *inputs: str | np.ndarray, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output. An input is the name of an array, or a constant."""
        names = [x if isinstance(x, str) else self.constant(self._new_name("constant"), x) for x in inputs]
        output = output or self._new_name(op)
        self.nodes.append((op, names, [output], attributes))
        return output

    def add_layer(self, layer: layers.Layer, x: str) -> str:
        """Add the nodes of a layer with input x, and return the name of its output. Raises SettingError."""
        add_nodes = _LAYERS.get(type(layer))  # not its base class, because a subclass may compute something else
        if add_nodes is None:
            raise SettingError(f"{self.scope}: layers of the class {type(layer).__name__} cannot be written to ONNX "
                               "files. Use only the classes of tinysegnet.layers, not subclasses")  # fmt: skip
        return add_nodes(self, layer, x)

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant and return its name. Floating-point numbers become float32."""
        self.arrays[name] = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)
        return name

    def parameters(self, layer: layers.Layer) -> list[str]:
        """Add a layer's parameters and statistics with their names in a checkpoint, and return these names."""
        arrays = {**layer.params, **layer.buffers}
        return [self.constant(f"{self.scope}.{name}", array.transpose(3, 2, 0, 1) if name == "weight" else array)
                for name, array in arrays.items()]  # fmt: skip

    def size(self, x: str) -> str:
        """Return the height and width of x."""
        return self.add("Shape", x, start=2, end=4)

    def crop(self, x: str, start: str | np.ndarray, size: str) -> str:
        """Return the part of x with this height and width that begins at the pixel `start`."""
        return self.add("Slice", x, start, self.add("Add", start, size), np.array([2, 3]))

    def _new_name(self, word: str) -> str:
        name = f"{self.scope}/{word}"
        self._counts[name] += 1
        return name if self._counts[name] == 1 else f"{name}_{self._counts[name]}"


TOP_LEFT = np.array([0, 0])


def _normalize(graph: OnnxGraph, layer: layers.Normalize, x: str) -> str:
    x = graph.add("Sub", x, layer.mean.reshape(-1, 1, 1))
    x = graph.add("Div", x, layer.scale.reshape(-1, 1, 1))
    if layer.order == 1:
        return x
    last, end, axis, step = (np.array([n]) for n in (-1, np.iinfo(np.int64).min, 1, -1))
    return graph.add("Slice", x, last, end, axis, step)  # the channels in reverse order


def _local_response_norm(graph: OnnxGraph, layer: layers.LocalResponseNorm, x: str) -> str:
    alpha, beta, k = (float(layer.settings[name]) for name in ("alpha", "beta", "k"))
    return graph.add("LRN", x, size=int(layer.settings["size"]), alpha=alpha, beta=beta, bias=k)


def _batch_norm(graph: OnnxGraph, layer: layers.BatchNorm2d, x: str) -> str:
    return graph.add("BatchNormalization", x, *graph.parameters(layer), epsilon=float(layer.eps))


def _conv(graph: OnnxGraph, layer: layers.Conv2d, x: str, group: int = 1) -> str:
    kernel, stride = layer.params["weight"].shape[:2], pair(layer.stride)
    # With a stride, "same" depends on the size of x. Otherwise, numbers suit programs without auto_pad.
    padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"}
    if layer.padding != "same" or max(stride) == 1:
        (top, bottom), (left, right) = resolve_padding(graph.scope, layer.padding, kernel, kernel, stride)
        padding = {"pads": [top, left, bottom, right]}
    return graph.add("Conv", x, *graph.parameters(layer), strides=stride, group=group, **padding)


def _depthwise_conv(graph: OnnxGraph, layer: Any, x: str) -> str:
    return _conv(graph, layer, x, group=graph.channels)


def _conv_transpose(graph: OnnxGraph, layer: layers.ConvTranspose2d, x: str) -> str:
    """Add a transposed convolution and crop its output, in which the kernels cover (h - 1) * stride + K rows.

    Rows before and after the picture are cropped, as many as the padding "same" of a convolution would add.
    """
    kernel, stride = layer.params["weight"].shape[0], layer.stride
    gap = max(stride - kernel, 0)  # zeros at the end, to h * stride rows
    settings = {"strides": pair(stride), "output_padding": pair(gap)}
    if layer.pool is None:
        before, after = same_padding(stride, kernel, stride)
        settings["pads"] = (before, before, after, after)
        return graph.add("ConvTranspose", x, *graph.parameters(layer), **settings)
    full, size = graph.add("ConvTranspose", x, *graph.parameters(layer), **settings), _size_before(graph, layer.pool)
    surplus = graph.add("Sub", graph.add("Sub", graph.size(full), size), np.array(gap))
    return graph.crop(full, graph.add("Div", graph.add("Max", surplus, np.array(0)), np.array(2)), size)


def _size_before(graph: OnnxGraph, pool: layers.Layer) -> str:
    return graph.size(graph.inputs[pool])


def _max_pool(graph: OnnxGraph, layer: layers.MaxPool2d, x: str) -> str:
    """Add a max-pooling whose windows are clipped at the end of the picture.

    With K - 1 pixels of padding at the end, a window starts at every pixel 0, stride, 2 * stride, ... If windows
    overlap, ours end with the first that reaches the last pixel. The later ones are cropped.
    """
    kernel, stride = layer.kernel_size, layer.stride
    settings = {"kernel_shape": pair(kernel), "strides": pair(stride), "pads": [0, 0, kernel - 1, kernel - 1]}
    pooled = graph.add("MaxPool", x, **settings)
    graph.indices[layer] = f"{pooled}.indices"
    graph.nodes[-1][2].append(graph.indices[layer])
    if kernel <= stride:
        return pooled
    rounded_up = graph.add("Add", graph.size(x), np.array(stride - 1 - kernel))  # ceil((H - K) / stride) + 1 windows
    windows = graph.add("Add", graph.add("Div", rounded_up, np.array(stride)), np.array(1))
    return graph.crop(pooled, TOP_LEFT, graph.add("Max", windows, np.array(1)))


def _max_unpool(graph: OnnxGraph, layer: layers.MaxUnpool2d, x: str) -> str:
    shape = graph.add("Shape", graph.inputs[layer.pool])
    zeros = graph.add("ConstantOfShape", graph.add("ReduceProd", shape))
    positions, values = (graph.add("Reshape", array, np.array([-1])) for array in (graph.indices[layer.pool], x))
    return graph.add("Reshape", graph.add("ScatterElements", zeros, positions, values), shape)


def _fixed_unpool(graph: OnnxGraph, layer: layers.FixedUnpool2d, x: str) -> str:
    """Add a transposed convolution whose kernel is a single 1, so each value is at the top left of its window."""
    stride, ones = layer.pool.stride, np.ones((graph.channels, 1, 1, 1), np.float32)
    settings = {"strides": pair(stride), "output_padding": pair(stride - 1), "group": graph.channels}
    return graph.crop(graph.add("ConvTranspose", x, ones, **settings), TOP_LEFT, _size_before(graph, layer.pool))


def _upsample(graph: OnnxGraph, layer: layers.Upsample, x: str) -> str:
    settings = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if layer.mode == "nearest":
        settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    x = graph.add("Resize", x, "", np.array([1, 1, *pair(layer.scale_factor)], np.float32), **settings)
    return x if layer.pool is None else graph.crop(x, TOP_LEFT, _size_before(graph, layer.pool))


def _skip_source(graph: OnnxGraph, layer: layers.SkipSource, x: str) -> str:
    graph.maps[layer] = graph.add_layer(layer.through, x) if layer.params else x
    return x


_LAYERS: dict[type[layers.Layer], Callable[[OnnxGraph, Any, str], str]] = {
    layers.Normalize: _normalize,
    layers.LocalResponseNorm: _local_response_norm,
    layers.Conv2d: _conv,
    layers.DepthwiseConv2d: _depthwise_conv,
    layers.ConvTranspose2d: _conv_transpose,
    layers.BatchNorm2d: _batch_norm,
    layers.BatchNormReLU2d: lambda graph, layer, x: graph.add("Relu", _batch_norm(graph, layer, x)),
    layers.ReLU: lambda graph, layer, x: graph.add("Relu", x),
    layers.MaxPool2d: _max_pool,
    layers.MaxUnpool2d: _max_unpool,
    layers.FixedUnpool2d: _fixed_unpool,
    layers.Upsample: _upsample,
    layers.SkipSource: _skip_source,
    layers.SkipAdd: lambda graph, layer, x: graph.add("Add", x, graph.maps[layer.source]),
    layers.Dropout: lambda graph, layer, x: x,
}
