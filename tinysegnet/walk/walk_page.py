"""`walk` makes the page from a network and a picture."""

import math
from dataclasses import dataclass, field
from html import escape
from os import PathLike
from typing import Any

import numpy as np

from ..data import CAMVID, Palette
from ..data.palette import distinct_colors
from ..data.sample import check_classes
from ..errors import SettingError
from ..files import write_atomically
from ..models import Network
from ..prediction.predict import Size, class_logits, working_picture
from .payload import MAX_BYTES, PLANS
from .trace import trace

MARK = b"<!doctype html>\n<!-- a walk of tinysegnet -->\n"  # the beginning of page.html
VOID = 255
MAX_MEMORY = 4e9  # bytes
MIN_COMPRESSED = 0.2  # bytes in the page per value of a picture


@dataclass(frozen=True)
class Walk:
    """The page of a walk. `save` writes it to a file. A notebook shows it if it is the last expression of a cell.

    Attributes:
        page: the HTML.
        labels: (H, W), the predicted classes, at the size of the network's input.
        loss: the loss, or None without labels.
        title: the title of the page.
    """

    page: str = field(repr=False)
    labels: np.ndarray = field(repr=False)
    loss: float | None
    title: str

    @property
    def size(self) -> int:
        """The size of the page in bytes."""
        return len(self.page.encode())

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page atomically; after an OSError, an older file is unchanged."""
        write_atomically(path, self.page.encode())

    def _repr_html_(self) -> str:
        """Return an iframe, so that neither keys nor style affect the notebook."""
        style = "width:100%;height:min(56rem,90vh);border:1px solid #8884;border-radius:6px"
        return f'<iframe title="{escape(self.title)}" style="{style}" srcdoc="{escape(self.page)}"></iframe>'


def is_walk(path: str | PathLike[str]) -> bool:
    """Return whether this file is the page of a walk. Raises OSError if it cannot be read."""
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
    trained_weights: str | tuple[float, ...] | None = None,
    title: str | None = None,
) -> Walk:
    """Make a page that walks through a network number by number: each layer forward, the loss, each layer backward.

    Batch norm uses its running statistics and dropout is off. Up to rounding, the logits equal those of one pass of
    `predict`, but the walk computes in float64.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) class numbers or the palette's ignore_label; without labels, the walk ends at the prediction.
        palette: the names and colours of the classes.
        size: (H, W) of the training pictures, as for `predict`; None keeps the picture's own size.
        mirror, scales: the settings of `predict` for this network. The page counts the pixels that differ.
        class_weights: the weights of the classes in the loss; by default all are 1.
        trained_weights: the class weights used in training, for example "none", which the page mentions.
        title: the title of the page.

    Raises:
        ShapeError, DataError, SettingError: if arrays do not fit, or the size requires a page of more than 25 MB.
    """
    from ..viz.canvas import resized
    from ..viz.overlay import labels_for
    from .overview import build_overview, describe_averaging, describe_weighting
    from .page import build_page  # imported here because matplotlib is slow to import

    with np.errstate(all="ignore"):  # so that networks with infinities or NaN can be inspected
        x, palette = working_picture(model, image, size), _palette(model, palette)
        (H, W), own_size = x.shape[1:3], image.shape[:2]
        _check_size(model, (H, W), labels is not None)
        truth = None
        if labels is not None:
            labels = labels_for(image, labels)
            check_classes("labels", labels, palette)
            truth = resized(labels, (W, H))
        found = trace(model, x[0], truth, ignore_label=palette.ignore_label, class_weights=class_weights)
        prediction = class_logits(found.logits)[0].argmax(-1).astype(np.uint8)
        title = f"A walk through {model.config.get('name', 'a network')}" if title is None else title
        about = {
            "title": title,
            "notice": describe_averaging(model, image, size, mirror, scales),
            "weighting": describe_weighting(class_weights, trained_weights),
            "overview": build_overview(model, x, found, prediction, own_size, palette),
        }
        page = build_page(model, found, about, prediction, palette)
        return Walk(page, prediction, None if found.loss is None else found.loss.value, title)


def _check_size(model: Network, size: Size, backward: bool) -> None:
    """Reject sizes that need too much memory or lead to too large a page, before any work is done."""
    shapes = [shape for _, _, _, shape in model.output_shapes((1, *size, 3))]
    directions = 2 if backward else 1
    memory = 8 * directions * sum(map(math.prod, shapes))
    page = MIN_COMPRESSED * directions * sum(H * W * min(C, PLANS[-1].channels) for _, H, W, C in shapes)
    if memory > MAX_MEMORY or page > MAX_BYTES:
        raise SettingError(f"a walk of {size[0]}x{size[1]} pixels needs {memory / 1e9:.1f} GB of memory and a page of "
                           f"{page / 1e6:.0f} MB. Choose a smaller size, such as 96x128")  # fmt: skip


def _palette(model: Network, palette: Palette | None) -> Palette:
    """Return the given palette or, without one, CamVid's for eleven classes and a new one for other numbers."""
    K = model.num_classes
    if palette is None and CAMVID.num_classes == K:
        return CAMVID
    if palette is None:
        return Palette(tuple(f"class {k}" for k in range(K)), distinct_colors(K), VOID if K < VOID else None)
    if palette.num_classes != K:
        raise SettingError(f"the palette has {palette.num_classes} classes, but the network predicts {K}")
    return palette
