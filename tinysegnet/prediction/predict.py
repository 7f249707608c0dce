"""Predicting a label map, of the same size, for a picture of any size.

A network works best at the scale of its training pictures. So a picture is resized to the area of the training
pictures, at its own aspect ratio. The logits, not the labels, are resized back before the largest logit is chosen.
"""

import math
from typing import Any

import numpy as np
from PIL import Image

from ..errors import SettingError, ShapeError
from ..models import Network, check_network
from ..ops import softmax_forward
from ..runtime.settings import convert
from .tiles import class_logits, picture_logits, predict_bands, rows_of

Size = tuple[int, int]
Scales = tuple[float, ...]


def predict(
    model: Network, image: np.ndarray, *, size: Size | None = None, mirror: bool = False, scales: Scales = (1.0,),
    tile: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Predict the label map of a picture, with about 15 bytes per pixel in addition to the network's memory.

    Args:
        image: (H, W, 3) uint8 RGB, any H and W.
        size: (H, W) of the training pictures; the picture is resized to their area. None keeps the picture's size.
        mirror: average the logits of the picture and its mirror image, which takes twice as long.
        scales: factors for height and width. The logits at all scales are resized to the largest and averaged; scale 2
            takes four times as long as scale 1.
        tile: run the network on overlapping crops of at most this height and width in pixels, which needs less memory
            and changes the logits only by rounding. Without `size` and with one scale, no logits of the whole picture
            are stored.

    Returns:
        (H, W) uint8: the class of the largest logit.

    Raises:
        ShapeError: image is not an array (H, W, 3) of dtype uint8.
        SettingError: size or scales are out of range, or the tile is too small for the network.
    """
    scales = _positive(scales)
    if tile is not None and len(scales) == 1:
        pixels = resized_picture(model, image, size, scales[0])
        if pixels.shape == image.shape:
            bands = predict_bands(model, rows_of(pixels), pixels.shape[:2], tile=tile, mirror=mirror)
            return np.concatenate([labels for _, labels in bands])
    return _largest(_working_logits(model, image, size, mirror, scales, tile), image.shape[:2])


def predict_logits(model: Network, image: np.ndarray, **options: Any) -> np.ndarray:
    """Return the logits (H, W, num_classes), resized bilinearly. The options are as for `predict`."""
    return _resized(_working_logits(model, image, **options), image.shape[:2])


def predict_probs(model: Network, image: np.ndarray, **options: Any) -> np.ndarray:
    """Return the probabilities (H, W, num_classes), the softmax of the logits. The options are as for `predict`."""
    return softmax_forward(predict_logits(model, image, **options))[0]


def predict_samples(
    model: Network, image: np.ndarray, *, samples: int = 50, seed: int = 0, size: Size | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and variance of a Bayesian network's sampled probabilities (Kendall et al. 2015, section 3).

    The mean of the softmax outputs is the prediction, and their variance is a measure of uncertainty.

    Args:
        samples: number of passes with dropout on.
        seed: seed of the dropout masks.

    Returns:
        mean and variance of the probabilities, each (H, W, num_classes) float32.

    Raises SettingError if the network has no dropout, or a setting is out of range.
    """
    mean, variance = _sample(model, image, samples, seed, size)
    return _resized(mean, image.shape[:2]), _resized(variance, image.shape[:2])


def predict_with_uncertainty(
    model: Network, image: np.ndarray, *, samples: int = 50, seed: int = 0, size: Size | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Summarise the samples of `predict_samples`, with far less memory for large pictures.

    Returns labels (H, W) uint8, the class with the largest mean, and uncertainty (H, W) float32, the average variance.
    """
    mean, variance = _sample(model, image, samples, seed, size)
    return _largest(mean, image.shape[:2]), _resize(variance.mean(axis=2), image.shape[:2])


def one_minus_msp(model: Network, image: np.ndarray, size: Size | None) -> np.ndarray:
    """Return 1 - maximum softmax probability (H, W) of one pass without dropout, a baseline for sampled uncertainty."""
    probs, _ = softmax_forward(_working_logits(model, image, size))
    return _resize(1 - probs.max(axis=2), image.shape[:2])


def _sample(model: Network, image: np.ndarray, samples: int, seed: int, size: Size | None) -> tuple[np.ndarray, ...]:
    samples, seed = convert("samples", samples, int), convert("seed", seed, int)
    for name, value, least in (("samples", samples, 1), ("seed", seed, 0)):
        if value < least:
            raise SettingError(f"{name}: {value} is too small. Choose at least {least}.")
    x = working_picture(model, image, size)
    masks = np.random.default_rng([seed])
    mean = squares = np.zeros(())  # squares: sum of the squared distances from the mean (Welford 1962)
    for count, logits in enumerate(model.samples(x, samples, generator=masks), start=1):
        (probs,), _ = softmax_forward(class_logits(logits))
        if count == 1:
            mean, squares = np.zeros_like(probs), np.zeros_like(probs)
        step = probs - mean
        mean += step / count
        probs -= mean
        squares += np.multiply(step, probs, out=step)
    squares /= samples
    return mean, squares


def _working_logits(
    model: Network, image: np.ndarray, size: Size | None = None, mirror: bool = False, scales: Scales = (1.0,),
    tile: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Return the logits (h, w, num_classes) at the largest of the scales."""
    found: list[np.ndarray] = []
    for scale in sorted(_positive(scales)):
        found.append(picture_logits(model, resized_picture(model, image, size, scale), mirror=mirror, tile=tile))
    return np.mean([_resized(logits, found[-1].shape[:2]) for logits in found], axis=0)


def _positive(scales: Scales) -> Scales:
    scales = convert("scales", scales, Scales)
    if min(scales) <= 0:
        raise SettingError(f"scales: {scales} is out of range. Choose positive numbers.")
    return scales


def working_picture(model: Network, image: np.ndarray, size: Size | None, scale: float = 1.0) -> np.ndarray:
    """Return the picture as a batch of one, resized to `network_size`, in the dtype of the network."""
    return resized_picture(model, image, size, scale)[None].astype(model.dtype)


def resized_picture(model: Network, image: np.ndarray, size: Size | None, scale: float = 1.0) -> np.ndarray:
    """Return the picture (h, w, 3) uint8, resized to `network_size`."""
    check_network(model)
    is_array = isinstance(image, np.ndarray)
    if not is_array or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        kind = f"shape {image.shape} and dtype {image.dtype}" if is_array else type(image).__name__
        raise ShapeError(f"image: expected an array of shape (H, W, 3) and dtype uint8, got {kind}.")
    whole = isinstance(size, tuple | list) and all(isinstance(n, int | np.integer) and n > 0 for n in size)
    if size is not None and not (whole and len(size) == 2):
        raise SettingError(f"size: {size!r} is not a size. Give (H, W), two positive whole numbers, or None.")
    return _resize(image, network_size(model, image.shape[:2], size, scale))


def network_size(model: Network, image_size: Size, size: Size | None, scale: float = 1.0) -> Size:
    """Return the (H, W) of the network's input: `scale` times the working size, rounded to an allowed size."""
    H, W = image_size if size is None else working_size(image_size, size)
    return model.fitting_size((max(1, round(H * scale)), max(1, round(W * scale))))


def working_size(image_size: Size, training_size: Size) -> Size:
    """Return the size (H, W) with the picture's aspect ratio and the training pictures' area."""
    factor = math.sqrt(training_size[0] * training_size[1] / (image_size[0] * image_size[1]))
    return max(1, round(image_size[0] * factor)), max(1, round(image_size[1] * factor))


def _largest(planes: np.ndarray, size: Size) -> np.ndarray:
    """Resize the planes (h, w, K) and return, as labels (H, W), the class of the largest value."""
    best, labels = np.full(size, -np.inf, planes.dtype), np.zeros(size, np.uint8)
    for k in range(planes.shape[2]):  # one at a time, because 11 planes of 4000 x 3000 pixels take half a gigabyte
        plane = _resize(planes[..., k], size)
        np.copyto(labels, np.uint8(k), where=plane > best)  # of equal values, the first is chosen, as in argmax
        np.fmax(best, plane, out=best)
    return labels


def _resized(planes: np.ndarray, size: Size) -> np.ndarray:
    if planes.shape[:2] == size:
        return planes
    return np.stack([_resize(planes[..., k], size) for k in range(planes.shape[2])], axis=-1)


def _resize(array: np.ndarray, size: Size) -> np.ndarray:
    """Resize a picture (H, W, 3) uint8, or a plane (H, W) in float32, with antialiased bilinear interpolation."""
    if array.shape[:2] == size:
        return array
    array = array if array.dtype == np.uint8 else np.ascontiguousarray(array, np.float32)
    return np.asarray(Image.fromarray(array).resize(size[::-1], Image.Resampling.BILINEAR))
