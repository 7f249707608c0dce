"""ONNX files, with which onnxruntime and other programs run a network without tinysegnet.

    image (N, H, W, 3) uint8  ->  the network's layers, float32 (N, C, H, W)  ->  logits (N, H, W, K) float32

The file computes `Network.forward` in inference, where dropout is the identity. Batch norm is folded into convolutions.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Palette
from ..errors import SettingError
from ..models import Network, check_network, fold_batchnorm
from .onnx_layers import OnnxGraph

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 17, 8  #: the versions of ONNX's operators and of its format, which onnxruntime 1.12 and later read
MAX_BYTES = 2**31 - 2**24  #: the largest protobuf message, without some room for the graph
FLOAT, UINT8 = 1, 2  #: the numbers of float32 and uint8 in `onnx.TensorProto`


def to_onnx(model: Network, *, palette: Palette | None = None, size: tuple[int, int] | None = None,
            argmax: bool = False) -> ModelProto:  # fmt: skip
    """Convert a network to an ONNX model, which `onnx.save(proto, "net.onnx")` writes.

    The input is `image`: RGB pictures (N, H, W, 3) uint8 of any size that the network accepts. The file contains the
    network's normalisation. It does not resize pictures as `predict` does. The output is `logits`, (N, H, W, K) float32
    for K classes. A single logit z becomes two, (0, z), whose softmax gives the probabilities.

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
        from onnx import checker, helper, numpy_helper
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
    graph = OnnxGraph()
    output, shape = _add_network(graph, fold_batchnorm(model), argmax)
    image = helper.make_tensor_value_info("image", UINT8, ["batch", "height", "width", 3])
    result = helper.make_tensor_value_info(output, UINT8 if argmax else FLOAT, shape)
    nodes = [helper.make_node(op, inputs, outputs, outputs[0], **attributes)
             for op, inputs, outputs, attributes in graph.nodes]  # fmt: skip
    constants = [numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]
    proto = helper.make_model(
        helper.make_graph(nodes, str(model.config["name"]), [image], [result], constants),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="tinysegnet", producer_version=sys.modules["tinysegnet"].__version__,
    )  # fmt: skip
    helper.set_model_props(proto, _metadata(model, palette, size))
    checker.check_model(proto, full_check=True)
    return proto


def _add_network(graph: OnnxGraph, model: Network, argmax: bool) -> tuple[str, list[str | int]]:
    """Add the nodes from the input "image" to the output, and return the output's name and shape."""
    graph.scope = "image"
    x = graph.add("Transpose", graph.add("Cast", "image", to=FLOAT), perm=[0, 3, 1, 2])
    size = model.fitting_size((45, 61))  # an example: the nodes do not depend on it
    *others, last = model.output_shapes((1, *size, 3))
    for name, layer, (*_, channels), _ in (*others, last):
        graph.scope, graph.channels, graph.inputs[layer] = name, channels, x
        x = graph.add_layer(layer, x)
    graph.scope = "output"
    if last.after[3] == 1:
        x = graph.add("Pad", x, np.array([0, 1, 0, 0, 0, 0, 0, 0]))  # zeros as the logits of class 0
    shape = ["batch", *(("height", "width") if last.after[1:3] == size else ("output_height", "output_width"))]
    if argmax:
        return graph.add("Cast", graph.add("ArgMax", x, axis=1, keepdims=0), to=UINT8, output="labels"), [*shape]
    return graph.add("Transpose", x, perm=[0, 2, 3, 1], output="logits"), [*shape, max(2, last.after[3])]


def _metadata(model: Network, palette: Palette | None, size: tuple[int, int] | None) -> dict[str, str]:
    """Return the metadata by name, as texts in JSON."""
    values: dict[str, Any] = {"model": model.config, "size": size, "size_multiple": model.size_multiple}
    if palette is not None:
        values |= asdict(palette)
    return {name: json.dumps(value) for name, value in values.items()}
