"""A network run once, forward, loss and backward, with every array kept: what a walk shows.

It is run in float64 by the NumPy definitions of the ops, the very code that the page prints, so that a sum on the page
is the sum that was computed. Batch norm uses its running statistics and dropout drops nothing, as in one pass of
`predict`. With fixed statistics batch norm is one factor and one shift a channel, and its backward is that factor:

    forward:  out = gamma * (x - mean) / std + beta        mean, std constants
    so:       dx  = gamma / std * dout

The model itself is only read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import SettingError
from ..gradcheck import find_variants
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
from ..models import Network
from ..ops import cross_entropy_for, unpack_indices
from ..ops.windows import place
from .window_tables import Windows

__all__ = ["Loss", "Passage", "Trace", "definition", "trace"]

Arrays = dict[str, np.ndarray]


@dataclass
class Passage:
    """What one layer did. All arrays float64, pictures (1, H, W, C).

    kind: the op's name, or "normalize", "dropout", "tap", "add". op: whose definition ran, "" if none. x, out: input
    and output. params: weight, bias, gamma, ... facts: plain numbers. positions: of a pool's maxima (1, h, w, C).
    other: what a SkipAdd adds, or a SkipSource keeps; partner: the layer that it crosses to or from. dout,
    dx, dother, dparams: the gradients, if there is a loss.
    """

    kind: str
    out: np.ndarray
    cache: Any = None
    op: str = ""
    params: Arrays = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    windows: Windows | None = None
    positions: np.ndarray | None = None
    other: np.ndarray | None = None
    partner: str = ""
    name: str = ""
    layer: Any = None
    x: Any = None
    dout: Any = None
    dx: Any = None
    dother: Any = None
    dparams: Arrays = field(default_factory=dict)

    def choose(self, indices: np.ndarray) -> None:
        """Of a pool: let these be its indices."""
        self.facts["indices"], self.positions = indices, self.unpacked(indices)

    def unpacked(self, indices: np.ndarray) -> np.ndarray:
        """Of a pool: indices as positions in their windows, (1, h, w, C)."""
        assert self.windows is not None
        two = self.windows.kernel == self.windows.stride == (2, 2)
        return unpack_indices(indices, self.out.shape[3]) if two else indices


@dataclass(frozen=True)
class Loss:
    """labels (H, W), -1 where nothing is labelled. surprise: each pixel's part of the sum (H, W). divisor: D."""

    value: float
    labels: np.ndarray
    surprise: np.ndarray
    weights: np.ndarray
    divisor: float
    dlogits: np.ndarray


@dataclass(frozen=True)
class Trace:
    """A whole run. probs (1, H, W, K): softmax of the logits, or sigmoid of the only one. loss: None without labels."""

    passages: list[Passage]
    probs: np.ndarray
    loss: Loss | None

    @property
    def x(self) -> np.ndarray:
        """The picture, (1, H, W, 3)."""
        return self.passages[0].x

    @property
    def logits(self) -> np.ndarray:
        """(1, H, W, K)."""
        return self.passages[-1].out


