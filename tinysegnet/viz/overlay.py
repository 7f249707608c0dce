"""A picture and its label map in one image. Arrays in, arrays out: all pictures (H, W, 3), all labels (H, W).

Unlabelled pixels (with the palette's ignore_label, or any value that is not a class) are not painted in a colour that
could be a class: overlays leave them as they are, and label maps hatch them.
"""

import numpy as np

from ..data.palette import Palette
from ..errors import ShapeError

WRONG = (226, 40, 48)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def overlay(image: np.ndarray, labels: np.ndarray, palette: Palette, alpha: float = 0.5) -> np.ndarray:
    """Class colours over a picture: (H, W, 3) uint8. alpha 0 shows the picture only, 1 the colours only.

    Class boundaries are one pixel wide and painted more strongly. Unlabelled pixels stay as in the picture.
    """
    image, labels = as_uint8(image), _labels_for(image, labels)
    # Weights are 16-bit multiples of 1/256, which take half the memory of float32.
    weight = np.full(labels.shape, round(256 * alpha), np.uint16)
    weight[class_boundaries(labels)] = round(256 * (alpha + (1 - alpha) * 0.6)) if alpha > 0 else 0
    weight[~is_class(labels, palette)] = 0
    weight = weight[..., None]
    blend = image * (256 - weight)
    blend += palette.colorize(labels) * weight
    return ((blend + 128) >> 8).astype(np.uint8)


def colour_map(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """The label map alone, in the palette's colours, unlabelled pixels hatched: (H, W, 3) uint8."""
    return np.where(is_class(labels, palette)[..., None], palette.colorize(labels), hatch(*labels.shape))


def error_picture(image: np.ndarray, labels: np.ndarray, prediction: np.ndarray, palette: Palette) -> np.ndarray:
    """Where a prediction is wrong: (H, W, 3) uint8. Wrong red, right a dim grey picture, unlabelled hatched dark."""
    image = as_uint8(image)
    labels, prediction = _labels_for(image, labels), _labels_for(image, prediction)
    grey = (image @ LUMA)[..., None]
    # A little of the picture stays visible under the red, to show what was mistaken.
    wrong = 0.75 * np.array(WRONG, np.float32) + 0.25 * grey
    out = np.where((labels != prediction)[..., None], wrong, 36 + 0.42 * grey)
    out = np.where(is_class(labels, palette)[..., None], out, hatch(*labels.shape, dark=True))
    return (out + 0.5).astype(np.uint8)


def hatch(H: int, W: int, *, dark: bool = False, period: int = 8) -> np.ndarray:
    """Diagonal stripes in light or dark greys, which mark unlabelled pixels: (H, W, 3) uint8."""
    bright, shade = ((86, 86, 92), (66, 66, 72)) if dark else ((222, 222, 220), (182, 182, 180))
    stripe = (np.arange(H)[:, None] + np.arange(W)) % period < period // 2
    return np.where(stripe[..., None], np.array(bright, np.uint8), np.array(shade, np.uint8))


def is_class(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """(H, W) bool: whether each pixel has a class."""
    return (labels >= 0) & (labels < palette.num_classes)


def class_boundaries(labels: np.ndarray) -> np.ndarray:
    """(H, W) bool: the label differs from the neighbour on the right or below.

    >>> class_boundaries(np.array([[0, 0, 1], [0, 0, 1]])).astype(int)
    array([[0, 1, 0],
           [0, 1, 0]])
    """
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def as_uint8(image: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3), uint8 or float in 0..255, as uint8; values outside are clipped, and NaN becomes black."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError(f"a picture to show is (H, W, 3); this one is {image.shape}")
    if image.dtype == np.uint8:
        return image
    return np.clip(np.rint(np.nan_to_num(image, posinf=255, neginf=0)), 0, 255).astype(np.uint8)


def _labels_for(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    labels, shape = np.asarray(labels), image.shape[:2]
    if labels.shape != shape or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"labels {labels.shape}, {labels.dtype} (expected {shape}, integers, as the picture's shape is)"
        )
    return labels
