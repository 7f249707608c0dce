"""The base of all layers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from .. import ops
from ..errors import StateError
from .layer_trace import LayerTrace
from .tape import Tape, thread_tape

__all__ = ["Interval", "Layer", "digest_branches", "he_normal"]

Interval = tuple[int, int]  #: first and last row, or column; both belong to it


class Layer:
    """Base of all layers: what the rest of the library asks of a layer, the layer answers.

    A new layer overrides `_forward` and `_backward`, and `output_shape` if it changes shapes. All other answers have
    defaults, which suit a layer that works element by element.

    Attributes:
        op: the name of the op that it applies, in `ops.REGISTRY`; "" for none.
        name: in its network, "encoder1.conv1" say.
        params: what training adjusts, by name. grads: their gradients, from the last backward, with the same keys.
        buffers: running statistics, which are saved with the parameters.
        keeps: which array the cache holds on to, "input", "output" or nothing; `Network.summary` adds up the bytes.
        passes_on: whether the output is the input array itself.
        mixes_channels: whether a value of the output depends on all channels of the input.
        random: whether it draws from the tape's generator.
        pool: the layer whose input's height and width the output has again, as in unpooling.
        source: the layer further up the line of which it takes indices or maps.
    """

    op: ClassVar[str] = ""
    keeps: ClassVar[Literal["input", "output"] | None] = None
    passes_on: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = False
    random: ClassVar[bool] = False
    pool: Layer | None = None
    source: Layer | None = None

    def __init__(self) -> None:
        self.name = type(self).__name__
        self.params: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self.buffers: dict[str, np.ndarray] = {}

    # --- computing ----------------------------------------------------------------------------------------------------

    def forward(self, x: np.ndarray, tape: Tape | None = None, *, training: bool = False,
                sample: bool = False) -> np.ndarray:  # fmt: skip
        """The layer's output for x (N, H, W, C).

        Args:
            tape: where the call is recorded, and what kind of call it is. Without one this thread's tape serves, and
                `training` and `sample` say what kind: see `Tape`.
        """
        if tape is None:
            tape = thread_tape()
            tape.begin(training=training, sample=sample)
        tape.clear([self])
        tape.sizes[self] = x.shape[1:3]
        out, cache = self._forward(x, tape)
        if tape.training or tape.keep:
            tape.caches[self] = cache
        return out

    def backward(self, dout: np.ndarray, tape: Tape | None = None, *, input_gradient: bool = True) -> Any:
        """dout -> dx, and the gradients of the parameters into `grads`, once for each forward of a training.

        Args:
            dout: gradient of the loss with respect to the output.
            tape: of the forward; default this thread's.
            input_gradient: False allows dx to be None, which saves the work.
        """
        tape = thread_tape() if tape is None else tape
        if self not in tape.caches:
            raise StateError(f"{self.name}: backward needs a forward(x, training=True) before it, one for each "
                             "backward, with the same tape or in the same thread")  # fmt: skip
        return self._backward(dout, tape.caches.pop(self), tape, input_gradient)

    def _forward(self, x: np.ndarray, tape: Tape) -> tuple[np.ndarray, Any]:
        """-> the output, and what backward needs."""
        raise NotImplementedError

    def _backward(self, dout: np.ndarray, cache: Any, tape: Tape, input_gradient: bool) -> Any:
        """-> dx; assigns `grads`. This one is for layers with an op whose gradients are those of x and `params`."""
        if not (input_gradient or self.params):
            return None
        return self._assign(self._ops(tape).backward(dout, cache))

    def _ops(self, tape: Tape) -> Any:
        """The op's forward and backward: the fast ones, or its definition if the tape says so."""
        op = ops.REGISTRY[self.op]
        return op.variants["numpy"] if tape.definitions else op

    def _assign(self, gradients: Any) -> Any:
        """The gradients of x and of the parameters, in their order: assign the latter; -> dx."""
        dx, *others = gradients if isinstance(gradients, tuple) else (gradients,)
        self.grads.update(zip(self.params, others, strict=False))  # without a bias its gradient is None
        return dx

    def infer(self, x: np.ndarray, following: Sequence[Layer], tape: Tape) -> tuple[np.ndarray, int]:
        """At test time: the output, and how many of the following layers this one has done in the same pass."""
        return self.forward(x, tape), 0

    def fuse(self, following: Layer) -> Layer | None:
        """One layer for training that does this one's work and the following one's in one pass, if there is one."""
        return None

    def fold(self, following: Layer) -> Layer | None:
        """One new layer that equals both at test time, at their fixed statistics, if there is one."""
        return None

    def make_identity(self) -> None:
        """Set the running statistics so that the layer changes nothing at test time; most layers have none."""

    def convert(self, dtype: Any) -> None:
        """Let parameters and statistics be of another dtype, without gradients."""
        self.grads.clear()
        for arrays in (self.params, self.buffers):
            arrays.update({name: array.astype(dtype) for name, array in arrays.items()})

    def trace(self, x: np.ndarray, tape: Tape) -> LayerTrace:
        """Run forward; -> the arrays that a walk shows."""
        out = self.forward(x, tape)
        fields = {"kind": self.op, "op": self.op, "params": dict(self.params)} | self._details(x, out, tape)
        own_code = not all(f.__module__.startswith(__package__) for f in (type(self)._forward, type(self)._backward))
        if own_code:  # of a layer outside of the library, perhaps of a subclass
            fields |= {"kind": type(self).__name__, "op": ""}
        return LayerTrace(self.name, self, x=x, out=out, **fields)

    def _details(self, x: np.ndarray, out: np.ndarray, tape: Tape) -> dict[str, Any]:
        """Fields of the LayerTrace besides its arrays x and out, or instead of the usual ones."""
        return {}

    def explanation(self) -> dict[str, str]:
        """What the walk says of this layer instead of the texts of its kind, in HTML.

        Returns:
            Any of title, what, why, formula, backward and backward_formula.
        """
        return {}

    # --- what it costs and what it sees -------------------------------------------------------------------------------

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(N, H, W, C) of the input -> shape of the output; of a layer with a `pool`, only N and C are meant."""
        return input_shape

    def multiply_adds(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-adds of the matrix products of one forward; element by element work does not count."""
        return 0

    def kept_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Memory of what the cache holds besides the array that `keeps` names, and pool indices."""
        return 0

    def indices_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Memory of the pool indices that a forward on this shape leaves."""
        return 0

    def skip_bytes(self, input_shape: tuple[int, ...], itemsize: int) -> int:
        """Memory of what waits for the layer further down whose `source` this one is: indices, or maps."""
        return self.indices_bytes(input_shape)

    def receptive_interval(self, axis: int, interval: Interval, size: tuple[int, ...],
                           output_size: tuple[int, ...]) -> Interval:  # fmt: skip
        """What rows (axis 0) or columns (axis 1) of the input an interval of the output depends on, not clipped.

        size, output_size: (H, W) of input and output.
        """
        return interval

    def skip_interval(self, axis: int, interval: Interval, size: tuple[int, ...]) -> Interval:
        """As `receptive_interval`, for the interval of another layer's output whose `source` this one is."""
        return interval

    def branch_signature(self, cache: Any) -> bytes | None:
        """Which side of every kink the forward took that left this cache; None for a layer without kinks."""
        return None


def he_normal(rng: np.random.Generator | None, shape: tuple[int, ...], fan_in: int, dtype: Any) -> np.ndarray:
    """Weights as He et al. 2015, section 2.2: normal, with standard deviation sqrt(2 / fan_in).

    rng None: zeros that take no memory, for a network of which only the shapes are wanted.
    """
    if rng is None:
        return np.broadcast_to(np.zeros((), dtype), shape)
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def digest_branches(layers: Iterable[Layer], tape: Tape) -> bytes:
    """One hash for the branch signatures of many layers: equal if and only if all took the same sides."""
    digest = hashlib.sha256()
    for layer in layers:
        signature = (layer.branch_signature(tape.caches[layer]) if layer in tape.caches else None) or b""
        digest.update(len(signature).to_bytes(8, "little") + signature)
    return digest.digest()
