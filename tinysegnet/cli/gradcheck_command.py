"""tinysegnet gradcheck, summary."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass

import tyro

from .. import gradcheck
from ..models import build, models
from ..runtime.settings import check_at_least
from .train_command import ModelName

__all__ = ["Gradcheck", "Summary"]


@dataclass(frozen=True)
class Gradcheck:
    """Prove the gradients: compare every op's backward with finite differences of its forward."""

    ops: tyro.conf.Positional[tuple[str, ...]] = ()
    """Which ops, such as conv2d; default: all."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def run(self) -> int:
        text, ok = gradcheck.run(list(self.ops), json=self.json)
        print(text)
        return 0 if ok else 1


@dataclass(frozen=True)
class Summary:
    """What a network costs: shapes, parameters, memory and multiply-adds, layer by layer."""

    model: tyro.conf.Positional[ModelName]
    """Which network."""
    size: tuple[int, int] = (360, 480)
    """Height and width of the pictures."""
    batch_size: int = 1
    """Pictures in a batch."""
    num_classes: int = 11
    """Channels of the classifier."""
    width: float = 1.0
    """A factor on the channels of every stage."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def run(self) -> int:
        check_at_least(self, size=1, batch_size=1)
        network = build(self.model, self.num_classes, width=self.width)
        network.demand_size(self.size)
        summary = network.summary(self.size, batch_size=self.batch_size)
        if not self.json:
            print(inspect.getdoc(models[self.model]), end="\n\n")
        print(json.dumps(summary.as_dict()) if self.json else summary)
        return 0
