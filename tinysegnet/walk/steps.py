"""A trace prepared for the page: its arrays, its nodes and its steps, in this order:

    the picture, every layer forward, softmax, the loss, the loss backward, every layer backward

A node is a computation: a layer, softmax or the loss. A step shows a node in one direction.
"""

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..layers import LayerTrace
from ..prediction.predict import class_logits
from .explanations import explain, explain_layer
from .payload import Blobs, PageTensor, Plan, as_float, even_grid, pack_weight
from .trace import Loss, Trace, definition

_PACKAGE = Path(__file__).parents[1]
COLOURS = ["red", "green", "blue"]
MAX_LOGITS = 250_000  # numbers. The page stores so many if it cannot compute them, to explain the loss of each pixel

Node = dict[str, Any]  # in the page, numbers replace its PageTensors


def build_steps(trace: Trace, classes: list[str], plan: Plan, blobs: Blobs) -> dict[str, Any]:
    """Return the page's tensors, nodes, steps and sources, and add arrays to the blobs. Raises TooLarge."""
    steps = _Steps(plan, blobs)
    steps.add("start", 0, explain("start"))
    for number, traced in enumerate(trace.layers):
        steps.nodes.append(steps.layer_node(traced))
        steps.add_layer("forward", number, traced)
    steps.add_answer(trace)
    if trace.loss is not None:
        steps.add_loss(trace, trace.loss)
        for number, traced in reversed(list(enumerate(trace.layers))):
            steps.add_layer("backward", number, traced)
    _name_channels(steps.nodes, len(trace.layers), classes)
    steps.nodes[0]["x"].exact[:] = True
    nodes = [{name: value.number if isinstance(value, PageTensor) else value for name, value in node.items()}
             for node in steps.nodes]  # fmt: skip
    tensors = [tensor.pack(blobs) for tensor in steps.tensors.values()]
    return {"tensors": tensors, "nodes": nodes, "steps": steps.steps, "sources": steps.sources,
            "place": _first_place(trace, plan)}  # fmt: skip


def _first_place(trace: Trace, plan: Plan) -> list[float]:
    """Return the place (0..1 from the top and from the left) of the pixel with the largest part of the loss.

    Without labels, it is the pixel whose two largest probabilities differ least. Pixels on the border are left out,
    because their windows extend beyond the picture.
    """
    if trace.loss is not None:
        interest = trace.loss.parts[0, :, :, 0]
    else:
        probs = trace.probs[0] if trace.activation == "softmax" else abs(trace.probs[0] - np.array([0, 1]))
        second, first = np.moveaxis(np.sort(probs, axis=-1)[..., -2:], -1, 0)
        interest = second - first
    H, W = interest.shape
    rows, columns = (axis[1:-1] if len(axis) > 2 else axis for axis in even_grid((H, W), plan.pixels))
    found = np.nan_to_num(interest[np.ix_(rows, columns)], nan=-np.inf)
    row, column = np.unravel_index(np.argmax(found), found.shape)
    return [(rows[row] + 0.5) / H, (columns[column] + 0.5) / W]


