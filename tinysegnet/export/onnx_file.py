"""ONNX files, with which onnxruntime and other programs run a network without tinysegnet.

    image (N, H, W, 3) uint8  ->  the network's layers, float32 (N, C, H, W)  ->  logits (N, H, W, K) float32

The file computes `Network.forward` in inference: dropout is the identity, and batch norm is folded into convolutions.
Batch size, height and width are free. ONNX puts the channels before height and width, so kernels are transposed:

    convolution             (KH, KW, C, F) -> (F, C, KH, KW)        here "C" is 1 for a depthwise convolution
    transposed convolution  (KH, KW, F, C) -> (C, F, KH, KW)

Max-pooling has the indices of the maxima as its second output: positions in the whole array, read as one long row of
N*C*H*W values. Max-unpooling scatters the values into zeros at these positions. ONNX has an operator MaxUnpool, too, but
onnxruntime's version of it rejects pictures of odd size.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Palette
from ..errors import SettingError
from ..layers import (
    BatchNorm2d,
    BatchNormReLU2d,
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
from ..ops.windows import resolve_padding

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 17, 8  #: the version of ONNX's operators, which onnxruntime supports since 1.12, and of its format
MAX_BYTES = 2**31 - 2**24  #: the largest protobuf message, minus room for the graph
FLOAT, UINT8 = 1, 2  #: the numbers of float32 and uint8 in `onnx.TensorProto`


def to_onnx(model: Network, *, palette: Palette | None = None, size: tuple[int, int] | None = None,
            argmax: bool = False) -> ModelProto:  # fmt: skip
    """Convert a network to an ONNX model, which `onnx.save(proto, "net.onnx")` writes.

    The model has one input, `image`: RGB pictures (N, H, W, 3) uint8 of any size that the network accepts. It contains
    the network's normalisation. It does not resize pictures, as `predict` does. The output is `logits`, (N, H, W, K)
    float32 for K classes. A single logit z becomes two, (0, z), whose softmax gives the probabilities.

    Args:
        model: a network of layers from `tinysegnet.layers`.
        palette: the names and colours of the classes, for the metadata.
        size: the (H, W) of the training pictures, for the metadata.
        argmax: whether the output is `labels` instead, (N, H, W) uint8: the class of the largest logit, and the first
            of equal ones.

    Raises:
        SettingError: if the package onnx is missing, a layer's class is not in `tinysegnet.layers`, the palette has
            another number of classes, or the weights exceed 2 GB.
    """
    try:
        import onnx
    except ImportError as error:
        raise SettingError("ONNX files need the package onnx, which is not installed. Run "
                           'pip install "tinysegnet[onnx]"') from error  # fmt: skip
    weight_bytes = 4 * check_network(model).num_parameters
    if weight_bytes > MAX_BYTES:
        raise SettingError(f"model: its weights have {weight_bytes / 1e9:.1f} GB, but an ONNX file has at most 2 GB. "
                           "Choose a smaller width")  # fmt: skip
    if palette is not None and palette.num_classes != model.num_classes:
        raise SettingError(f"palette: it has {palette.num_classes} classes, but the network predicts "
                           f"{model.num_classes}. Give the palette of the network's data")  # fmt: skip
    graph, helper = _Graph(), onnx.helper
    output, shape = _add_network(graph, fold_batchnorm(model), argmax)
    tensor = helper.make_tensor_value_info
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node(op, inputs, outputs, outputs[0], **attributes)
             for op, inputs, outputs, attributes in graph.nodes],
            str(model.config["name"]),
            [tensor("image", UINT8, ["batch", "height", "width", 3])],
            [tensor(output, UINT8 if argmax else FLOAT, shape)],
            [onnx.numpy_helper.from_array(array, name) for name, array in graph.arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="tinysegnet", producer_version=_version(),
    )  # fmt: skip
    helper.set_model_props(proto, _metadata(model, palette, size))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _metadata(model: Network, palette: Palette | None, size: tuple[int, int] | None) -> dict[str, str]:
    """Return the metadata as JSON texts by name."""
    values: dict[str, Any] = {"model": model.config, "size_multiple": model.size_multiple, "size": size}
    if palette is not None:
        values |= asdict(palette)
    return {name: json.dumps(value) for name, value in values.items()}


def _version() -> str:
    try:
        return version("tinysegnet")
    except PackageNotFoundError:  # a copy of the source that is not installed
        return "unknown"


def _add_network(graph: _Graph, model: Network, argmax: bool) -> tuple[str, list[str | int]]:
    """Add the nodes from the input "image" to the output, and return the output's name and shape."""
    graph.scope = "image"
    x = graph.add("Transpose", graph.add("Cast", "image", to=FLOAT), perm=[0, 3, 1, 2])
    size, after = model.fitting_size((45, 61)), (0,)  # an example; the layers below accept any size
    for name, layer, before, after in model.output_shapes((1, *size, 3)):
        graph.scope, graph.inputs[layer], graph.channels = name, x, before[3]
        x = _add_layer(graph, layer, x)
    graph.scope = "output"
    if after[3] == 1:
        x = graph.add("Pad", x, np.array([0, 1, 0, 0, 0, 0, 0, 0]))  # a channel of zeros before the single logit
    shape: list[str | int] = ["batch", "height", "width"]
    if after[1:3] != size:
        shape[1:] = "output_height", "output_width"
    if argmax:
        return graph.add("Cast", graph.add("ArgMax", x, axis=1, keepdims=0), to=UINT8, output="labels"), shape
    return graph.add("Transpose", x, perm=[0, 2, 3, 1], output="logits"), [*shape, model.num_classes]


