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
from ..prediction.predict import Size, class_logits, working_picture
from .overview import averaging, facts_of, weighting
from .page import MARK, build_page
from .payload import MOST_BYTES, PLANS
from .steps import tell
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
    mirror: bool = False,
    scales: tuple[float, ...] = (1.0,),
    class_weights: Any = None,
    trained_weights: str | None = None,
    title: str | None = None,
) -> Walk:
    """A debugger for a network: a page that walks through every layer, forward, loss and backward, number by number.

    image: (H, W, 3) uint8 RGB. labels: (H, W) class numbers, void as the palette says; without them there is no loss
    and no way back. palette: names and colours of the classes. size: as for `predict`, (H, W) of the training pictures;
    None: the picture's own. mirror, scales: of `predict` for this network: a walk is one pass, and says where the mean
    over several answers otherwise. class_weights: of the loss, one a class; default all 1. trained_weights: the kind
    that its training had, such as "none", for the page to say. title: of the page.

    Batch norm uses its running statistics, dropout is off: the logits are those of one pass of `predict` up to
    rounding, since all is computed in float64. Raises ShapeError, DataError or SettingError for arrays that do not fit,
    and SettingError for a size that makes the page larger than 25 MB.
    """
    with np.errstate(all="ignore"):  # a network that is out of bounds is worth a look, too
        x, palette = working_picture(model, image, size), _palette(model, palette)
        working_size, own = x.shape[1:3], image.shape[:2]
        _demand_size(model, working_size, labels is not None)
        truth = None if labels is None else _resized(_checked(labels, own, palette), working_size)
        title = f"A walk through {model.config.get('name', 'a network')}" if title is None else title
        about: dict[str, Any] = {
            "title": title,
            "notice": averaging(model, image, size, mirror, scales),
            "weighting": weighting(class_weights, trained_weights),
        }
        found = trace(model, x[0], truth, ignore_label=palette.ignore_label, class_weights=class_weights)
        answer = class_logits(found.logits)[0].argmax(-1).astype(np.uint8)
        about["facts"] = facts_of(model, x, found, answer, own, palette)
        page = _page(found, about, _images(x[0].astype(np.uint8), answer, truth, palette), palette)
        return Walk(page, answer, None if found.loss is None else found.loss.value, title)


def _page(found: Trace, about: dict[str, Any], images: dict[str, np.ndarray], palette: Palette) -> str:
    about = {
        **about,
        "labelled": found.loss is not None,
        "void": found.loss is not None and bool((found.loss.labels < 0).any()),
        "oneLogit": found.logits.shape[3] == 1,
    }
    return build_page(tell(found, list(palette.names)), about, images, palette)


def _demand_size(model: Network, size: Size, back: bool) -> None:
    """Refuse what cannot end well before it has taken minutes and all memory."""
    shapes = [shape for _, _, _, shape in model.output_shapes((1, *size, 3))]
    ways = 2 if back else 1
    memory = 8 * ways * sum(map(math.prod, shapes))
    pictures = ways * sum(H * W * min(C, PLANS[-1].channels) for _, H, W, C in shapes)
    if memory > MOST_MEMORY or pictures * DEFLATED > MOST_BYTES:
        raise SettingError(f"a walk of {size[0]}x{size[1]} pixels takes {memory / 1e9:.1f} GB of memory, and more than "
                           f"{MOST_BYTES / 1e6:.0f} MB for its page. Choose a smaller size: 96x128, say")  # fmt: skip


def _palette(model: Network, palette: Palette | None) -> Palette:
    """Names for classes of which nothing is known but how many there are; eleven are the SegNet papers'."""
    K = model.num_classes
    if palette is not None and palette.num_classes != K:
        raise SettingError(f"palette: {palette.num_classes} classes (expected the network's {K})")
    if palette is not None:
        return palette
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
