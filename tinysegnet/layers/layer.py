"""The base class of all layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from .. import ops
from ..errors import ShapeError, StateError
from .layer_trace import Interval, LayerTrace, Windows
from .tape import BatchTape, Tape, thread_tape


class Layer:
    """The base class of all layers. It defines everything that the rest of the library needs from a layer.

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

    Neither method may change x or dout in place, and both must keep the dtype. Everything else has defaults that suit
    an elementwise layer. Override `output_shape` if the shape changes. `Network.summary` uses `keeps`, `kept_bytes`,
    `passes_on` and `multiply_adds`. The receptive field and the walk learn from `windows` and `mixes_channels`
    whether a value depends on other pixels or channels; `receptive_interval` is for layers that windows cannot
    describe. The gradient check needs `branch_signature` if the function has kinks.

    Attributes:
        op: the name in `ops.REGISTRY` of the op that the layer applies, or "".
        name: the layer's name in its network, such as "encoder1.conv1".
        params: the trained parameters by name. Optimizers use these names: by default, weight decay applies to
            "weight", and bias_rate to "bias".
        grads: the gradients of the last backward pass, with the keys of `params`.
        buffers: the running statistics, which are saved with the parameters.
        keeps: the array that the cache refers to: "input", "output" or None.
        passes_on: whether the output is the input array itself.
        mixes_channels: whether each output value depends on all input channels.
        synchronized: whether the layer combines all pictures of a batch in training, as batch normalisation does.
        random: whether the layer draws from the tape's generator.
        pool: the layer whose input size this layer restores, as in unpooling.
        source: the earlier layer that provides indices or feature maps to this one.
    """

    op: ClassVar[str] = ""
    keeps: ClassVar[Literal["input", "output"] | None] = None
    passes_on: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = False
    synchronized: ClassVar[bool] = False
    random: ClassVar[bool] = False
    pool: Layer | None = None
    source: Layer | None = None

    def __init__(self) -> None:
        self.name = type(self).__name__
        self.params: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self.buffers: dict[str, np.ndarray] = {}

    def forward(self, x: np.ndarray, tape: Tape | None = None, *, training: bool = False,
                sample: bool = False) -> np.ndarray:  # fmt: skip
        """Return the layer's output for x (N, H, W, C).

        Args:
            tape: records the call and determines its kind. Default: this thread's tape.
            training, sample: the kind of a call without a tape; see `Tape`.

        Raises:
            ShapeError: if x is not an array of numbers with four axes.
            StateError: if `training` or `sample` is given together with a tape.
        """
        self._check_array("x", x)
        if tape is None:
            tape = thread_tape()
            tape.begin(training=training, sample=sample)
        elif training or sample:
            raise StateError(f"{self.name}: training and sample cannot be combined with a tape. Pass them to Tape(...)")
        tape.clear([self])
        tape.sizes[self] = x.shape[1:3]
        out, cache = self._forward(x, tape)
        if tape.training or tape.keep:
            tape.caches[self] = cache
        return out

    def backward(self, dout: np.ndarray, tape: Tape | None = None, *, input_gradient: bool = True) -> Any:
        """Return dx, and store the parameters' gradients in `grads`. Each forward pass allows one call.

        Args:
            dout: the gradient of the loss with respect to the output.
            tape: the tape of the forward pass. Default: this thread's tape.
            input_gradient: if False, dx may be None, which saves computing it.

        Raises StateError if there is no matching forward pass in training or with `Tape.keep`.
        """
        self._check_array("dout", dout)
        tape = thread_tape() if tape is None else tape
        if self not in tape.caches:
            raise StateError(f"{self.name}: backward has no forward pass to follow. Call forward(x, training=True) "
                             "once before each backward, with the same tape or in the same thread")  # fmt: skip
        return self._backward(dout, tape.caches.pop(self), tape, input_gradient)

    def forward_pictures(self, xs: list[np.ndarray], batch: BatchTape) -> list[np.ndarray]:
        """Return the outputs for the pictures (1, H, W, C) of a batch. See `BatchTape`."""
        return [self.forward(x, tape) for x, tape in zip(xs, batch.pictures, strict=True)]

    def backward_pictures(self, douts: list[np.ndarray], batch: BatchTape, *, input_gradient: bool = True
                          ) -> tuple[list[Any], list[dict[str, np.ndarray]]]:  # fmt: skip
        """Return dx of each picture, and the parameters' gradients of each picture, which the caller adds.

        A layer that is `synchronized` returns no gradients, but stores their sums over the batch in `grads`.
        """
        dxs, gradients = [], []
        for dout, tape in zip(douts, batch.pictures, strict=True):
            dxs.append(self.backward(dout, tape, input_gradient=input_gradient))
            gradients.append(dict(self.grads))
        return dxs, gradients

    def _check_array(self, what: str, array: Any) -> None:
        plain = isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)
        if not plain or array.ndim != 4 or 0 in array.shape or array.dtype.kind not in "biuf":
            got = f"{array.dtype} {array.shape}" if plain else type(array).__name__
            raise ShapeError(f"{self.name} needs {what} as a NumPy array (N, H, W, C) of numbers, with no empty axis "
                             f"and without a mask, got {got}. Convert it with numpy.array(...)")  # fmt: skip

    def _forward(self, x: np.ndarray, tape: Tape) -> tuple[np.ndarray, Any]:
        """Return the output and the cache that backward needs."""
        raise NotImplementedError

    def _backward(self, dout: np.ndarray, cache: Any, tape: Tape, input_gradient: bool) -> Any:
        """Return dx and fill `grads`. The default needs an op whose gradients are those of x and `params`."""
        if not (input_gradient or self.params):
            return None
        if not self.op:
            raise NotImplementedError(f"{type(self).__name__} has no op: override _backward")
        return self._assign(self._ops(tape).backward(dout, cache))

    def _ops(self, tape: Tape) -> Any:
        """Return the op, or its NumPy definition if the tape asks for definitions."""
        op = ops.REGISTRY[self.op]
        return op.variants["numpy"] if tape.definitions else op

    def _assign(self, gradients: Any) -> Any:
        """Store the gradients of the parameters, which follow dx in the order of `params`, and return dx."""
        dx, *others = gradients if isinstance(gradients, tuple) else (gradients,)
        self.grads.update(zip(self.params, others, strict=False))  # without a bias, the last None is dropped
        return dx

    def infer(self, x: np.ndarray, following: Sequence[Layer], tape: Tape) -> tuple[np.ndarray, int]:
        """Return the output in inference, and how many of the following layers it already includes."""
        return self.forward(x, tape), 0

    def fuse(self, following: Layer) -> Layer | None:
        """Return a layer for training that computes this layer and the following one in one pass, or None."""
        return None

    def fold(self, following: Layer) -> Layer | None:
        """Return a new layer that equals this layer and the following one in inference, or None."""
        return None

    def make_identity(self) -> None:
        """Set parameters and running statistics, if there are any, so that inference returns its input."""

    def convert(self, dtype: Any) -> None:
        """Convert the parameters and statistics to another dtype, and drop the gradients."""
        self.grads.clear()
        for arrays in (self.params, self.buffers):
            arrays.update({name: array.astype(dtype) for name, array in arrays.items()})

    def trace(self, x: np.ndarray, tape: Tape) -> LayerTrace:
        """Run forward and return the arrays that a walk shows."""
        out = self.forward(x, tape)
        windows = self.windows(x.shape[1:3], out.shape[1:3])
        fields: dict[str, Any] = {"kind": self.op, "op": self.op, "params": dict(self.params), "windows": windows}
        fields |= self._details(x, out, tape)
        own_code = not all(f.__module__.startswith(__package__) for f in (type(self)._forward, type(self)._backward))
        if own_code:  # defined outside the library, perhaps in a subclass
            fields |= {"kind": type(self).__name__, "op": ""}
        return LayerTrace(self.name, self, x=x, out=out, **fields)

    def _details(self, x: np.ndarray, out: np.ndarray, tape: Tape) -> dict[str, Any]:
        """Return fields of the LayerTrace that replace or extend the defaults."""
        return {}

    def explanation(self) -> dict[str, str]:
        """Return HTML texts that replace those of the walk.

        The keys are any of title, what, why, formula, backward and backward_formula.
        """
        return {}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape (N, H, W, C) of the output. If the layer has a `pool`, callers ignore this H and W."""
        return input_shape

    def multiply_adds(self, input_shape: tuple[int, ...]) -> int:
        """Return the multiply-adds of the matrix products in one forward pass, without elementwise operations."""
        return 0

    def kept_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Return the bytes of the cache, without pool indices and without the array that `keeps` names."""
        return 0

    def indices_bytes(self, input_shape: tuple[int, ...]) -> int:
        """Return the bytes of the pool indices that a forward pass on this shape stores."""
        return 0

    def skip_bytes(self, input_shape: tuple[int, ...], itemsize: int) -> int:
        """Return the bytes of indices or feature maps stored for the layer that has this one as its `source`."""
        return self.indices_bytes(input_shape)

    def windows(self, size: tuple[int, ...], output_size: tuple[int, ...]) -> Windows | None:
        """Return which pixels of input and output, of sizes (H, W), correspond. Default: None, each pixel to itself."""
        return None

    def receptive_interval(self, axis: int, interval: Interval, size: tuple[int, ...],
                           output_size: tuple[int, ...]) -> Interval:  # fmt: skip
        """Return the unclipped interval of the input on which an interval of the output depends.

        The axis is 0 for rows and 1 for columns; the sizes are the (H, W) of input and output.
        """
        windows = self.windows(size, output_size)
        return interval if windows is None else windows.interval(axis, interval, of="out")

    def skip_interval(self, axis: int, interval: Interval, size: tuple[int, ...]) -> Interval:
        """Return the interval of the input for an output interval of the layer that has this one as its `source`."""
        return interval

    def branch_signature(self, cache: Any) -> bytes | None:
        """Return on which side of its kink each value was in this cache's forward pass, or None without kinks."""
        return None


def he_normal(rng: np.random.Generator | None, shape: tuple[int, ...], fan_in: int, dtype: Any) -> np.ndarray:
    """Return normally distributed weights with standard deviation sqrt(2 / fan_in) (He et al. 2015, section 2.2).

    If rng is None, return zeros that take no memory, for networks that are only built for their shapes.
    """
    if rng is None:
        return np.broadcast_to(np.zeros((), dtype), shape)
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)
