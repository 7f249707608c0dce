"""A network: named layers in a line. Forward walks it down, backward walks the same stairs in reverse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import CheckpointError, SettingError, ShapeError, StateError
from ..layers import BatchNorm2d, BatchNormReLU2d, Conv2d, Dropout, Layer, MaxPool2d, ReLU, digest_branches
from .receptive_field import Box, receptive_field
from .summary import Summary, summarize

__all__ = ["Network"]


class Network:
    """Layers in a line, by name: {"encoder1.conv1": Conv2d, ...}.

    config: what `build` needs to make the same network again; saved in checkpoints. size_multiple: heights and widths
    of pictures must be multiples of it. steps: the layers as training runs them, a batch norm and the ReLU after it in
    one. frozen: the names of layers that training leaves alone.
    """

    def __init__(self, layers: dict[str, Layer], config: dict[str, Any], *, size_multiple: int = 1) -> None:
        self.layers, self.config, self.size_multiple = layers, config, size_multiple
        self.frozen = frozenset[str]()
        for name, layer in layers.items():
            layer.name = name
        self.steps = list(_fuse(list(layers.values())))

    def forward(self, x: np.ndarray, *, training: bool = False, sample: bool = False) -> np.ndarray:
        """x (N, H, W, 3), RGB in 0..255, any H and W -> logits (N, H, W, num_classes), or (N, H, W, 1) for two classes.

        training: batch statistics are used and updated, and everything backward needs is kept. sample: dropout stays
        on, as in training. Raises ShapeError for arrays that are no pictures, and for sizes that the network cannot do.
        """
        self._demand_pictures(x)
        if not training:
            return self._infer(list(self.layers.values()), x, sample=sample)
        first = self._first_trained if self.frozen else 0
        for i, step in enumerate(self.steps):
            x = step.forward(x, training=True)
            if i < first:  # backward does not come here
                step.forget()
        return x

    def freeze(self, prefix: str | None) -> None:
        """Let training leave layers alone whose names begin with `prefix`, "encoder" say; None: train all again.

        Their parameters get no gradients, and backward ends where only such layers are left. Batch norm uses and
        updates batch statistics in training as before. Raises SettingError if no layer, or no parameter, is left.
        """
        frozen = frozenset(name for name in self.layers if prefix is not None and name.startswith(prefix))
        if prefix is not None and not any(self.layers[name].params for name in frozen):
            raise SettingError(f"nothing to freeze: no layer with parameters is called {prefix!r}... (there are "
                               f"{', '.join(dict.fromkeys(name.split('.')[0] for name in self.layers))})")  # fmt: skip
        if all(name in frozen for name, layer in self.layers.items() if layer.params):
            raise SettingError(f"{prefix!r} freezes the whole network: nothing is left to train (expected a part)")
        self.frozen = frozen
        for name in frozen:
            self.layers[name].grads.clear()

    @property
    def _first_trained(self) -> int:
        """The number of the first step whose parameters are trained."""
        return next(i for i, step in enumerate(self.steps) if step.params and step.name not in self.frozen)

    def samples(self, x: np.ndarray, count: int) -> Iterator[np.ndarray]:
        """Logits of `count` forward passes with dropout on, each another network (Kendall et al. 2015, section 3).

        What comes before the first dropout is the same in all of them and computed once; do nothing else with the
        network before the last one. Raises SettingError if there is no dropout.
        """
        self.demand_dropout()
        self._demand_pictures(x)
        layers = list(self.layers.values())
        first = next(i for i, layer in enumerate(layers) if isinstance(layer, Dropout))
        x = self._infer(layers[:first], x)
        return (self._infer(layers[first:], x, sample=True) for _ in range(count))

    def demand_dropout(self) -> None:
        """Raise SettingError for a network without dropout."""
        if not any(isinstance(layer, Dropout) for layer in self.layers.values()):
            raise SettingError(f"{self.config['name']} has no dropout, so its samples would all be the same. "
                               "Train bayesian-basic or bayesian-vgg16")  # fmt: skip

    def reseed(self, *seed: int) -> None:
        """The masks of dropout begin anew."""
        state = np.random.default_rng(seed).bit_generator.state
        for layer in self.layers.values():
            if isinstance(layer, Dropout):
                layer.generator.bit_generator.state = state

    def _infer(self, layers: list[Layer], x: np.ndarray, *, sample: bool = False) -> np.ndarray:
        """The layers in a line, but batch norm and ReLU happen within the convolution before them."""
        for layer in layers:
            layer.forget()
        while layers:
            layer, *layers = layers
            if isinstance(layer, Conv2d):
                norm = layers[0] if layers and isinstance(layers[0], BatchNorm2d) else None
                layers = layers[norm is not None :]
                relu = bool(layers) and isinstance(layers[0], ReLU)
                x = layer.infer(x, norm, relu=relu)
                layers = layers[relu:]
            else:
                x = layer.forward(x, sample=sample)
        return x

    def backward(self, dlogits: np.ndarray, *, input_gradient: bool = True) -> np.ndarray | None:
        """dlogits (N, H, W, num_classes) -> dx, and every parameter's gradient into its layer.

        input_gradient=False saves the work for the gradient of the picture, which training does not need, and
        returns None. With frozen layers there is no other way: StateError.
        """
        self._demand_floats("the gradient of its logits (N, H, W, num_classes)", dlogits)
        if input_gradient and self.frozen:
            raise StateError("no gradient of the picture while layers are frozen: pass input_gradient=False")
        first = 0 if input_gradient else self._first_trained
        dout: Any = dlogits
        for step in reversed(self.steps[first + 1 :]):
            dout = step.backward(dout)
        dx = self.steps[first].backward(dout, input_gradient=input_gradient)
        for step in self.steps[:first]:
            step.forget()  # a tap may have been left a gradient
        for name in self.frozen:
            self.layers[name].grads.clear()
        return dx

    def _demand_pictures(self, x: Any) -> None:
        self._demand_floats("pictures (N, H, W, 3)", x)
        if x.ndim != 4 or x.shape[3] != 3 or 0 in x.shape:
            raise ShapeError(f"a network takes pictures (N, H, W, 3), got {x.shape}")
        self.demand_size(x.shape[1:3])

    def demand_size(self, size: tuple[int, int]) -> None:
        """Raise ShapeError for a height or width (H, W) that this network cannot do."""
        if size != (fitting := self.fitting_size(size)):
            raise ShapeError(f"{self.config['name']} takes heights and widths that are multiples of "
                             f"{self.size_multiple}, got {size[0]}x{size[1]}. Give {fitting[0]}x{fitting[1]}, or "
                             "choose tiny, which takes any size")  # fmt: skip

    def fitting_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size (H, W) nearest to this one that the network can do."""
        height, width = (max(1, round(n / self.size_multiple)) * self.size_multiple for n in size)
        return height, width

    def _demand_floats(self, what: str, array: Any) -> None:
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype:
            got = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ShapeError(f"a network takes {what}, an array of {self.dtype}, got {got}")

    def named_parameters(self) -> Iterator[tuple[str, np.ndarray]]:
        """("encoder1.conv1.weight", array), ...: the arrays themselves, to be updated in place."""
        return self._named("params")

    def named_gradients(self) -> Iterator[tuple[str, np.ndarray]]:
        """The same names as `named_parameters`, with what the last backward found; none of frozen layers."""
        return ((name, array) for name, array in self._named("grads") if name.rpartition(".")[0] not in self.frozen)

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """("encoder1.bn1.running_mean", array), ...: running statistics."""
        return self._named("buffers")

    def _named(self, kind: str) -> Iterator[tuple[str, np.ndarray]]:
        for name, layer in self.layers.items():
            for key, array in getattr(layer, kind).items():
                yield f"{name}.{key}", array

    @property
    def num_parameters(self) -> int:
        """How many numbers training adjusts."""
        return sum(array.size for _, array in self.named_parameters())

    @property
    def num_classes(self) -> int:
        """How many classes it tells apart: the last axis of the logits, but one logit tells two."""
        return max(2, int(self.config["num_classes"]))

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the parameters."""
        return next(array.dtype for _, array in self.named_parameters())

    def state(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics by name: all that training changed."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Copy arrays into the network; every name and shape must fit, or CheckpointError lists what does not."""
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
        """A hash of every ReLU mask and pool index, between a forward(training=True) and its backward."""
        return digest_branches(self.steps)

    def summary(self, size: tuple[int, int], *, batch_size: int = 1) -> Summary:
        """Shapes, parameters, memory and work for pictures of `size` (H, W); print it."""
        return summarize(self, size, batch_size)

    def receptive_field(self, layer_name: str, at: tuple[int, int], size: tuple[int, int]) -> Box:
        """Of a picture of `size` (H, W), the box that pixel `at` (row, column) of a layer's output can depend on."""
        return receptive_field(self, layer_name, at, size)

    def output_shapes(
        self, input_shape: tuple[int, ...]
    ) -> Iterator[tuple[str, Layer, tuple[int, ...], tuple[int, ...]]]:
        """(name, layer, input shape, output shape) down the line; nothing is computed."""
        pooled: dict[Layer, tuple[int, ...]] = {}
        shape = input_shape
        for name, layer in self.layers.items():
            before, shape = shape, layer.output_shape(shape)
            if layer.pool is not None:
                shape = (*pooled[layer.pool][:3], shape[3])
            if isinstance(layer, MaxPool2d):
                pooled[layer] = before
            yield name, layer, before, shape


def _fuse(layers: list[Layer]) -> Iterator[Layer]:
    """The same layers for training, but a batch norm and the ReLU after it are one."""
    while layers:
        layer, *layers = layers
        if type(layer) is BatchNorm2d and layers and isinstance(layers[0], ReLU):
            layer, layers = BatchNormReLU2d(layer), layers[1:]
        yield layer
