"""Folders of label maps for the tests of the survey: labels in squares, palettes, and errors of one line."""

import numpy as np
import pytest
from folder_samples import label_map
from PIL import Image

from tinysegnet.data import Folder
from tinysegnet.errors import DataError

SHAPES = np.repeat(np.repeat(label_map(3)[:3, :4], 12, 0), 12, 1)  # (36, 48), three classes in large squares
BLACK_RED_GREEN = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]


def folder(root, *maps, classes=None, layout="images/{}.png labels/{}.png", names="p{}"):
    """Write pairs with these label maps (arrays or Pillow images), and return a function that opens the folder."""
    for k, labels in enumerate(maps):
        image = labels if isinstance(labels, Image.Image) else Image.fromarray(np.asarray(labels, np.uint8))
        shape = image.size[::-1]
        for path, content in zip(
            layout.split(), (Image.fromarray(np.zeros((*shape, 3), np.uint8)), image), strict=True
        ):
            target = root / path.format(names.format(k))
            target.parent.mkdir(parents=True, exist_ok=True)
            content.save(target)
    if classes is not None:
        (root / "classes.txt").write_text(classes)
    return root


def indexed(numbers, colors):
    image = Image.fromarray(np.asarray(numbers, np.uint8)).convert("P")
    image.putdata(np.asarray(numbers).ravel().tolist())
    image.putpalette([value for color in colors for value in color])
    return image


def labels_of(root, **options):
    return [sample.labels for split in ("train", "val") for sample in Folder(root, split, **options)]


def refused(root, **options):
    with pytest.raises(DataError) as caught:
        Folder(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
