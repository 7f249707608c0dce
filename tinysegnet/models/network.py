"""A network: named layers in sequence. Forward runs the layers in order, and backward runs them in reverse order."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import CheckpointError, SettingError, ShapeError, StateError
from ..layers import Layer, Tape, thread_tape
from .receptive_field import Box, receptive_field
from .summary import LayerShapes, Summary, layer_shapes, summarize

CUSTOM = "custom"  #: the name of networks that `build` cannot make


class Network:
    """A sequence of layers. Make your own network from a dict of layers:

        Network({"input": Normalize(127.5, 64), "conv": Conv2d(3, 8, 3, rng=rng), ..., "classifier": ...})

    Many threads can share a network for inference, but only one may train it at a time; see `Tape`.

    Args:
        layers: the layers by name, from the picture to the logits. The first layer gets RGB pictures in 0..255.
        config: the arguments with which `build` makes the same network, saved in checkpoints. Default: a custom network
            with one class per channel of the last layer, whose checkpoints need `load(path, model=...)`.
        size_multiple: heights and widths of pictures must be multiples of this number.

    Attributes:
        fused_layers: the layers that training runs, in which each BatchNorm2d and the ReLU after it are fused. Layers
            are fused only if they have exactly these types, not if they are subclasses.
        frozen: the names of layers that are not trained.
        generator: the generator of the dropout masks, unless a tape has its own.
    """

    def __init__(self, layers: dict[str, Layer], config: dict[str, Any] | None = None, *,
                 size_multiple: int = 1) -> None:  # fmt: skip
        self.layers, self.size_multiple = dict(layers), size_multiple
        if config is None:
            *_, last = layer_shapes(self.layers, (1, 16 * size_multiple, 16 * size_multiple, 3))
            config = {"name": CUSTOM, "num_classes": last.after[3]}
        self.config = config
        self.frozen = frozenset[str]()
        self.generator = np.random.default_rng([int(config.get("seed", 0)), 1])
        for name, layer in self.layers.items():
            layer.name = name
        self.fused_layers = list(join_layers(self.layers, lambda layer, following: layer.fuse(following)).values())

    def forward(self, x: np.ndarray, *, training: bool = False, sample: bool = False,
                tape: Tape | None = None) -> np.ndarray:  # fmt: skip
        """Compute the logits of pictures.

        Args:
            x: pictures (N, H, W, 3), RGB in 0..255, in the dtype of the parameters.
            training, sample: the kind of this call, in addition to the tape's settings; see `Tape`.
            tape: the tape that records the call. Without it, this thread's tape records training, and inference records
                nothing. Each forward pass of this network first clears its records in this thread's tape, so that
                backward never uses an older forward pass.

        Returns:
            The logits, (N, H, W, num_classes), or (N, H, W, 1) for two classes.

        Raises ShapeError if x is not a batch of pictures, or the network cannot process pictures of this size.
        """
        self._check_pictures(x)
        everything = (*self.layers.values(), *self.fused_layers)
        thread_tape().clear(everything)
        if tape is None:
            tape = thread_tape() if training else Tape()
        tape.begin(training=training, sample=sample, generator=self.generator)
        if not (tape.training or tape.keep):
            return _infer(list(self.layers.values()), x, tape)
        tape.clear(everything)
        first = self.first_trained if self.frozen else 0
        for i, layer in enumerate(self.fused_layers):
            x = layer.forward(x, tape)
            if i < first:  # backward ends after this layer
                del tape.caches[layer]
        return x

    def freeze(self, prefix: str | None) -> None:
        """Freeze the layers whose names begin with `prefix`, such as "encoder". None unfreezes all layers.

        Frozen layers get no gradients, but frozen batch norms still use batch statistics and update the running
        statistics in training. Raises SettingError if no layer with parameters matches, or if all match.
        """
        frozen = frozenset(name for name in self.layers if prefix is not None and name.startswith(prefix))
        if prefix is not None and not any(self.layers[name].params for name in frozen):
            raise SettingError(f"no layer with parameters has a name that begins with {prefix!r}. Choose one of "
                               f"{', '.join(dict.fromkeys(name.split('.')[0] for name in self.layers))}")  # fmt: skip
        if all(name in frozen for name, layer in self.layers.items() if layer.params):
            raise SettingError(f"{prefix!r} freezes the whole network. Leave some layers to train")
        self.frozen = frozen
        for name in frozen:
            self.layers[name].grads.clear()

    @property
    def first_trained(self) -> int:
        """The number of the first of `fused_layers` that has parameters and is not frozen."""
        return next(i for i, layer in enumerate(self.fused_layers) if layer.params and layer.name not in self.frozen)

    def samples(self, x: np.ndarray, count: int, *, generator: np.random.Generator | None = None
                ) -> Iterator[np.ndarray]:  # fmt: skip
        """Yield the logits of `count` forward passes with random dropout masks (Kendall et al. 2015, section 3).

        The layers before the first dropout compute the same in all passes, so they run once. Raises SettingError if
        there is no dropout.

        Args:
            x: pictures as for `forward`.
            generator: the generator of the masks. Default: the network's generator, which `reseed` restarts.
        """
        self.check_dropout()
        self._check_pictures(x)
        layers, tape = list(self.layers.values()), Tape(sample=True, generator=generator or self.generator)
        first = next(i for i, layer in enumerate(layers) if layer.random)
        x = _infer(layers[:first], x, tape)
        return (_infer(layers[first:], x, tape.copy()) for _ in range(count))

    def check_dropout(self) -> None:
        """Raise SettingError if the network has no dropout."""
        if not any(layer.random for layer in self.layers.values()):
            raise SettingError(f"{self.config['name']} has no dropout, so all its samples would be equal. "
                               "Train bayesian-basic or bayesian-vgg16")  # fmt: skip

    def reseed(self, *seed: int) -> None:
        """Restart the generator of the dropout masks with this seed."""
        self.generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state

    def backward(self, dlogits: np.ndarray, *, input_gradient: bool = True, tape: Tape | None = None) -> Any:
        """Compute the parameters' gradients and store them in the layers. Each forward pass allows one call.

        Args:
            dlogits: (N, H, W, num_classes), the gradient of the loss with respect to the logits.
            input_gradient: whether to compute the gradient of the picture, which training does not need.
            tape: the tape of the forward pass. Default: this thread's tape.

        Returns:
            dx (N, H, W, 3), or None without `input_gradient`.

        Raises:
            StateError: if there is no matching forward pass in training or with `Tape.keep`, or if `input_gradient` is
                set although layers are frozen.
        """
        self._check_floats("the gradient of the logits (N, H, W, num_classes)", dlogits)
        if input_gradient and self.frozen:
            raise StateError("with frozen layers, there is no gradient of the picture. Pass input_gradient=False")
        tape = thread_tape() if tape is None else tape
        first = 0 if input_gradient else self.first_trained
        dout: Any = dlogits
        for layer in reversed(self.fused_layers[first + 1 :]):
            dout = layer.backward(dout, tape)
        dx = self.fused_layers[first].backward(dout, tape, input_gradient=input_gradient)
        tape.clear(self.fused_layers[:first])  # a SkipAdd may have stored a gradient for a skip source in these layers
        for name in self.frozen:
            self.layers[name].grads.clear()
        return dx

    def _check_pictures(self, x: Any) -> None:
        self._check_floats("pictures (N, H, W, 3)", x)
        if x.ndim != 4 or x.shape[3] != 3 or 0 in x.shape:
            raise ShapeError(f"a network takes pictures of shape (N, H, W, 3), not {x.shape}")
        self.check_size(x.shape[1:3])

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise ShapeError for a size (H, W) that this network cannot process."""
        if size != (fitting := self.fitting_size(size)):
            raise ShapeError(f"{self.config['name']} needs heights and widths that are multiples of "
                             f"{self.size_multiple}, not {size[0]}x{size[1]}. Give {fitting[0]}x{fitting[1]}, or "
                             "choose tiny, which accepts any size")  # fmt: skip

    def fitting_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the closest size (H, W) that the network can process."""
        height, width = (max(1, round(n / self.size_multiple)) * self.size_multiple for n in size)
        return height, width

    def _check_floats(self, what: str, array: Any) -> None:
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype:
            got = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ShapeError(f"expected {what} as {self.dtype}, got {got}")

    def named_parameters(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the parameters as ("encoder1.conv1.weight", array), ... These are the arrays themselves, not copies."""
        return self._named("params")

    def named_gradients(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the gradients of the last backward with the names of their parameters, except for frozen layers."""
        return self._named("grads")

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the running statistics as ("encoder1.bn1.running_mean", array), ..."""
        return self._named("buffers")

    def _named(self, kind: str) -> Iterator[tuple[str, np.ndarray]]:
        for name, layer in self.layers.items():
            for key, array in getattr(layer, kind).items():
                yield f"{name}.{key}", array

    @property
    def num_parameters(self) -> int:
        """The total number of trainable values."""
        return sum(array.size for _, array in self.named_parameters())

    @property
    def num_classes(self) -> int:
        """The number of classes: one per logit, or 2 for a single logit."""
        return max(2, int(self.config["num_classes"]))

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the parameters."""
        return next(array.dtype for _, array in self.named_parameters())

    def state(self) -> dict[str, np.ndarray]:
        """Return the parameters and running statistics by name. These are all arrays that training changes."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Copy arrays into the network. Raises CheckpointError with a list of all names and shapes that do not fit."""
        own = self.state()
        wrong = [f"missing {name}" for name in own if name not in arrays]
        wrong += [f"unexpected {name}" for name in arrays if name not in own]
        wrong += [f"{name} has shape {arrays[name].shape}, expected {array.shape}"
                  for name, array in own.items() if name in arrays and arrays[name].shape != array.shape]  # fmt: skip
        if wrong:
            raise CheckpointError("the arrays do not fit this network: " + "; ".join(wrong))
        for name, array in own.items():
            array[...] = arrays[name]

    def branch_signature(self) -> bytes:
        """Return a hash of all ReLU masks and pool indices of this thread's last training call, before its backward."""
        digest, caches = hashlib.sha256(), thread_tape().caches
        for layer in self.fused_layers:
            digest.update((layer.branch_signature(caches[layer]) if layer in caches else None) or b"")
        return digest.digest()

    def summary(self, size: tuple[int, int], *, batch_size: int = 1) -> Summary:
        """Return shapes, parameters, memory and multiply-adds for pictures of `size` (H, W), as a printable table."""
        name = str(self.config.get("name", CUSTOM))
        return summarize(name, self.layers, self.fused_layers, (batch_size, *size, 3), self.dtype)

    def receptive_field(self, layer_name: str, at: tuple[int, int], size: tuple[int, int]) -> Box:
        """Return the part of a picture of `size` (H, W) that affects pixel `at` (row, column) of a layer's output."""
        return receptive_field(self.layers, layer_name, at, size)

    def output_shapes(self, input_shape: tuple[int, ...]) -> Iterator[LayerShapes]:
        """Yield (name, layer, input shape, output shape) of each layer in order, without computing arrays."""
        return layer_shapes(self.layers, input_shape)


def _infer(layers: Sequence[Layer], x: np.ndarray, tape: Tape) -> np.ndarray:
    """Run the layers in inference, where a layer may absorb the ones after it."""
    while layers:
        layer, *layers = layers
        x, absorbed = layer.infer(x, layers, tape)
        layers = layers[absorbed:]
    return x


def join_layers(layers: Mapping[str, Layer], join: Callable[[Layer, Layer], Layer | None]) -> dict[str, Layer]:
    """Return the layers with two neighbours replaced by `join(layer, following)` wherever it is not None."""
    joined: dict[str, Layer] = {}
    for name, layer in layers.items():
        before = next(reversed(joined), "")
        both = join(joined[before], layer) if joined else None
        if both is None:
            joined[name] = layer
        else:
            joined[before] = both
    return joined
