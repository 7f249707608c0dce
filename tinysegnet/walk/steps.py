"""A trace as the page tells it: arrays, what each layer did with them, and the steps in the order they are walked.

    the picture, every layer forward, softmax, the loss, the loss backward, every layer backward

Nodes are what was computed: the layers, softmax and loss. A step shows a node in one direction.
"""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..layers import LayerTrace
from . import explanations
from .payload import Blobs, Plan, Tensors, as_float, pack_weight
from .trace import Trace, definition

__all__ = ["Story", "tell"]

_PACKAGE = Path(__file__).parents[1]
# what a number is made of comes from all channels
MIXES = {"conv2d", "conv_transpose2d", "tap", "local_response_norm"}
COLOURS = ["red", "green", "blue"]


@dataclass
class Story:
    """tensors: all arrays. passages: with the numbers of theirs; the last node or two are the answer and the loss."""

    trace: Trace
    tensors: Tensors
    nodes: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    sources: dict[str, dict[str, Any]]

    def pack(self, plan: Plan, blobs: Blobs) -> dict[str, Any]:
        """The page's data. Raises TooLarge."""
        self.tensors.forget()
        for node, passage in zip(self.nodes, self.trace.passages, strict=False):
            self._demand(node, passage, plan)
        if self.trace.loss is not None:  # its way back shows logits and probabilities at its own pixels
            answer, loss = self.nodes[-2:]
            for number in (answer["x"], answer["out"]):
                self.tensors.demand(number, self.tensors.clickable(loss["dx"], plan))
        self.tensors.demand(self.nodes[len(self.trace.passages)]["x"], np.zeros((), bool), whole=True)  # softmax sums
        nodes = [self._packed(node, passage, plan, blobs)
                 for node, passage in zip(self.nodes, self.trace.passages, strict=False)]  # fmt: skip
        rest = [dict(node) for node in self.nodes[len(nodes) :]]
        if self.trace.loss is not None:
            rest[-1]["labels"] = blobs.add(np.where(self.trace.loss.labels < 0, 255, self.trace.loss.labels)
                                           .astype(np.uint8).tobytes())  # fmt: skip
        tensors = self.tensors.pack(plan, blobs)
        return {"tensors": tensors, "nodes": nodes + rest, "steps": self.steps, "sources": self.sources}

    def _demand(self, node: dict[str, Any], passage: LayerTrace, plan: Plan) -> None:
        """What the sums at the clickable pixels read."""
        tensors, windows, whole = self.tensors, passage.windows, passage.kind in MIXES
        out = node["other"] if passage.kind == "tap" else node["out"]
        wanted = tensors.clickable(out, plan)
        tensors.demand(node["x"], np.zeros((), bool), whole=whole)
        if windows is not None:
            tensors.demand_around(node["x"], windows, wanted, "out", whole=whole)
        if node["dx"] is None:
            return
        back = tensors.clickable(node["dx"], plan)
        tensors.demand(node["x"], back)
        for dout in (node["dout"], node["dother"]):
            for mask in (wanted, back):
                if dout is not None and tensors.size(dout) == mask.shape:
                    tensors.demand(dout, mask, whole=whole)
        if windows is not None:
            dout = node["dother"] if passage.kind == "tap" else node["dout"]
            tensors.demand_around(dout, windows, back, "in", whole=whole)

    def _packed(self, node: dict[str, Any], passage: LayerTrace, plan: Plan, blobs: Blobs) -> dict[str, Any]:
        packed, tensors = dict(node), self.tensors
        out = node["other"] if passage.kind == "tap" else node["out"]
        params = dict(passage.params)
        if "weight" in params and passage.windows is not None:
            sides = {passage.windows.large: "large"}
            count = {sides.get("in", "small"): tensors.channels(node["x"], plan),
                     sides.get("out", "small"): tensors.channels(out, plan)}  # fmt: skip
            if node["dx"] is None:
                del count[sides.get("in", "small")]
            packed["weight"] = pack_weight(params.pop("weight"), count, blobs)
        packed["vectors"] = {name: blobs.numbers(vector) for name, vector in params.items()}
        if passage.positions is not None:
            shown = passage.positions[0, :, :, : plan.channels].transpose(2, 0, 1)
            packed["positions"] = blobs.add(np.ascontiguousarray(shown).tobytes())
        return packed


def tell(trace: Trace, names: list[str]) -> Story:
    """names: of the classes."""
    tensors, sources = Tensors(), dict[str, dict[str, Any]]()
    nodes = [_node(passage, tensors, number == 0) for number, passage in enumerate(trace.passages)]
    _name_logits(trace, tensors, nodes, names)
    steps = [_step("start", 0, explanations.START)]
    for number, passage in enumerate(trace.passages):
        said = explanations.words_of(passage)
        source = _source(sources, passage, 0)
        steps.append(_step("forward", number, said, source=source, params=_params(passage)))
    one = trace.logits.shape[3] == 1
    nodes.append({"name": "answer", "kind": "sigmoid" if one else "softmax", "x": nodes[-1]["out"], "dx": None,
                  "out": tensors.add(trace.probs, names=names[1:] if one else names), "dout": None})  # fmt: skip
    op = nodes[-1]["kind"]
    steps.append(
        _step("answer", len(nodes) - 1, explanations.ANSWER(one), source=_source_of(sources, definition(op)[0]))
    )
    if trace.loss is not None:
        _tell_backward(trace, tensors, nodes, steps, sources)
    return Story(trace, tensors, nodes, steps, sources)


