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

Interval = tuple[int, int]  #: first and last row or column, both included


class Layer:
    """Base of all layers: what the rest of the library asks of a layer, the layer answers.

    A new layer overrides `_forward` and `_backward`:

        class Scale(Layer):
            def __init__(self, channels, dtype=np.float32):
                super().__init__()
                self.params["gamma"] = np.ones(channels, dtype)

            def _forward(self, x, tape):
                return x * self.params["gamma"], x  # the cache: anything that backward needs

            def _backward(self, dout, cache, tape, input_gradient):
                self.grads["gamma"] = (dout * cache).sum((0, 1, 2))
                return dout * self.params["gamma"]

    Neither may change x or dout in place, and both keep the dtype. All other answers have defaults, which suit a layer
    that works element by element. Override `output_shape` if the shape changes; `keeps`, `kept_bytes`, `passes_on` and
    `multiply_adds` if the defaults are wrong, or `Network.summary` counts wrongly; `receptive_interval` and
    `mixes_channels` if a value depends on other pixels or channels, or the receptive field and the walk are wrong;
    `branch_signature` if there are kinks, or the gradient check cannot recognise a step across one.

    Attributes:
        op: the name of the op that it applies, in `ops.REGISTRY`; "" for none.
        name: its name in its network, such as "encoder1.conv1".
        params: what training adjusts, by name. Optimizers go by these names: weight decay acts on "weight" by default,
            and bias_rate on "bias".
        grads: the gradients of the last backward, with the keys of `params`.
        buffers: running statistics, which are saved with the parameters.
        keeps: which array the cache refers to: "input", "output" or None.
        passes_on: whether the output is the input array itself.
        mixes_channels: whether a value of the output depends on all channels of the input.
        random: whether it draws from the tape's generator.
        pool: the layer whose input has the height and width that the output gets, as in unpooling.
        source: the earlier layer from which this one takes indices or maps.
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
            tape: where the call is recorded. It also says what kind of call it is.
            training, sample: the kind of a call without a tape, which this thread's tape records: see `Tape`.

        Raises:
            StateError: `training` or `sample` is given with a tape.
        """
        if tape is None:
            tape = thread_tape()
            tape.begin(training=training, sample=sample)
        elif training or sample:
            raise StateError(f"{self.name}: the tape says what kind of call this is. Give these settings to Tape(...)")
        tape.clear([self])
        tape.sizes[self] = x.shape[1:3]
        out, cache = self._forward(x, tape)
        if tape.training or tape.keep:
            tape.caches[self] = cache
        return out

    def backward(self, dout: np.ndarray, tape: Tape | None = None, *, input_gradient: bool = True) -> Any:
        """dout -> dx, and the gradients of the parameters into `grads`.

        Call it once per forward pass in training, or with a tape that has `keep`.

        Args:
            dout: the gradient of the loss with respect to the output.
            tape: the forward's tape; default this thread's.
            input_gradient: False allows dx to be None, which saves the work.

        Raises:
            StateError: there was no such forward, or its backward has run already.
        """
        tape = thread_tape() if tape is None else tape
        if self not in tape.caches:
            raise StateError(f"{self.name}: backward needs a forward(x, training=True) before it, one per "
                             "backward, with the same tape or in the same thread")  # fmt: skip
        return self._backward(dout, tape.caches.pop(self), tape, input_gradient)

    def _forward(self, x: np.ndarray, tape: Tape) -> tuple[np.ndarray, Any]:
        """-> the output, and what backward needs."""
        raise NotImplementedError

    def _backward(self, dout: np.ndarray, cache: Any, tape: Tape, input_gradient: bool) -> Any:
        """-> dx; assigns `grads`. This default is for layers with an op whose gradients are those of x and `params`."""
        if not (input_gradient or self.params):
            return None
        if not self.op:
            raise NotImplementedError(f"{type(self).__name__} has no op: override _backward")
        return self._assign(self._ops(tape).backward(dout, cache))

    def _ops(self, tape: Tape) -> Any:
        """The op's forward and backward: the fast ones, or its definition if the tape says so."""
        op = ops.REGISTRY[self.op]
        return op.variants["numpy"] if tape.definitions else op

    def _assign(self, gradients: Any) -> Any:
        """Assign the parameters' gradients, which follow that of x in the order of `params`; -> dx."""
        dx, *others = gradients if isinstance(gradients, tuple) else (gradients,)
        self.grads.update(zip(self.params, others, strict=False))  # a missing bias has no key; its last None is dropped
        return dx

    def infer(self, x: np.ndarray, following: Sequence[Layer], tape: Tape) -> tuple[np.ndarray, int]:
        """For inference: the output, and how many of the following layers this one has already applied."""
        return self.forward(x, tape), 0

    def fuse(self, following: Layer) -> Layer | None:
        """One layer for training that does this one's work and the following one's in one pass, if there is one."""
        return None

    def fold(self, following: Layer) -> Layer | None:
        """One new layer that equals both in inference, at their current statistics, if there is one."""
        return None

    def make_identity(self) -> None:
        """Set parameters and running statistics so that inference returns the input, for layers with statistics."""

    def convert(self, dtype: Any) -> None:
        """Convert parameters and statistics to another dtype, and drop the gradients."""
        self.grads.clear()
        for arrays in (self.params, self.buffers):
            arrays.update({name: array.astype(dtype) for name, array in arrays.items()})

    def trace(self, x: np.ndarray, tape: Tape) -> LayerTrace:
        """Run forward; -> the arrays that a walk shows."""
        out = self.forward(x, tape)
        fields = {"kind": self.op, "op": self.op, "params": dict(self.params)} | self._details(x, out, tape)
        own_code = not all(f.__module__.startswith(__package__) for f in (type(self)._forward, type(self)._backward))
        if own_code:  # from outside the library, perhaps in a subclass
            fields |= {"kind": type(self).__name__, "op": ""}
        return LayerTrace(self.name, self, x=x, out=out, **fields)

    def _details(self, x: np.ndarray, out: np.ndarray, tape: Tape) -> dict[str, Any]:
        """Fields of the LayerTrace that replace the defaults or add to them."""
        return {}

    def explanation(self) -> dict[str, str]:
        """HTML texts with which the walk explains this layer instead of the texts of its kind.

        Returns:
            Any of title, what, why, formula, backward and backward_formula.
        """
        return {}

    # --- what it costs and what it sees -------------------------------------------------------------------------------

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(N, H, W, C) of input -> output. For a layer with a `pool`, H and W of the result are ignored."""
        return input_shape

    def multiply_adds(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-adds of the matrix products in one forward; elementwise work does not count."""
        return 0

    def kept_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Bytes of what the cache holds, without pool indices and without the array that `keeps` names."""
        return 0

    def indices_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Bytes of the pool indices that a forward on this shape leaves."""
        return 0

    def skip_bytes(self, input_shape: tuple[int, ...], itemsize: int) -> int:
        """Bytes of the indices or maps that are kept for the later layer whose `source` this one is."""
        return self.indices_bytes(input_shape)

    def receptive_interval(self, axis: int, interval: Interval, size: tuple[int, ...],
                           output_size: tuple[int, ...]) -> Interval:  # fmt: skip
        """The rows (axis 0) or columns (axis 1) of the input on which an interval of the output depends, not clipped.

        size, output_size: (H, W) of input and output.
        """
        return interval

    def skip_interval(self, axis: int, interval: Interval, size: tuple[int, ...]) -> Interval:
        """As `receptive_interval`, for an interval of the output of the layer whose `source` this one is."""
        return interval

    def branch_signature(self, cache: Any) -> bytes | None:
        """For the forward that left this cache, which side of each kink every value was on; None without kinks."""
        return None


def he_normal(rng: np.random.Generator | None, shape: tuple[int, ...], fan_in: int, dtype: Any) -> np.ndarray:
    """Weights as He et al. 2015, section 2.2: normal, with standard deviation sqrt(2 / fan_in).

    rng None: zeros that take no memory, for a network whose shapes alone are wanted.
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
