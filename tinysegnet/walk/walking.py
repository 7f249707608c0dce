"""`walk`: from a network and a picture to the page."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from ..data import CAMVID, Palette
from ..data.palette import distinct_colors
from ..errors import DataError, SettingError, ShapeError
from ..files import write_atomically
from ..models import Network
from ..predict import Size, class_logits, working_picture
from .pack import MOST_BYTES, PLANS
from .page import MARK, build_page
from .story import tell
from .trace import Trace, trace

__all__ = ["Walk", "is_walk", "walk"]

VOID = 255
MOST_MEMORY = 4e9  # bytes
DEFLATED = 0.2  # bytes in the page of a number in a picture, at the very least


@dataclass(frozen=True)
class Walk:
    """A page. `save` it, or show it as the last expression of a notebook's cell, whose file it makes as much larger.

    labels: (H, W), what the network says at the size it worked at. loss: None without labels.
    """

    page: str = field(repr=False)
    labels: np.ndarray = field(repr=False)
    loss: float | None
    title: str

    @property
    def size(self) -> int:
        """Bytes of the page."""
        return len(self.page.encode())

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page. Raises OSError as the system reports it; an older file is then intact."""
        write_atomically(path, self.page.encode())

    def _repr_html_(self) -> str:
        """A frame of its own, so that neither keys nor style leak into the notebook."""
        style = "width:100%;height:min(56rem,90vh);border:1px solid #8884;border-radius:6px"
        return f'<iframe title="{escape(self.title)}" style="{style}" srcdoc="{escape(self.page)}"></iframe>'


def is_walk(path: str | PathLike[str]) -> bool:
    """Is this file the page of a walk? Raises OSError as the system reports it."""
    with open(path, "rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def walk(
    model: Network,
    image: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    palette: Palette | None = None,
    size: Size | None = None,
    class_weights: Any = None,
    title: str | None = None,
) -> Walk:
    """A debugger for a network: a page that walks through every layer, forward, loss and backward, number by number.

    image: (H, W, 3) uint8 RGB. labels: (H, W) class numbers, void as the palette says; without them there is no loss
    and no way back. palette: names and colours of the classes. size: as for `predict`, (H, W) of the training pictures;
    None: the picture's own. class_weights: of the loss, one a class; default all 1. title: of the page.

    Batch norm uses its running statistics, dropout is off: the logits are those of `predict` up to rounding, since all
    is computed in float64. Raises ShapeError, DataError or SettingError for arrays that do not fit, and SettingError
    for a size that makes the page larger than 25 MB.
    """
    with np.errstate(all="ignore"):  # a network that is out of bounds is worth a look, too
        return _walk(model, image, labels, palette, size, class_weights, title)


def _walk(model: Network, image: np.ndarray, labels: Any, palette: Palette | None, size: Size | None,
          class_weights: Any, title: str | None) -> Walk:  # fmt: skip
    x = working_picture(model, image, size)
    palette = _palette(model) if palette is None else palette
    if palette.num_classes != model.num_classes:
        raise SettingError(f"palette: {palette.num_classes} classes (expected the network's {model.num_classes})")
    working_size = x.shape[1], x.shape[2]
    _demand_size(model, working_size, labels is not None)
    truth = None if labels is None else _resized(_checked(labels, image.shape[:2], palette), working_size)
    found = trace(model, x[0], truth, ignore_label=palette.ignore_label, class_weights=class_weights)
    answer = class_logits(found.logits)[0].argmax(-1).astype(np.uint8)
    title = f"A walk through {model.config.get('name', 'a network')}" if title is None else title
    images = _images(x[0].astype(np.uint8), answer, truth, palette)
    about = {
        "title": title,
        "facts": _facts(model, x, found, answer, image.shape[:2]),
        "labelled": truth is not None,
        "void": truth is not None and bool((found.loss.labels < 0).any()) if found.loss is not None else False,
        "oneLogit": found.logits.shape[3] == 1,
    }
    page = build_page(tell(found, list(palette.names)), about, images, palette)
    return Walk(page, answer, None if found.loss is None else found.loss.value, title)


