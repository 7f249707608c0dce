"""Reading a picture with its label map, and checking that they fit together."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .image_files import read_image
from .label_encoding import LabelEncoding
from .label_files import read_label_pixels
from .pairs import FilePair, belong_together, inside
from .sample import Sample


def read_pair(pair: FilePair, label_encoding: LabelEncoding) -> tuple[Sample | None, list[DataError]]:
    """Read one pair. Returns the sample and no errors, or None and the errors of both files."""
    errors: list[DataError] = []

    def attempt(read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except DataError as error:
            errors.append(error)

    attempt(_check_partners, pair)
    if errors:
        return None, errors
    image = attempt(_read_inside, read_image, pair.image, pair.root)
    pixels = attempt(_read_inside, read_label_pixels, pair.labels, pair.root)
    if image is not None and pixels is not None:
        attempt(check_sizes, pair.image, image, pair.labels, pixels.values)
    if pixels is not None and (image is None or not errors):
        labels = attempt(label_encoding.decode, pixels, pair.labels)
    return None if errors else Sample(image, labels, pair.image.stem), errors


def check_sizes(image_path: Path, image: np.ndarray, labels_path: Path, labels: np.ndarray) -> None:
    """Raise DataError unless a label map (H, W) has the size of its upright picture (H, W, 3)."""
    (H, W), (h, w) = image.shape[:2], labels.shape[:2]
    remedy = "Export it again."
    if (w, h) == (H, W):  # the picture was turned, but the label map was not
        remedy = f"Export it upright, or remove the picture's EXIF orientation: exiftool -Orientation= {image_path}"
    if (h, w) != (H, W):
        sizes = f"the label map has {h} x {w} pixels, but {image_path} has {H} x {W} when it is upright"
        raise DataError(f"{labels_path}: {sizes}. {remedy}")


def _check_partners(pair: FilePair) -> None:
    if pair.origin.startswith("folders "):
        for path, partner, what in ((pair.labels, pair.image, "label map"), (pair.image, pair.labels, "picture")):
            if not os.path.lexists(path) and os.path.exists(partner):
                raise DataError(f"{path}: no such file. Add the {what}, or remove {partner}.")
    elif not belong_together(pair.image, pair.labels):
        wrong = f"{pair.origin} pairs this picture with {pair.labels}, which has a different name"
        raise DataError(f"{pair.image}: {wrong}. Correct the list.")


def _read_inside(read: Callable[[Path], Any], path: Path, root: Path) -> Any:
    if not inside(path, root):
        raise DataError(f"{path}: this link points outside {root}. Copy the file into the folder.")
    return read(path)
