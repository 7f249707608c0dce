"""`walk`: from a network and a picture to the page."""

import math
from dataclasses import dataclass, field
from html import escape
from os import PathLike
from typing import Any

import numpy as np

from ..data import CAMVID, Palette
from ..data.palette import distinct_colors
from ..data.sample import check_classes
from ..errors import SettingError, ShapeError
from ..files import write_atomically
from ..models import Network
from ..prediction.predict import Size, class_logits, working_picture
from .payload import MAX_BYTES, PLANS
from .trace import trace

MARK = b"<!doctype html>\n<!-- a walk of tinysegnet -->\n"  # how page.html begins
VOID = 255
MAX_MEMORY = 4e9  # bytes
LEAST_DEFLATED = 0.2  # bytes in the page of a value in a picture


@dataclass(frozen=True)
class Walk:
    """A page. `save` it, or show it as the last expression of a notebook's cell, whose file grows by its size.

    Attributes:
        page: HTML.
        labels: (H, W), what the network predicts at the size it worked at.
        loss: None without labels.
        title: of the page.
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
        return file.read(len(MARK)) == MARK


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

    Batch norm uses its running statistics, dropout is off: the logits are those of one pass of `predict` up to
    rounding, since everything is computed in float64.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) class numbers, void as the palette says; without them there are no loss and no backward steps.
        palette: names and colours of the classes.
        size: (H, W) of the training pictures, as for `predict`; None: the picture's own.
        mirror, scales: of `predict` for this network. A walk is one pass, and says where their mean differs.
        class_weights: of the loss, one per class; default all 1.
        trained_weights: the kind that its training had, such as "none", for the page to say.
        title: of the page.

    Raises:
        ShapeError, DataError, SettingError: for arrays that do not fit, or a size that makes a page of more than 25 MB.
    """
    from ..viz.canvas import resized
    from .overview import build_overview, describe_averaging, describe_weighting
    from .page import build_page  # here, since matplotlib takes as long as all the rest

    with np.errstate(all="ignore"):  # a network that is out of bounds is worth a look, too
        x, palette = working_picture(model, image, size), _palette(model, palette)
        (H, W), own_size = x.shape[1:3], image.shape[:2]
        _check_size(model, (H, W), labels is not None)
        truth = None if labels is None else resized(_check_labels(labels, own_size, palette), (W, H))
        found = trace(model, x[0], truth, ignore_label=palette.ignore_label, class_weights=class_weights)
        prediction = class_logits(found.logits)[0].argmax(-1).astype(np.uint8)
        title = f"A walk through {model.config.get('name', 'a network')}" if title is None else title
        about = {
            "title": title,
            "notice": describe_averaging(model, image, size, mirror, scales),
            "weighting": describe_weighting(class_weights, trained_weights),
            "overview": build_overview(model, x, found, prediction, own_size, palette),
        }
        page = build_page(found, about, prediction, palette)
        return Walk(page, prediction, None if found.loss is None else found.loss.value, title)


def _check_size(model: Network, size: Size, backward: bool) -> None:
    """Refuse what cannot end well before it has taken minutes and all memory."""
    shapes = [shape for _, _, _, shape in model.output_shapes((1, *size, 3))]
    directions = 2 if backward else 1
    memory = 8 * directions * sum(map(math.prod, shapes))
    values = directions * sum(H * W * min(C, PLANS[-1].channels) for _, H, W, C in shapes)
    if memory > MAX_MEMORY or values * LEAST_DEFLATED > MAX_BYTES:
        raise SettingError(f"a walk of {size[0]}x{size[1]} pixels takes {memory / 1e9:.1f} GB of memory, and more than "
                           f"{MAX_BYTES / 1e6:.0f} MB for its page. Choose a smaller size, such as 96x128")  # fmt: skip


def _palette(model: Network, palette: Palette | None) -> Palette:
    """The given palette, or one for as many classes as the network has; eleven are the SegNet papers'."""
    K = model.num_classes
    if palette is None and CAMVID.num_classes == K:
        return CAMVID
    if palette is None:
        return Palette(tuple(f"class {k}" for k in range(K)), distinct_colors(K), VOID if K < VOID else None)
    if palette.num_classes != K:
        raise SettingError(f"palette: {palette.num_classes} classes (expected the network's {K})")
    return palette


def _check_labels(labels: Any, size: Size, palette: Palette) -> np.ndarray:
    """Labels (H, W) uint8, or an error that says what is wrong with them."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        kind = labels.dtype if isinstance(labels, np.ndarray) else type(labels).__name__
        raise ShapeError(f"walk needs labels (H, W), an array of whole numbers, got {kind}")
    if labels.shape != size:
        raise ShapeError(f"labels {labels.shape} for a picture of {size} (expected one label for each pixel)")
    check_classes("labels", labels, palette)
    return labels.astype(np.uint8)