def _demand_size(model: Network, size: Size, back: bool) -> None:
    """Refuse what cannot end well before it has taken minutes and all memory."""
    shapes = [shape for _, _, _, shape in model.output_shapes((1, *size, 3))]
    ways = 2 if back else 1
    memory = 8 * ways * sum(map(math.prod, shapes))
    pictures = ways * sum(H * W * min(C, PLANS[-1].channels) for _, H, W, C in shapes)
    if memory > MOST_MEMORY or pictures * DEFLATED > MOST_BYTES:
        raise SettingError(f"a walk of {size[0]}x{size[1]} pixels takes {memory / 1e9:.1f} GB of memory, and more than "
                           f"{MOST_BYTES / 1e6:.0f} MB for its page. Choose a smaller size: 96x128, say")  # fmt: skip


def _palette(model: Network) -> Palette:
    """Names for classes of which nothing is known but how many there are; eleven are the SegNet papers'."""
    K = model.num_classes
    if CAMVID.num_classes == K:
        return CAMVID
    return Palette(tuple(f"class {k}" for k in range(K)), distinct_colors(K), VOID if K < VOID else None)


def _checked(labels: Any, size: Size, palette: Palette) -> np.ndarray:
    """Labels (H, W) uint8, or an error that says what is wrong with them."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        kind = labels.dtype if isinstance(labels, np.ndarray) else type(labels).__name__
        raise ShapeError(f"walk needs labels (H, W), an array of whole numbers, got {kind}")
    if labels.shape != size:
        raise ShapeError(f"labels {labels.shape} for a picture of {size} (expected one label for each pixel)")
    wrong = (labels < 0) | (labels >= palette.num_classes)
    if palette.ignore_label is not None:
        wrong &= labels != palette.ignore_label
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        allowed = f"0..{palette.num_classes - 1}"
        allowed += "" if palette.ignore_label is None else f", void {palette.ignore_label}"
        raise DataError(f"label {labels[row, column]} at row {row}, column {column} (allowed {allowed}). Give labels "
                        "of the network's classes")  # fmt: skip
    return labels.astype(np.uint8)


def _resized(labels: np.ndarray, size: Size) -> np.ndarray:
    """Picked, never mixed."""
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST))


def _images(image: np.ndarray, answer: np.ndarray, truth: np.ndarray | None, palette: Palette) -> dict[str, np.ndarray]:
    from ..viz import colour_map, error_picture  # here, since matplotlib takes as long as all the rest

    images = {"picture": image, "prediction": colour_map(answer, palette)}
    if truth is not None:
        images["labels"] = colour_map(truth, palette)
        images["error"] = error_picture(image, truth, answer, palette)
    return images


def _facts(model: Network, x: np.ndarray, found: Trace, answer: np.ndarray, own: Size) -> list[tuple[str, str]]:
    """What the first step says: (name, text)."""
    H, W = x.shape[1:3]
    facts = [
        ("Network", f"{model.config.get('name', 'of your own')}, {model.num_parameters:,} parameters, "
                    f"{len(model.layers)} layers"),
        ("Picture", f"{H} x {W} pixels" + ("" if own == (H, W) else f", made of {own[0]} x {own[1]}")),
        ("Statistics", "batch norm uses those of its training, dropout is off: as in predict"),
        ("Precision", _precision(model, x, found, answer)),
    ]  # fmt: skip
    if found.loss is not None:
        right = (answer == found.loss.labels)[found.loss.labels >= 0]
        share = f"{right.mean():.1%} of the labelled pixels are right" if right.size else "no pixel is labelled"
        facts[2:2] = [("Loss", f"{found.loss.value:.6g}; {share}")]
    return facts


def _precision(model: Network, x: np.ndarray, found: Trace, answer: np.ndarray) -> str:
    """How the network's own arithmetic compares with the page's."""
    logits = model.forward(x)
    if not np.isfinite(logits).all():
        return "computed in float64, shown in float32; in predict some logits are infinite, or not a number"
    difference = float(np.abs(logits - found.logits).max())
    other = int((class_logits(logits)[0].argmax(-1) != answer).sum())
    same = "the same class at every pixel" if not other else f"another class at {other} pixels, where two were equal"
    return f"computed in float64, shown in float32; predict's logits differ by at most {difference:.1g}, {same}"