def _add_layer(graph: _Graph, layer: Layer, x: str) -> str:
    """Add the nodes of a layer and return the name of its output."""
    add_nodes = _LAYERS.get(type(layer))
    if add_nodes is None:  # a subclass may compute something else
        raise SettingError(f"{graph.scope}: a layer of class {type(layer).__name__} has no counterpart in ONNX. "
                           "Only the classes of tinysegnet.layers can be exported")  # fmt: skip
    return add_nodes(graph, layer, x)


class _Graph:
    """The nodes and constants of a graph, which is built from the input to the output.

    Attributes:
        nodes: operator, inputs, outputs and attributes of each node.
        arrays: the weights and other constants by name.
        scope: the name of the current layer, with which all names begin.
        channels: the number of channels of the current layer's input.
        inputs, indices, maps: the names of each layer's input, pool indices, and stored feature maps.
    """

    def __init__(self) -> None:
        self.nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.scope, self.channels = "", 3
        self.inputs: dict[Layer, str] = {}
        self.indices: dict[Layer, str] = {}
        self.maps: dict[Layer, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, op: str, *inputs: str | np.ndarray, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output. Inputs are names, or arrays of constants."""
        output = output or self._unused(op)
        names = [x if isinstance(x, str) else self.constant(self._unused("constant"), x) for x in inputs]
        self.nodes.append((op, names, [output], attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant, with float32 instead of another float dtype, and return its name."""
        self.arrays[name] = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)
        return name

    def weights(self, arrays: Iterable[tuple[str, np.ndarray]]) -> list[str]:
        """Add constants with the names that they have in a checkpoint."""
        return [self.constant(f"{self.scope}.{name}", array) for name, array in arrays]

    def size(self, x: str) -> str:
        """Return the height and width of x."""
        return self.add("Shape", x, start=2, end=4)

    def crop(self, x: str, size: str, start: str | np.ndarray | None = None) -> str:
        """Return `size` pixels of x from `start`, which is by default the top left corner."""
        start = np.zeros(2, int) if start is None else start
        end = size if isinstance(start, np.ndarray) else self.add("Add", start, size)
        return self.add("Slice", x, start, end, np.array([2, 3]))

    def _unused(self, op: str) -> str:
        name = f"{self.scope}/{op}"
        self._counts[name] += 1
        return name if self._counts[name] == 1 else f"{name}_{self._counts[name]}"


def _normalize(graph: _Graph, layer: Normalize, x: str) -> str:
    x = graph.add("Sub", x, layer.mean.reshape(-1, 1, 1))
    x = graph.add("Div", x, layer.scale.reshape(-1, 1, 1))
    if layer.order == 1:
        return x
    last, end, axis, step = (np.array([n]) for n in (-1, np.iinfo(np.int64).min, 1, -1))
    return graph.add("Slice", x, last, end, axis, step)  # the channels in reverse order


def _local_response_norm(graph: _Graph, layer: LocalResponseNorm, x: str) -> str:
    attributes = dict(layer.settings)
    return graph.add("LRN", x, bias=attributes.pop("k"), **attributes)


def _conv(graph: _Graph, layer: Conv2d | DepthwiseConv2d, x: str, group: int = 1) -> str:
    stride = pair(layer.stride)
    if layer.padding == "same" and max(stride) > 1:
        padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"}  # depends on the size; any extra zero is at the end
    else:
        kernel = layer.params["weight"].shape[:2]
        (top, bottom), (left, right) = resolve_padding(graph.scope, layer.padding, kernel, kernel, stride)
        padding = {"pads": [top, left, bottom, right]}
    return graph.add("Conv", x, *_kernel_and_bias(graph, layer), strides=stride, group=group, **padding)


def _kernel_and_bias(graph: _Graph, layer: Layer) -> list[str]:
    return graph.weights((name, array.transpose(3, 2, 0, 1) if name == "weight" else array)
                         for name, array in layer.params.items())  # fmt: skip


def _depthwise_conv(graph: _Graph, layer: DepthwiseConv2d, x: str) -> str:
    return _conv(graph, layer, x, group=layer.params["weight"].shape[3])