def definition(op: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The NumPy pair of an op."""
    return find_variants(op)["numpy"]


def trace(model: Network, image: np.ndarray, labels: np.ndarray | None, *, ignore_label: int | None = None,
          class_weights: Any = None, indices: Arrays | None = None) -> Trace:  # fmt: skip
    """image (H, W, 3), labels (H, W) or None -> everything. Raises SettingError for a layer of another library.

    indices: of pools by name, to be used instead of those that they find: for numbers that are equal up to rounding.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # its threads would fight with the kernels' for the cores
        return _trace(model, image, labels, ignore_label, class_weights, indices or {})


def _trace(model: Network, image: np.ndarray, labels: Any, ignore_label: int | None, class_weights: Any,
           indices: Arrays) -> Trace:  # fmt: skip
    x, passages = np.asarray(image, np.float64)[None], []
    before: dict[Layer, Passage] = {}
    for name, layer in model.layers.items():
        passage = _forward(name, layer, x, before)
        if name in indices:
            passage.choose(indices[name])
        passage.name, passage.layer, passage.x = name, layer, x
        if passage.kind == "add":
            before[passage.layer.source].partner = name
        before[layer], x = passage, passage.out
        passages.append(passage)
    probs = definition("sigmoid" if x.shape[3] == 1 else "softmax")[0](x)[0]
    if labels is None:
        return Trace(passages, probs, None)
    loss = _loss(x, labels, ignore_label, class_weights)
    _backward(passages, loss.dlogits, before)
    return Trace(passages, probs, loss)


# --- forward ----------------------------------------------------------------------------------------------------------


def _forward(name: str, layer: Any, x: np.ndarray, before: dict[Layer, Passage]) -> Passage:
    for kind, run in _RUNS.items():
        if isinstance(layer, kind):
            return run(layer, x, before)
    raise SettingError(f"{name}: walk cannot explain a {type(layer).__name__} (expected the layers of tinysegnet)")


def _exact(layer: Layer) -> Arrays:
    return {name: array.astype(np.float64) for name, array in layer.params.items()}


def _normalize(layer: Any, x: np.ndarray, before: Any) -> Passage:
    mean, scale = (np.broadcast_to(a, x.shape[3:]).astype(float) for a in (layer.mean, layer.scale))
    out = ((x - mean) / scale)[..., :: layer.order]
    return Passage("normalize", out, params={"mean": mean, "scale": scale}, facts={"reversed": layer.order == -1})


def _local_response(layer: Any, x: np.ndarray, before: Any) -> Passage:
    out, cache = definition("local_response_norm")[0](x, **layer.settings)
    return Passage("local_response_norm", out, cache, op="local_response_norm", facts=dict(layer.settings))


def _conv(layer: Any, x: np.ndarray, before: Any) -> Passage:
    params, op = _exact(layer), "conv2d" if isinstance(layer, Conv2d) else "depthwise_conv2d"
    stride, padding = getattr(layer, "stride", 1), getattr(layer, "padding", "same")
    out, cache = definition(op)[0](x, params["weight"], params.get("bias"), stride=stride, padding=padding)
    return Passage(op, out, cache, op=op, params=params, windows=_windows(x, params["weight"], stride, padding, "in"))


def _windows(large: np.ndarray, weight: np.ndarray, stride: int, padding: Any, side: str) -> Windows:
    strides, pads, _ = place("walk", large.shape[1:3], weight.shape[:2], stride, padding)
    return Windows(weight.shape[:2], tuple(strides), (pads[0][0], pads[1][0]), side)  # type: ignore[arg-type]


def _transposed(layer: Any, x: np.ndarray, before: dict[Layer, Passage]) -> Passage:
    params, size = _exact(layer), None if layer.pool is None else before[layer.pool].x.shape[1:3]
    out, cache = definition("conv_transpose2d")[0](
        x, params["weight"], params.get("bias"), stride=layer.stride, output_size=size
    )
    windows = _windows(out, params["weight"], layer.stride, "same", "out")
    return Passage("conv_transpose2d", out, cache, op="conv_transpose2d", params=params, windows=windows)


def _batchnorm(layer: Any, x: np.ndarray, before: Any) -> Passage:
    params = _exact(layer)
    mean, var = (layer.buffers[name].astype(np.float64) for name in ("running_mean", "running_var"))
    forward, _ = definition("batchnorm2d")
    (out, _, _), cache = forward(x, params["gamma"], params["beta"], mean=mean, var=var, eps=layer.eps)
    params = {**params, "mean": mean, "var": var}
    return Passage("batchnorm2d", out, cache, op="batchnorm2d", params=params, facts={"eps": layer.eps})


def _relu(layer: Any, x: np.ndarray, before: Any) -> Passage:
    out, cache = definition("relu")[0](x)
    return Passage("relu", out, cache, op="relu")


def _pool(layer: Any, x: np.ndarray, before: Any) -> Passage:
    size, stride = layer.kernel_size, layer.stride
    (out, indices), cache = definition("max_pool2d")[0](x, size=size, stride=stride)
    windows = Windows((size, size), (stride, stride), (0, 0), "in")
    passage = Passage("max_pool2d", out, cache, op="max_pool2d", windows=windows)
    passage.choose(indices)
    return passage


def _unpool(layer: Any, x: np.ndarray, before: dict[Layer, Passage]) -> Passage:
    pool, settings = before[layer.pool], {"size": layer.pool.kernel_size, "stride": layer.pool.stride}
    fixed = isinstance(layer, FixedUnpool2d)
    indices, positions = pool.facts["indices"], pool.positions
    assert positions is not None
    if fixed:
        indices, positions = np.zeros_like(indices), np.zeros_like(positions)
    out, cache = definition("max_unpool2d")[0](x, indices, output_size=pool.x.shape[1:3], **settings)
    windows = Windows((settings["size"],) * 2, (settings["stride"],) * 2, (0, 0), "out")
    return Passage("max_unpool2d", out, cache, op="max_unpool2d", windows=windows, positions=positions,
                   partner=pool.name, facts={"fixed": fixed})  # fmt: skip


def _upsample(layer: Any, x: np.ndarray, before: dict[Layer, Passage]) -> Passage:
    op, factor = f"upsample_{layer.mode}2d", layer.scale_factor
    size = None if layer.pool is None else before[layer.pool].x.shape[1:3]
    out, cache = definition(op)[0](x, factor=factor, output_size=size)
    # a pixel of x is seen by its copies; blended, by all pixels nearer than one of its neighbours' distance
    reach = (factor, 0) if layer.mode == "nearest" else (2 * factor, factor // 2)
    windows = Windows((reach[0],) * 2, (factor,) * 2, (reach[1],) * 2, "out")
    return Passage(op, out, cache, op=op, windows=windows, facts={"factor": factor})


def _dropout(layer: Any, x: np.ndarray, before: Any) -> Passage:
    return Passage("dropout", x, facts={"p": layer.p})


def _tap(layer: Any, x: np.ndarray, before: Any) -> Passage:
    if layer.through is None:
        return Passage("tap", x, other=x)
    through = _conv(layer.through, x, before)
    return Passage("tap", x, through.cache, op="conv2d", params=through.params, windows=through.windows,
                   other=through.out)  # fmt: skip


def _add(layer: Any, x: np.ndarray, before: dict[Layer, Passage]) -> Passage:
    tap = before[layer.source]
    assert tap.other is not None
    return Passage("add", x + tap.other, other=tap.other, partner=tap.name)


_RUNS: dict[type, Callable[[Any, np.ndarray, Any], Passage]] = {
    Normalize: _normalize,
    LocalResponseNorm: _local_response,
    Conv2d: _conv,
    DepthwiseConv2d: _conv,
    ConvTranspose2d: _transposed,
    BatchNorm2d: _batchnorm,
    ReLU: _relu,
    MaxPool2d: _pool,
    MaxUnpool2d: _unpool,
    Upsample: _upsample,
    Dropout: _dropout,
    SkipSource: _tap,
    SkipAdd: _add,
}


# --- loss and backward ------------------------------------------------------------------------------------------------


def _loss(logits: np.ndarray, labels: np.ndarray, ignore_label: int | None, class_weights: Any) -> Loss:
    op = cross_entropy_for(logits)[0].__name__.split("_forward")[0]
    forward, backward = definition(op)
    labels = labels[None]
    settings = {"class_weights": class_weights, "ignore_label": ignore_label}
    value, cache = forward(logits, labels, **settings)
    _, classes, weights, divisor = cache
    scores = np.concatenate([np.zeros_like(logits), logits], -1) if logits.shape[3] == 1 else logits
    some = np.maximum(classes, 0)
    largest = scores.max(-1)
    surprise = np.log(np.exp(scores - largest[..., None]).sum(-1)) + largest
    surprise -= np.take_along_axis(scores, some[..., None], -1)[..., 0]
    part = np.where(classes >= 0, weights[some] * surprise, 0) / (divisor or 1)
    return Loss(float(value), classes[0], part[0], weights, float(divisor), backward(1.0, cache))


def _backward(passages: list[Passage], dlogits: np.ndarray, before: dict[Layer, Passage]) -> None:
    """Fill in the gradients, from the last layer to the first."""
    dout = dlogits
    for passage in reversed(passages):
        passage.dout = dout
        if passage.kind == "add":
            before[passage.layer.source].dother = dout
            passage.dx = passage.dother = dout
        elif passage.kind == "tap":
            passage.dx = dout + (_through_op(passage, passage.dother) if passage.op else passage.dother)
        elif passage.kind == "normalize":
            passage.dx = dout[..., :: -1 if passage.facts["reversed"] else 1] / passage.params["scale"]
        else:
            passage.dx = _through_op(passage, dout) if passage.op else dout
        dout = passage.dx


def _through_op(passage: Passage, dout: np.ndarray) -> np.ndarray:
    """dx by the op's backward; its other gradients belong to the parameters, in the order of the arguments."""
    found = definition(passage.op)[1](dout, passage.cache)
    if not isinstance(found, tuple):
        return found
    names = [name for name in ("weight", "bias", "gamma", "beta") if name in passage.params]
    passage.dparams = dict(zip(names, (g for g in found[1:] if g is not None), strict=True))
    return found[0]
