"""tinysegnet walk."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..data import read_image, read_labels
from ..data.image_files import MAX_PIXELS_SINGLE
from ..errors import DataError, SettingError
from ..walk import is_walk, walk
from ..weights.bundled import open_checkpoint
from .options import CheckpointPath

__all__ = ["Walk"]

ImagePath = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="IMAGE")]


@dataclass(frozen=True)
class Walk:
    """A debugger for a network: one HTML page that walks a picture through every layer, forward, loss and backward.

    Each step shows its formula, the arrays that go in and come out, and its source; click a pixel, and see the sum that
    made its number, product by product, and where its gradient goes. The page needs no network and fits a phone.
    """

    checkpoint: CheckpointPath
    """A .safetensors file that `train` wrote, or "toy", the network that comes with this package."""
    image: ImagePath
    """A picture: PNG or JPEG."""
    out: Path
    """The page, such as walk.html; an older walk is replaced, no other file is."""
    labels: Path | None = None
    """Its label map, a PNG with the numbers or colours of the network's classes. Without one there is no loss, and the
    walk ends with the prediction."""
    size: tuple[int, int] | None = None
    """Height and width at whose area the network works; default: of the pictures it was trained on, as in predict."""

    def run(self) -> int:
        _demand_page(self.out)
        loaded = open_checkpoint(self.checkpoint)
        image = read_image(self.image, upright=True, max_pixels=MAX_PIXELS_SINGLE)
        labels = None if self.labels is None else read_labels(self.labels, loaded.palette)
        if labels is not None and labels.shape != image.shape[:2]:
            (H, W), (h, w) = image.shape[:2], labels.shape
            raise DataError(
                f"{self.labels}: {w} x {h} pixels (expected {W} x {H}, as {self.image} has). Give its label map"
            )
        how = loaded.prediction if self.size is None else {**loaded.prediction, "size": self.size}
        page = walk(
            loaded.model, image, labels, palette=loaded.palette, **how, trained_weights=loaded.class_weights,
            title=f"{self.image.name} in {loaded.model.config['name']}",
        )  # fmt: skip
        if loaded.prediction["mirror"] or loaded.prediction["scales"] != (1.0,):
            print("predict averages mirror images and scales, as in training; a walk shows one pass", file=sys.stderr)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        page.save(self.out)
        print(f"{self.out}  {page.size / 1e6:.1f} MB")
        return 0


def _demand_page(path: Path) -> None:
    """Raise SettingError or DataError unless the page may be written here: no file of another kind is lost."""
    if path.is_dir():
        raise DataError(f"{path}: a folder (expected a file for the page). Give one such as walk.html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{path}: no name for a page (expected an ending .html). Give one such as walk.html")
    if path.exists() and not is_walk(path):
        raise SettingError(f"{path}: exists already, and is no walk. Choose another --out, or remove it")
