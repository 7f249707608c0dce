"""Pictures (H, W, 3) combined with their label maps (H, W); all functions take and return arrays.

Pixels with the palette's ignore_label or any other value that is not a class are unlabelled. Overlays leave unlabelled
pixels unchanged, and label maps hatch them.
"""

import numpy as np

from ..data.palette import ERROR_RED, Palette
from ..errors import ShapeError

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def overlay(image: np.ndarray, labels: np.ndarray, palette: Palette, alpha: float = 0.5) -> np.ndarray:
    """Blend class colours over a picture: (H, W, 3) uint8. Alpha 0 shows only the picture, alpha 1 only the colours.

    Class boundaries are one pixel wide and painted more strongly. Unlabelled pixels are unchanged.
    """
    image, labels = as_uint8(image), labels_for(image, labels)
    # Weights are 16-bit multiples of 1/256, which take half the memory of float32.
    weight = np.full(labels.shape, round(256 * alpha), np.uint16)
    weight[class_boundaries(labels)] = round(256 * (alpha + (1 - alpha) * 0.6)) if alpha > 0 else 0
    weight[~is_class(labels, palette)] = 0
    weight = weight[..., None]
    blend = image * (256 - weight)
    blend += palette.colorize(labels) * weight
    return ((blend + 128) >> 8).astype(np.uint8)


def colour_map(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """Paint a label map in the palette's colours, with unlabelled pixels hatched: (H, W, 3) uint8."""
    painted, unlabelled = palette.colorize(labels), ~is_class(labels, palette)
    if unlabelled.any():
        painted[unlabelled] = hatch(*labels.shape)[unlabelled]
    return painted


def error_picture(image: np.ndarray, labels: np.ndarray, prediction: np.ndarray, palette: Palette) -> np.ndarray:
    """Paint errors red, correct pixels as a dim grey picture, and unlabelled pixels hatched: (H, W, 3) uint8."""
    image = as_uint8(image)
    labels, prediction = labels_for(image, labels), labels_for(image, prediction)
    grey = (image @ LUMA)[..., None]
    # The picture remains faintly visible under the red, to show what was misclassified.
    wrong = 0.75 * np.array(ERROR_RED, np.float32) + 0.25 * grey
    out = np.where((labels != prediction)[..., None], wrong, 36 + 0.42 * grey)
    out = np.where(is_class(labels, palette)[..., None], out, hatch(*labels.shape, dark=True))
    return (out + 0.5).astype(np.uint8)


def hatch(H: int, W: int, *, dark: bool = False, period: int = 8) -> np.ndarray:
    """Draw diagonal stripes in light or dark greys, which mark unlabelled pixels: (H, W, 3) uint8."""
    bright, shade = ((86, 86, 92), (66, 66, 72)) if dark else ((222, 222, 220), (182, 182, 180))
    stripe = (np.arange(H)[:, None] + np.arange(W)) % period < period // 2
    return np.where(stripe[..., None], np.array(bright, np.uint8), np.array(shade, np.uint8))


def is_class(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """Return whether each pixel has a class, (H, W) bool."""
    return (labels >= 0) & (labels < palette.num_classes)


def class_boundaries(labels: np.ndarray) -> np.ndarray:
    """Return whether each pixel's label differs from its neighbour's on the right or below, (H, W) bool.

    >>> class_boundaries(np.array([[0, 0, 1], [0, 0, 1]])).astype(int)
    array([[0, 1, 0],
           [0, 1, 0]])
    """
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def as_uint8(image: np.ndarray) -> np.ndarray:
    """Convert a picture (H, W, 3), uint8 or float, to uint8; values outside 0..255 are clipped, and NaN becomes 0."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError(f"a picture must be a non-empty array (H, W, 3); this one has the shape {image.shape}")
    if image.dtype == np.uint8:
        return image
    return np.clip(np.rint(np.nan_to_num(image, posinf=255, neginf=0)), 0, 255).astype(np.uint8)


def labels_for(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the labels of a picture as an array (H, W), or raise ShapeError if they are not one integer per pixel."""
    labels, shape = np.asarray(labels), image.shape[:2]
    if labels.shape != shape or labels.dtype.kind not in "iu":
        found = f"labels are {labels.dtype} of shape {labels.shape}"
        raise ShapeError(f"{found}, but the picture is {shape}. Each pixel needs one integer")
    return labels
