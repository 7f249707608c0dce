"""The base of all layers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from ..errors import StateError

__all__ = ["Layer", "digest_branches", "he_normal"]


class Layer:
    """Base of all layers. A new one overrides `_forward` and `_backward`, and `output_shape` if it changes shapes.

    keeps: which array the cache holds on to, "input", "output" or nothing; `Network.summary` adds up the bytes. pool:
    the layer whose input's height and width the output has again, as in unpooling.
    """

    keeps: ClassVar[str | None] = None
    pool: Any = None

    def __init__(self) -> None:
        self.name = type(self).__name__
        self.params: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self.buffers: dict[str, np.ndarray] = {}
        self._cache: Any = None

    def forward(self, x: np.ndarray, *, training: bool = False, sample: bool = False) -> np.ndarray:
        """x -> out. training: keep what backward needs. sample: dropout stays on at test time."""
        self._cache = None
        out, cache = self._forward(x, training=training, sample=sample)
        if training:
            self._cache = (cache,)
        return out

    def backward(self, dout: np.ndarray, *, input_gradient: bool = True) -> np.ndarray | None:
        """dout -> dx, and the gradients of the parameters into `grads`. input_gradient=False: dx may be None."""
        if self._cache is None:  # a cache may itself be None, so it is kept in a tuple
            raise StateError(
                f"{self.name}: backward needs a forward(x, training=True) before it, one for each backward"
            )
        (cache,), self._cache = self._cache, None
        return self._backward(dout, cache, input_gradient)

    def forget(self) -> None:
        """Give up what the last forward kept for backward."""
        self._cache = None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(N, H, W, C) of the input -> shape of the output; of a layer with a `pool`, only N and C are meant."""
        return input_shape

    def multiply_adds(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-adds of the matrix products of one forward; element by element work does not count."""
        return 0

    def branch_signature(self) -> bytes | None:
        """Which side of every kink the last forward took, until its backward; None for a layer without kinks."""
        return None

    def _forward(self, x: np.ndarray, *, training: bool, sample: bool) -> tuple[np.ndarray, Any]:
        raise NotImplementedError

    def _backward(self, dout: np.ndarray, cache: Any, input_gradient: bool) -> np.ndarray | None:
        raise NotImplementedError


def he_normal(rng: np.random.Generator | None, shape: tuple[int, ...], fan_in: int, dtype: Any) -> np.ndarray:
    """Weights as He et al. 2015, section 2.2: normal, with standard deviation sqrt(2 / fan_in).

    rng None: zeros that take no memory, for a network of which only the shapes are wanted.
    """
    if rng is None:
        return np.broadcast_to(np.zeros((), dtype), shape)
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def digest_branches(layers: Iterable[Layer]) -> bytes:
    """One hash for the branch signatures of many layers: equal if and only if all took the same sides."""
    digest = hashlib.sha256()
    for layer in layers:
        signature = layer.branch_signature() or b""
        digest.update(len(signature).to_bytes(8, "little") + signature)
    return digest.digest()
