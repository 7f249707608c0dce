"""The tape, which stores the state of one call, and each thread's tape for calls without one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import StateError

ByLayer = WeakKeyDictionary[Any, Any]  # weak keys, so that a tape does not keep layers alive


class Tape:
    """The state of one call: everything that forward stores for backward, or one layer for a later one.

    Inference stores nothing in the network, so many threads can share it. Training changes running statistics and
    gradients, so only one thread may train at a time. A training call can use its own tape:

        tape = Tape()
        logits = network.forward(x, training=True, tape=tape)
        network.backward(dlogits, tape=tape)

    Args:
        training: whether to normalise with batch statistics and update the running statistics, apply dropout, and store
            what backward needs. `Network.forward(..., training=True)` sets this for one call.
        sample: whether to apply dropout in inference. `Network.forward(..., sample=True)` sets this for one call.
        keep: whether to store what backward needs without training, for gradients at fixed statistics.
        definitions: whether to run the NumPy definitions of the ops instead of the fast versions.
        statistics: a dictionary. If given, each batch norm normalises with the statistics of the batch and stores them
            in it as (mean, biased variance, number of pixels). The running statistics change only in training.
        generator: the generator of the dropout masks. Default: the network's generator.

    Attributes:
        caches: for each layer, what its backward needs. Backward removes it.
        sizes: for each layer, the height and width of its input.
        indices: for each pool, the indices of the maxima as `ops.max_pool2d_forward` returns them.
        maps: for each SkipSource, its feature maps, until the SkipAdd removes them.
        map_gradients: for each SkipSource, the gradient of its feature maps, until its backward removes it.
    """

    def __init__(self, *, training: bool = False, sample: bool = False, keep: bool = False, definitions: bool = False,
                 statistics: dict[Any, Any] | None = None,
                 generator: np.random.Generator | None = None) -> None:  # fmt: skip
        self.training, self.sample, self.keep, self.definitions = training, sample, keep, definitions
        self.statistics, self.generator = statistics, generator
        self._own = training, sample, generator
        self.caches, self.sizes, self.indices = ByLayer(), ByLayer(), ByLayer()
        self.maps, self.map_gradients = ByLayer(), ByLayer()

    def begin(self, *, training: bool, sample: bool, generator: np.random.Generator | None = None) -> None:
        """Set the kind of the next call. The tape's own settings apply to every call; its generator has priority."""
        own_training, own_sample, own_generator = self._own
        self.training, self.sample = own_training or training, own_sample or sample
        self.generator = own_generator or generator or _thread.generator

    def clear(self, layers: Collection[Any]) -> None:
        """Delete everything that is stored for the backward pass of these layers."""
        for kept in (self.caches, self.maps, self.map_gradients):
            for layer in layers if kept else ():
                kept.pop(layer, None)

    def size_before(self, layer: Any) -> tuple[int, ...] | None:
        """Return (H, W) of the pool's input, or None without a pool. Raises StateError if the pool has not run yet."""
        if layer.pool is None:
            return None
        if layer.pool not in self.sizes:
            raise StateError(f"{layer.name}: its pool {layer.pool.name} has not run yet, so there is no size to "
                             "restore")  # fmt: skip
        return self.sizes[layer.pool]

    def copy(self) -> Tape:
        """Return another tape with the same arrays. Calls that use different copies do not affect each other."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, WeakKeyDictionary):
                setattr(other, name, value.copy())
        return other


class BatchTape:
    """The state of one call on a batch whose pictures are processed one by one, perhaps in several processes.

    Args:
        generators: for each picture of this process, the generator of its dropout masks, or None without dropout.
        total: a function total(arrays, like, add) that returns the sum over the pictures of all processes, given one
            array per picture of this process. `like` is an array of the same shape and dtype, because there may be no
            picture, and add(a, b) adds two of them.
        training, statistics: as for `Tape`.

    Attributes:
        pictures: the tape of each picture.
        counts: for each batch norm, the number of pixels in the batch.
    """

    def __init__(self, generators: Sequence[np.random.Generator | None], total: Callable[..., np.ndarray], *,
                 training: bool = True, statistics: dict[Any, Any] | None = None) -> None:  # fmt: skip
        self.total, self.training, self.statistics = total, training, statistics
        self.counts = ByLayer()
        self.pictures = [Tape(training=training, generator=generator) for generator in generators]


class _Thread(threading.local):
    """A tape for each thread, and a generator for a dropout layer that is called without a network or a tape."""

    def __init__(self) -> None:
        self.tape, self.generator = Tape(), np.random.default_rng(0)


_thread = _Thread()


def thread_tape() -> Tape:
    """Return this thread's tape. It records training calls and calls of single layers that have no other tape."""
    return _thread.tape
