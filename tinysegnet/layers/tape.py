"""What belongs to one call of a network, or of a layer alone: a tape, and the one that serves calls without one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import StateError

__all__ = ["Tape", "thread_tape"]

ByLayer = WeakKeyDictionary[Any, Any]  # a tape that outlives its network does not hold on to its layers


class Tape:
    """Everything that one call leaves for a later one, or one layer for another further down the line.

    Networks and layers keep nothing of a call, so that one network serves many threads, each call with its own tape:

        tape = Tape()
        logits = network.forward(x, training=True, tape=tape)
        network.backward(dlogits, tape=tape)

    Args:
        training: batch norm uses and updates batch statistics, dropout is on, and what backward needs is kept.
            `Network.forward` sets it, and `sample`, from its own arguments.
        sample: dropout is on, and nothing else differs from use.
        keep: keep what backward needs without training, for gradients at fixed statistics.
        definitions: run the NumPy definitions of the ops instead of the fast versions.
        statistics: a dictionary. Batch norm normalises by the batch's statistics, enters them there as
            (mean, biased variance, number of pixels), and updates nothing.
        generator: of dropout's masks; default the network's.

    Attributes:
        caches: layer -> what its backward needs. Backward takes it out, once.
        sizes: layer -> height and width of its input.
        indices: pool -> where each maximum was, as `ops.max_pool2d_forward` gives it.
        maps: SkipSource -> the maps that its SkipAdd takes out.
        map_gradients: SkipSource -> the gradient of these maps, until its backward takes it out.
    """

    def __init__(self, *, training: bool = False, sample: bool = False, keep: bool = False, definitions: bool = False,
                 statistics: dict[Any, Any] | None = None,
                 generator: np.random.Generator | None = None) -> None:  # fmt: skip
        self.training, self.sample, self.keep, self.definitions = training, sample, keep, definitions
        self.statistics = statistics
        self.generator = self._own_generator = generator
        self.caches, self.sizes, self.indices = ByLayer(), ByLayer(), ByLayer()
        self.maps, self.map_gradients = ByLayer(), ByLayer()

    def begin(self, *, training: bool, sample: bool, generator: np.random.Generator | None = None) -> None:
        """Set the kind of the call that follows. generator: of dropout's masks, unless the tape has one of its own."""
        self.training, self.sample = training, sample
        self.generator = self._own_generator or generator or _thread.generator

    def clear(self, layers: Collection[Any]) -> None:
        """Give up what is kept for the backward of these layers."""
        for kept in (self.caches, self.maps, self.map_gradients):
            for layer in layers:
                kept.pop(layer, None)

    def size_before(self, layer: Any) -> tuple[int, ...] | None:
        """Height and width that the layer's pool saw; None without a pool. Raises StateError if it has not run yet."""
        if layer.pool is None:
            return None
        if layer.pool not in self.sizes:
            raise StateError(f"{layer.name}: its pool {layer.pool.name} has not run yet, so there is no size to "
                             "restore")  # fmt: skip
        return self.sizes[layer.pool]

    def copy(self) -> Tape:
        """Another tape that holds the same arrays: calls that go on from here do not disturb each other."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, WeakKeyDictionary):
                setattr(other, name, value.copy())
        return other


class _Thread(threading.local):
    """Of each thread: a tape, and a generator for the masks of a dropout that is called alone, without a tape."""

    def __init__(self) -> None:
        self.tape, self.generator = Tape(), np.random.default_rng(0)


_thread = _Thread()


def thread_tape() -> Tape:
    """This thread's tape: it serves layers that are called alone, and trainings, where no tape is given."""
    return _thread.tape
