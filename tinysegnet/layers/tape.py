"""The state of one call of a network or a layer: a tape; and each thread's tape, for calls without one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import StateError

ByLayer = WeakKeyDictionary[Any, Any]  # a tape that outlives its network does not hold on to its layers


class Tape:
    """Everything that a forward leaves for its backward, or a layer for a later layer.

    Inference keeps nothing in the network, so many threads can share it. Training changes running statistics and
    gradients, so only one thread at a time may train. A training call may have its own tape:

        tape = Tape()
        logits = network.forward(x, training=True, tape=tape)
        network.backward(dlogits, tape=tape)

    Args:
        training: batch norm uses batch statistics and updates the running ones, dropout is on, and what backward needs
            is kept. `Network.forward(..., training=True)` turns it on for one call.
        sample: dropout is on, all else is as in inference. `Network.forward(..., sample=True)` does so for one call.
        keep: keep what backward needs without training, for gradients at fixed statistics.
        definitions: run the NumPy definitions of the ops instead of the fast versions.
        statistics: a dictionary. Batch norm normalises by the batch's statistics and enters them there as
            (mean, biased variance, number of pixels); the running ones change only in training.
        generator: draws dropout's masks; default the network's.

    Attributes:
        caches: layer -> what its backward needs. Backward removes it.
        sizes: layer -> height and width of its input.
        indices: pool -> where each maximum was, as `ops.max_pool2d_forward` gives it.
        maps: SkipSource -> its maps, until its SkipAdd removes them.
        map_gradients: SkipSource -> the gradient of these maps, until its backward removes it.
    """

    def __init__(self, *, training: bool = False, sample: bool = False, keep: bool = False, definitions: bool = False,
                 statistics: dict[Any, Any] | None = None,
                 generator: np.random.Generator | None = None) -> None:  # fmt: skip
        self.training, self.sample, self.keep, self.definitions = training, sample, keep, definitions
        self.statistics = statistics
        self.generator = generator
        self._own = training, sample, generator
        self.caches, self.sizes, self.indices = ByLayer(), ByLayer(), ByLayer()
        self.maps, self.map_gradients = ByLayer(), ByLayer()

    def begin(self, *, training: bool, sample: bool, generator: np.random.Generator | None = None) -> None:
        """Set the kind of the next call. The tape's own settings hold for every call; its generator comes first."""
        own_training, own_sample, own_generator = self._own
        self.training, self.sample = own_training or training, own_sample or sample
        self.generator = own_generator or generator or _thread.generator

    def clear(self, layers: Collection[Any]) -> None:
        """Drop what is kept for the backward of these layers."""
        for kept in (self.caches, self.maps, self.map_gradients):
            for layer in layers:
                kept.pop(layer, None)

    def size_before(self, layer: Any) -> tuple[int, ...] | None:
        """Height and width of its pool's input; None without a pool. Raises StateError if the pool has not run yet."""
        if layer.pool is None:
            return None
        if layer.pool not in self.sizes:
            raise StateError(f"{layer.name}: its pool {layer.pool.name} has not run yet, so there is no size to "
                             "restore")  # fmt: skip
        return self.sizes[layer.pool]

    def copy(self) -> Tape:
        """Another tape with the same arrays. Calls that continue from here with different copies are independent."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, WeakKeyDictionary):
                setattr(other, name, value.copy())
        return other


class _Thread(threading.local):
    """Each thread has a tape, and a generator for the masks of a dropout that is called alone without a tape."""

    def __init__(self) -> None:
        self.tape, self.generator = Tape(), np.random.default_rng(0)


_thread = _Thread()


def thread_tape() -> Tape:
    """This thread's tape, which records trainings and calls of single layers where no tape is given."""
    return _thread.tape
