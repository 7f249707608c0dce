"""Time and memory of a training step, layer by layer."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from .. import ops, runtime
from ..models import Network
from ..training.optim import SGD

REPEATS = 5  #: Number of timed steps, after one that is not timed.
HEAD = f"{'layer':<20} {'kind':<15} {'output':<22} {'forward ms':>10} {'backward ms':>11} {'MB kept':>8} {'share':>6}"


@dataclass(frozen=True)
class ProfileRow:
    """A row of the profile: a layer, the loss or the optimizer."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    forward: float  # seconds, the median
    backward: float
    kept: int  # bytes that forward keeps for backward

    @property
    def seconds(self) -> float:
        """The seconds of forward and backward together."""
        return self.forward + self.backward


@dataclass(frozen=True)
class Profile:
    """A profile with one row per layer in forward order; `print` shows it as a table."""

    model: str
    input_shape: tuple[int, ...]
    threads: int
    rows: tuple[ProfileRow, ...]

    @property
    def seconds(self) -> float:
        """The seconds of one step, summed over the rows."""
        return sum(row.seconds for row in self.rows)

    def as_json(self) -> str:
        """Return the profile as a JSON object, in seconds and bytes."""
        layers = [asdict(row) | {"share": row.seconds / self.seconds} for row in self.rows]
        return json.dumps({"model": self.model, "input_shape": self.input_shape, "threads": self.threads,
                           "seconds": self.seconds, "layers": layers})  # fmt: skip

    def __str__(self) -> str:
        title = (f"A training step of {self.model}: {self.seconds * 1e3:.0f} ms, pictures "
                 f"{' x '.join(map(str, self.input_shape))}, {self.threads} threads")  # fmt: skip
        lines = [title, "", HEAD, "-" * len(HEAD)]
        for row in self.rows:
            shape, kept = " x ".join(map(str, row.output_shape)), f"{row.kept / 1e6:.2f}" if row.kept else ""
            lines.append(f"{row.name:<20} {row.kind:<15} {shape:<22} {_ms(row.forward):>10} {_ms(row.backward):>11} "
                         f"{kept:>8} {row.seconds / self.seconds:>6.1%}")  # fmt: skip
        forward, backward, kept = np.sum([(r.forward, r.backward, r.kept) for r in self.rows], 0)
        total = f"{'sum':<59} {_ms(forward):>10} {_ms(backward):>11} {kept / 1e6:>8.2f}"
        return "\n".join([*lines, "-" * len(HEAD), total])


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}" if seconds else ""


def profile(model: Network, size: tuple[int, int], batch_size: int, repeats: int = REPEATS) -> Profile:
    """Train the network on random pictures (H, W) and return each layer's median times over `repeats` steps."""
    runtime.keep_freed_memory()
    rng, shape = np.random.default_rng(0), (batch_size, *size, 3)
    pictures = rng.integers(0, 256, shape).astype(np.float32)
    labels = rng.integers(0, model.num_classes, shape[:3]).astype(np.uint8)
    optimizer = SGD(model, learning_rate=0.01, momentum=0.9)
    times = [_step(model, optimizer, pictures, labels) for _ in range(repeats + 1)][1:]
    seconds = {key: median(step[key] for step in times) for key in times[0]}
    summary, rows = {row.name: row for row in model.summary(size, batch_size=batch_size).rows}, []
    kinds = {layer.name: type(layer).__name__ for layer in model.fused_layers}
    for name, kind in (kinds | {LOSS: "", OPTIMIZER: ""}).items():
        forward, backward = (seconds.get((name, direction), 0.0) for direction in ("forward", "backward"))
        layer = summary.get(name)
        output_shape, kept = (layer.output_shape, layer.kept + layer.indices) if layer else ((), 0)
        rows.append(ProfileRow(name, kind, output_shape, forward, backward, kept))
    return Profile(str(model.config["name"]), shape, runtime.threads(), tuple(rows))


LOSS, OPTIMIZER = "loss", "optimizer"  #: Names of the rows that are not layers.
Seconds = dict[tuple[str, str], float]  #: Seconds by row name and direction, "forward" or "backward".


def _step(model: Network, optimizer: SGD, x: np.ndarray, labels: np.ndarray) -> Seconds:
    """Time one training step, without the gradient of the picture."""
    seconds: Seconds = {}

    def timed(name: str, direction: str, function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments, **settings)
        seconds[name, direction] = time.perf_counter() - began
        return result

    for layer in model.fused_layers:
        x = timed(layer.name, "forward", layer.forward, x, training=True)
    _, cache = timed(LOSS, "forward", ops.softmax_cross_entropy_forward, x, labels)
    dout = timed(LOSS, "backward", ops.softmax_cross_entropy_backward, 1.0, cache)
    first = next(layer for layer in model.fused_layers if layer.params)
    for layer in reversed(model.fused_layers[model.fused_layers.index(first) :]):
        dout = timed(layer.name, "backward", layer.backward, dout, input_gradient=layer is not first)
    timed(OPTIMIZER, "backward", optimizer.step)
    return seconds
