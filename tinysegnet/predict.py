"""From a trained network and a picture of any size to a label map of the picture's own size, and to scores.

A network works at the scale it was trained at: the picture is shrunk (or enlarged) to the area of the training
pictures, its shape kept, and the logits are resized back before the largest is taken. Labels themselves are
never interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from .data import Dataset, demand_dataset, read_sample
from .errors import DataError, SettingError, ShapeError
from .metrics import Collector, Scores
from .models import Network, demand_network
from .ops import softmax_forward

__all__ = ["evaluate", "predict", "predict_logits", "predict_probs"]

Size = tuple[int, int]


def evaluate(
    model: Network,
    data: Dataset,
    *,
    size: Size | None = None,
    boundary: bool = False,
    rng: np.random.Generator | None = None,
    progress: Any = iter,
) -> Scores:
    """Predict every picture of a data set and compare it with its labels, at the labels' own resolution.

    size: (H, W) of the training pictures, whose area the network works at; None: the pictures' own.
    boundary: score the outlines too: BF, which takes about 0.1 s a picture of 360x480. rng: draws the pictures for
    confidence intervals, see `metrics.bootstrap_intervals`; None: no intervals. progress: wraps the loop, such as tqdm.
    """
    palette = demand_dataset(data).palette
    if demand_network(model).num_classes != palette.num_classes:
        raise DataError(
            f"{data.name}: {palette.num_classes} classes (expected {model.num_classes}, the network's)."
            " Give the data, or the checkpoint, that belongs to the other"
        )
    collector = Collector(palette.num_classes, palette.ignore_label, boundary=boundary)
    samples: Iterable[Any] = (read_sample(data, i) for i in range(len(data)))
    for sample in progress(samples):
        collector.add(sample.labels, predict(model, sample.image, size=size))
    return collector.scores(palette.names, rng=rng)


def predict(model: Network, image: np.ndarray, *, size: Size | None = None) -> np.ndarray:
    """image (H, W, 3) uint8 RGB, any H and W -> labels (H, W) uint8: the class of the largest logit.

    size: (H, W) of the training pictures; the network works at their area. None: at the picture's own size.
    Takes about 15 bytes a pixel of the picture beside the network's own need, however many classes there are.
    """
    logits = _working_logits(model, image, size)
    best, labels = np.full(image.shape[:2], -np.inf, np.float32), np.zeros(image.shape[:2], np.uint8)
    # One class after the other: all resized logits of 4000 x 3000 pixels and 11 classes would be half a gigabyte.
    for k in range(logits.shape[2]):
        plane = _resized_plane(logits, k, image.shape[:2])
        larger = plane > best  # of equal logits the first class wins, as in argmax
        labels[larger] = k
        np.copyto(best, plane, where=larger)
    return labels


def predict_probs(model: Network, image: np.ndarray, *, size: Size | None = None) -> np.ndarray:
    """As `predict`, but -> (H, W, num_classes), the probability of each class: softmax of the logits."""
    return softmax_forward(predict_logits(model, image, size=size))[0]


def predict_logits(model: Network, image: np.ndarray, *, size: Size | None = None) -> np.ndarray:
    """As `predict`, but -> logits (H, W, num_classes), resized to the picture (bilinear)."""
    logits = _working_logits(model, image, size)
    if logits.shape[:2] == image.shape[:2]:
        return logits
    return np.stack([_resized_plane(logits, k, image.shape[:2]) for k in range(logits.shape[2])], axis=-1)


def _working_logits(model: Network, image: np.ndarray, size: Size | None) -> np.ndarray:
    """Logits (h, w, num_classes) at the scale the network works at."""
    demand_network(model)
    if not isinstance(image, np.ndarray):
        raise ShapeError(f"predict needs a picture (H, W, 3) of uint8, an array, got {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ShapeError(f"predict needs a picture (H, W, 3) of uint8, got {image.shape} of {image.dtype}")
    _demand_size(size)
    working = image if size is None else _resize(image, working_size(image.shape[:2], size))
    return model.forward(working[None].astype(model.dtype), training=False)[0]


def _demand_size(size: Any) -> None:
    whole = isinstance(size, tuple | list) and all(isinstance(n, int | np.integer) and n > 0 for n in size)
    if size is not None and not (whole and len(size) == 2):
        raise SettingError(f"size: {size!r} (expected (H, W), two whole numbers above 0, or None)")


def working_size(image_size: Size, training_size: Size) -> Size:
    """(H, W) of the picture's shape and the training pictures' area; the training size itself for the same shape."""
    factor = math.sqrt(training_size[0] * training_size[1] / (image_size[0] * image_size[1]))
    return max(1, round(image_size[0] * factor)), max(1, round(image_size[1] * factor))


def _resized_plane(logits: np.ndarray, k: int, size: Size) -> np.ndarray:
    """The logits of class k, (H, W): as they are if they have that size, else resized, in float32."""
    plane = logits[..., k]
    return plane if plane.shape == size else _resize(np.ascontiguousarray(plane, np.float32), size)


def _resize(array: np.ndarray, size: Size) -> np.ndarray:
    """A picture (H, W, 3) uint8 or a plane (H, W) float32, bilinear and antialiased."""
    return np.asarray(Image.fromarray(array).resize(size[::-1], Image.Resampling.BILINEAR))