def _tell_backward(trace: Trace, tensors: Tensors, nodes: list[dict[str, Any]], steps: list[dict[str, Any]],
                   sources: dict[str, dict[str, Any]]) -> None:  # fmt: skip
    loss = trace.loss
    assert loss is not None
    surprise = loss.surprise[None, ..., None]
    op = definition(f"{nodes[-1]['kind']}_cross_entropy")
    nodes.append({
        "name": "loss", "kind": "loss", "x": nodes[-1]["out"], "logits": nodes[-1]["x"],
        "out": tensors.add(surprise, names=["part of the loss"]), "dx": nodes[-2]["dout"], "dout": None,
        "facts": {"divisor": loss.divisor, "value": as_float(loss.value), "weights": list(map(as_float, loss.weights))},
    })  # fmt: skip
    last = len(nodes) - 1
    steps.append(_step("loss", last, explanations.LOSS, source=_source_of(sources, op[0])))
    steps.append(_step("loss backward", last, explanations.LOSS_BACKWARD, source=_source_of(sources, op[1])))
    for number, passage in reversed(list(enumerate(trace.passages))):
        said = explanations.words_of(passage)
        back = explanations.Words(said.title, said.back, "", said.back_formula, "", "")
        params = _gradients(passage)
        steps.append(_step("backward", number, back, source=_source(sources, passage, 1), params=params))


def _node(passage: LayerTrace, tensors: Tensors, first: bool) -> dict[str, Any]:
    def gradient(array: np.ndarray | None) -> int | None:
        return None if array is None else tensors.add(array, gradient=True)

    colours = COLOURS[:: -1 if passage.facts.get("reversed") else 1]
    names = {"x": COLOURS, "out": colours} if first else {}
    facts = {name: value for name, value in passage.facts.items() if name != "indices"}
    return {
        "name": passage.name,
        "kind": passage.kind,
        "through": bool(passage.op),
        "partner": passage.partner,
        "x": tensors.add(passage.x, names=names.get("x")),
        "out": tensors.add(passage.out, names=names.get("out")),
        "other": None if passage.other is None else tensors.add(passage.other),
        "dout": gradient(passage.dout),
        "dx": gradient(passage.dx),
        "dother": gradient(passage.dother),
        "windows": passage.windows and passage.windows.as_dict(),
        "facts": facts,
    }


def _name_logits(trace: Trace, tensors: Tensors, nodes: list[dict[str, Any]], names: list[str]) -> None:
    """The channels of the logits, and of their gradient, are the classes."""
    names = names[1:] if trace.logits.shape[3] == 1 else names
    tensors.name(nodes[-1]["out"], names)
    if nodes[-1]["dout"] is not None:
        tensors.name(nodes[-1]["dout"], names)
        tensors.name(nodes[0]["dx"], COLOURS)
        tensors.name(nodes[0]["dout"], COLOURS[:: -1 if nodes[0]["facts"].get("reversed") else 1])


def _step(way: str, node: int, said: explanations.Words, *, source: str = "", params: Any = ()) -> dict[str, Any]:
    texts = {"title": said.title, "what": said.what, "why": said.why, "formula": said.formula}
    return {"way": way, "node": node, **texts, "source": source, "params": list(params)}


def _params(passage: LayerTrace) -> list[dict[str, Any]]:
    return [{"name": name, "shape": array.shape, "low": as_float(array.min()), "high": as_float(array.max())}
            for name, array in passage.params.items() if passage.kind != "normalize"]  # fmt: skip


def _gradients(passage: LayerTrace) -> list[dict[str, Any]]:
    """Of the parameters: their size, and that of the parameters for comparison."""
    found = []
    for name, gradient in passage.dparams.items():
        own = float(np.linalg.norm(passage.params[name]))
        size = float(np.linalg.norm(gradient))
        found.append({"name": f"d{name}", "shape": gradient.shape, "low": as_float(gradient.min()),
                      "high": as_float(gradient.max()), "norm": as_float(size),
                      "share": as_float(size / own) if own else None})  # fmt: skip
    return found


def _source(sources: dict[str, dict[str, Any]], passage: LayerTrace, way: int) -> str:
    """The op's definition, or the layer's own lines where there is no op."""
    if passage.op and passage.kind != "tap":
        return _source_of(sources, definition(passage.op)[way])
    layer = type(passage.layer)
    return _source_of(sources, (layer._forward, layer._backward)[way])


def _source_of(sources: dict[str, dict[str, Any]], function: Any) -> str:
    """Remember a function's source; -> its name."""
    name = function.__qualname__
    if name not in sources:
        lines, first = inspect.getsourcelines(function)
        path = Path(inspect.getsourcefile(function) or "")
        file = path.relative_to(_PACKAGE.parent).as_posix() if path.is_relative_to(_PACKAGE) else path.name
        sources[name] = {"head": f"{file}, line {first}", "text": textwrap.dedent("".join(lines))}
    return name
