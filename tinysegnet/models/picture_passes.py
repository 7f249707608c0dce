"""Training passes in which each picture of a batch passes alone through every layer.

In `Network.forward`, the algorithm of a kernel, and with it the order of its sums, depends on the number of pictures.
Here, a picture's values do not depend on it, so the pictures may be divided over processes. Only sums over the batch
connect them: batch norm's statistics, the loss, and the gradients. `SplitBatch` adds all of them in a fixed order.
"""

from typing import Any

import numpy as np

from ..layers import BatchTape, Layer
from ..runtime.distributed import SplitBatch
from .network import Network


def batch_tape(batch: SplitBatch, seed: tuple[int, ...] | None = None, **settings: Any) -> BatchTape:
    """Return a tape for one pass over this rank's pictures.

    Args:
        seed: the dropout masks of a picture depend on these numbers and on the picture's number in the batch. None: no
            dropout.
        settings: `training` and `statistics`, as for `BatchTape`.
    """
    generators = [None if seed is None else np.random.default_rng([*seed, picture]) for picture in batch.pictures]
    return BatchTape(generators, batch.total, **settings)


def forward_pictures(model: Network, images: np.ndarray, tape: BatchTape) -> list[np.ndarray]:
    """Return the logits (1, H, W, num_classes) of each picture of this rank, given images (n, H, W, 3)."""
    xs = [images[n : n + 1] for n in range(len(images))]
    first = model.first_trained if model.frozen else 0
    for i, layer in enumerate(model.fused_layers):
        xs = layer.forward_pictures(xs, tape)
        if i < first or not tape.training:  # backward ends after this layer
            for picture in tape.pictures:
                picture.caches.pop(layer, None)
    return xs


def backward_pictures(model: Network, dlogits: list[np.ndarray], tape: BatchTape, batch: SplitBatch) -> None:
    """Store the gradients of the whole batch in the layers, given the gradient of each picture's logits.

    The gradients of all parameters, except those of batch norm, are sent in one array, because each message has a cost.
    """
    trained = model.fused_layers[model.first_trained :]
    summed = [layer for layer in trained if layer.params and not layer.synchronized and layer.name not in model.frozen]
    ends = dict(zip(summed, np.cumsum([_size(layer) for layer in summed]).tolist(), strict=True))
    sums = np.empty((len(batch.nodes), ends[summed[-1]] if summed else 0), model.dtype)
    douts: list[Any] = dlogits
    for i, layer in reversed(list(enumerate(trained))):
        douts, gradients = layer.backward_pictures(douts, tape, input_gradient=i > 0)
        if layer in ends:
            flat = [np.concatenate([own[name].ravel() for name in layer.params]) for own in gradients]
            for row, total in zip(sums, batch.partial_sums(flat), strict=True):
                row[ends[layer] - total.size : ends[layer]] = total
    total = batch.finish(list(sums), np.empty(sums.shape[1], model.dtype))
    for layer in summed:
        parts = np.split(total[ends[layer] - _size(layer) : ends[layer]], np.cumsum(_sizes(layer))[:-1])
        layer.grads.update({name: part.reshape(layer.params[name].shape)
                            for name, part in zip(layer.params, parts, strict=True)})  # fmt: skip
    for name in model.frozen:
        model.layers[name].grads.clear()


def _sizes(layer: Layer) -> list[int]:
    return [array.size for array in layer.params.values()]


def _size(layer: Layer) -> int:
    return sum(_sizes(layer))