def _conv_transpose(graph: _Graph, layer: ConvTranspose2d, x: str) -> str:
    """Add a transposed convolution, of which padding "same" keeps the pixels in the middle.

    Without padding, it returns (h - 1) * stride + K rows. An output of H rows lacks the first half of the other rows.
    """
    kernel, stride = layer.params["weight"].shape[0], layer.stride
    gap = max(stride - kernel, 0)  # zeros at the end, if no kernel reaches the last of h * stride rows
    inputs, settings = _kernel_and_bias(graph, layer), {"strides": pair(stride), "output_padding": pair(gap)}
    if layer.pool is None:  # H = h * stride
        before, after = divmod(max(kernel - stride, 0), 2)
        after += before
        return graph.add("ConvTranspose", x, *inputs, pads=[before, before, after, after], **settings)
    x = graph.add("ConvTranspose", x, *inputs, **settings)
    size = graph.size(graph.inputs[layer.pool])
    excess = graph.add("Sub", graph.add("Sub", graph.size(x), np.array(gap)), size)
    before = graph.add("Div", graph.add("Max", excess, np.array(0)), np.array(2))
    return graph.crop(x, size, before)


def _batch_norm(graph: _Graph, layer: BatchNorm2d, x: str) -> str:
    return graph.add("BatchNormalization", x, *graph.weights((layer.params | layer.buffers).items()), epsilon=layer.eps)


def _batch_norm_relu(graph: _Graph, layer: BatchNormReLU2d, x: str) -> str:
    return graph.add("Relu", _batch_norm(graph, layer, x))


def _relu(graph: _Graph, layer: ReLU, x: str) -> str:
    return graph.add("Relu", x)


def _max_pool(graph: _Graph, layer: MaxPool2d, x: str) -> str:
    """Add a max-pooling that clips its windows at the end of the picture.

    With K - 1 pixels of padding at the end, a window starts at every `stride`-th pixel of the picture. If windows
    overlap, ours end when a window has reached the last pixel, so the others are cropped.
    """
    kernel, stride = layer.kernel_size, layer.stride
    pooled = graph.add("MaxPool", x, kernel_shape=pair(kernel), strides=pair(stride), pads=[0, 0, kernel - 1, kernel - 1])
    graph.indices[layer] = f"{pooled}.indices"
    graph.nodes[-1][2].append(graph.indices[layer])
    if kernel <= stride:
        return pooled
    # rows: max(ceil((H - K) / stride) + 1, 1)
    steps = graph.add("Div", graph.add("Add", graph.size(x), np.array(stride - 1 - kernel + stride)), np.array(stride))
    return graph.crop(pooled, graph.add("Max", steps, np.array(1)))


def _max_unpool(graph: _Graph, layer: MaxUnpool2d, x: str) -> str:
    shape = graph.add("Shape", graph.inputs[layer.pool])
    zeros = graph.add("ConstantOfShape", graph.add("ReduceProd", shape))
    positions, values = (graph.add("Reshape", a, np.array([-1])) for a in (graph.indices[layer.pool], x))
    return graph.add("Reshape", graph.add("ScatterElements", zeros, positions, values), shape)


def _fixed_unpool(graph: _Graph, layer: FixedUnpool2d, x: str) -> str:
    """Add a transposed convolution with a kernel of one pixel, which puts each value in the corner of its window."""
    stride, ones = layer.pool.stride, np.ones((graph.channels, 1, 1, 1), np.float32)
    x = graph.add("ConvTranspose", x, ones, group=graph.channels, strides=pair(stride), output_padding=pair(stride - 1))
    return graph.crop(x, graph.size(graph.inputs[layer.pool]))


def _upsample(graph: _Graph, layer: Upsample, x: str) -> str:
    scales = np.array([1, 1, *pair(layer.scale_factor)], np.float32)
    if layer.mode == "nearest":
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    x = graph.add("Resize", x, "", scales, **how)
    return x if layer.pool is None else graph.crop(x, graph.size(graph.inputs[layer.pool]))


def _skip_source(graph: _Graph, layer: SkipSource, x: str) -> str:
    graph.maps[layer] = _add_layer(graph, layer.through, x) if layer.params else x
    return x


def _skip_add(graph: _Graph, layer: SkipAdd, x: str) -> str:
    return graph.add("Add", x, graph.maps[layer.source])


def _identity(graph: _Graph, layer: Dropout, x: str) -> str:
    return x


#: the function that adds the nodes of a layer, by the layer's exact class
_LAYERS: dict[type[Layer], Callable[[_Graph, Any, str], str]] = {
    Normalize: _normalize,
    LocalResponseNorm: _local_response_norm,
    Conv2d: _conv,
    DepthwiseConv2d: _depthwise_conv,
    ConvTranspose2d: _conv_transpose,
    BatchNorm2d: _batch_norm,
    BatchNormReLU2d: _batch_norm_relu,
    ReLU: _relu,
    MaxPool2d: _max_pool,
    MaxUnpool2d: _max_unpool,
    FixedUnpool2d: _fixed_unpool,
    Upsample: _upsample,
    SkipSource: _skip_source,
    SkipAdd: _skip_add,
    Dropout: _identity,
}