class _Steps:
    """The nodes and steps that have been added."""

    def __init__(self, plan: Plan, blobs: Blobs) -> None:
        self.plan, self.blobs = plan, blobs
        self.tensors: dict[int, PageTensor] = {}  # by the id of the array
        self.nodes: list[Node] = []
        self.steps: list[dict[str, Any]] = []
        self.sources: dict[str, dict[str, str]] = {}

    def tensor(self, array: np.ndarray, *, gradient: bool = False) -> PageTensor:
        """Return the PageTensor of an array (1, H, W, C); an array that is used twice is stored once."""
        if id(array) not in self.tensors:
            self.tensors[id(array)] = PageTensor(len(self.tensors), array, self.plan, gradient)
        return self.tensors[id(array)]

    def add(self, way: str, node: int, texts: dict[str, str], function: Callable[..., Any] | None = None,
            params: list[dict[str, Any]] | None = None) -> None:  # fmt: skip
        """Add a step, with the source of the function that computed it."""
        texts = {name: texts[name] for name in ("title", "what", "why", "formula")}
        source = "" if function is None else function.__qualname__
        if function is not None and source not in self.sources:
            self.sources[source] = _source_of(function)
        self.steps.append({"way": way, "node": node, **texts, "source": source, "params": params or []})

    def add_layer(self, way: str, number: int, traced: LayerTrace) -> None:
        """Add the step of a layer. Its source is its op's definition, or the layer's own code if it has no op."""
        texts, layer = explain_layer(traced), type(traced.layer)
        forward, backward = definition(traced.op) if traced.op else (layer._forward, layer._backward)
        if way == "forward":
            learned = traced.params if traced.layer.params else {}
            self.add(way, number, texts, forward, [_summary(name, array) for name, array in learned.items()])
        else:
            texts |= {"what": texts["backward"], "why": "", "formula": texts["backward_formula"]}
            self.add(way, number, texts, backward, _gradients(traced))

    def add_answer(self, trace: Trace) -> None:
        """Add the node and the step of the probabilities."""
        logits: PageTensor = self.nodes[-1]["out"]
        logits.whole = True  # softmax sums over all classes
        probs = self.tensor(trace.probs)
        self.nodes.append({"name": "answer", "kind": trace.activation, "x": logits, "out": probs, "result": probs,
                           "dout": None, "dx": None})  # fmt: skip
        self.add("answer", len(self.nodes) - 1, explain(trace.activation), definition(trace.activation).forward)

    def add_loss(self, trace: Trace, loss: Loss) -> None:
        """Add the node and both steps of the loss."""
        *_, last, answer = self.nodes
        predicted = class_logits(trace.logits)[0].argmax(-1).astype(np.uint8)
        parts, labels = self.tensor(loss.parts), np.where(loss.labels < 0, 255, loss.labels).astype(np.uint8)
        parts.exact[:] = True
        hidden = any(node["result"].shown < node["result"].array.shape[3] for node in self.nodes)
        if hidden and answer["x"].array.size <= MAX_LOGITS:
            answer["x"].exact[:] = True
        settings = {"divisor": loss.divisor, "value": as_float(loss.value),
                    "weights": [as_float(weight) for weight in loss.weights]}  # fmt: skip
        self.nodes.append({"name": "loss", "kind": "loss", "x": answer["out"], "logits": answer["x"], "out": parts,
                           "result": parts, "dx": last["dout"], "dout": None, "settings": settings,
                           "labels": self.blobs.add(labels),
                           "predicted": self.blobs.add(predicted)})  # fmt: skip
        for tensor in (answer["x"], answer["out"]):
            tensor.exact |= last["dout"].clickable
        op, number = definition(f"{trace.activation}_cross_entropy"), len(self.nodes) - 1
        self.add("loss", number, explain("loss"), op.forward)
        self.add("loss backward", number, explain("loss_backward"), op.backward)

    def layer_node(self, traced: LayerTrace) -> Node:
        """Return the node of a layer; its arrays become exact where the sums at the clickable pixels need them."""
        node: Node = {name: getattr(traced, name) for name in ("name", "kind", "partner", "settings")}
        for name in ("x", "out", "other", "result", "dout", "dx", "dother", "dresult"):
            array = getattr(traced, name)
            node[name] = None if array is None else self.tensor(array, gradient=name.startswith("d"))
        node["mixesChannels"], node["windows"] = traced.layer.mixes_channels, None
        _require(node, traced)
        params = dict(traced.params)
        if traced.windows is not None:
            node["windows"] = traced.windows._asdict()
            if "weight" in params:
                node["weight"] = self._weight(node, params.pop("weight"))
        node["vectors"] = {name: self.blobs.numbers(vector) for name, vector in params.items()}
        if traced.positions is not None:
            shown = traced.positions[0, :, :, : node["result"].shown]
            node["positions"] = self.blobs.add(shown.transpose(2, 0, 1))
        return node

    def _weight(self, node: Node, weight: np.ndarray) -> dict[str, Any]:
        sides = ("large", "small") if node["windows"]["large"] == "in" else ("small", "large")
        shown = dict(zip(sides, (node["x"].shown, node["result"].shown), strict=True))
        if node["dx"] is None:
            del shown[sides[0]]
        return pack_weight(weight, shown, self.blobs)


def _require(node: Node, traced: LayerTrace) -> None:
    """Store the exact values that the sums at the clickable pixels of result and dx read."""
    x, result, dx, windows = node["x"], node["result"], node["dx"], traced.windows
    x.whole |= traced.layer.mixes_channels
    if windows is not None:
        x.exact |= windows.needed(result.clickable, x.size, of="out")
    if dx is None:
        return
    x.exact |= dx.clickable
    for gradient in filter(None, (node["dout"], node["dother"])):
        gradient.whole |= traced.layer.mixes_channels
        for pixels in (result.clickable, dx.clickable):
            if pixels.shape == gradient.size:
                gradient.exact |= pixels
    if windows is not None:
        node["dresult"].exact |= windows.needed(dx.clickable, node["dresult"].size, of="in")


def _name_channels(nodes: list[Node], layers: int, classes: list[str]) -> None:
    """Name the channels of picture, logits, probabilities and loss, and of their gradients."""
    first, last, answer, loss = nodes[0], nodes[layers - 1], nodes[layers], nodes[layers + 1 :]
    colours = COLOURS[::-1] if first["settings"].get("reversed") else COLOURS
    classes = classes[1:] if answer["kind"] == "sigmoid" else classes
    named = [(first, "x", COLOURS), (first, "dx", COLOURS), (first, "out", colours), (first, "dout", colours),
             (last, "out", classes), (last, "dout", classes), (answer, "out", classes),
             *((node, "out", ["contribution"]) for node in loss)]  # fmt: skip
    for node, name, names in named:
        if node[name] is not None and node[name].array.shape[3] == len(names):
            node[name].names = names


def _summary(name: str, array: np.ndarray) -> dict[str, Any]:
    return {"name": name, "shape": array.shape, "low": as_float(array.min()), "high": as_float(array.max())}


def _gradients(traced: LayerTrace) -> list[dict[str, Any]]:
    """Summarise the gradients of the parameters, with their norms, absolute and relative to the parameters' norms."""
    found = []
    for name, gradient in traced.dparams.items():
        size, own = float(np.linalg.norm(gradient)), float(np.linalg.norm(traced.params[name]))
        share = as_float(size / own) if own else None
        found.append(_summary(f"d{name}", gradient) | {"norm": as_float(size), "share": share})
    return found


def _source_of(function: Callable[..., Any]) -> dict[str, str]:
    lines, first = inspect.getsourcelines(function)
    path = Path(inspect.getsourcefile(function) or "")
    file = path.relative_to(_PACKAGE.parent).as_posix() if path.is_relative_to(_PACKAGE) else path.name
    return {"head": f"{file}, line {first}", "text": textwrap.dedent("".join(lines))}
