"""A contact sheet: the pairs of a data set that look wrong, typical pairs, and the legend of the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL import Image, ImageOps

from ..data.palette import ERROR_RED
from ..data.plausibility import PairStatistics, shares
from .canvas import fitted, fitted_size, load_font, resized, stacked, text_row, text_width, tiled
from .legend import class_name, legend_strip, percent
from .overlay import as_uint8
from .panels import scaled_image, truth_panel
from .themes import LIGHT

_PANEL, _GAP, _MARGIN = (300, 225), 6, 24  # pixels: the size of a panel, the gap between panels, the margin of pairs
_CARD = 2 * _PANEL[0] + _GAP
_WIDTH = 2 * _CARD + 3 * _MARGIN
_MOST = 8  # the maximum number of pairs of each kind


def contact_sheet(title: str, pairs: Sequence[PairStatistics], found: Mapping[PairStatistics, str]) -> Image.Image:
    """Draw suspicious pairs with the reasons, then typical pairs, which are spread evenly over the other pairs.

    Each picture is shown beside its label map, which is painted over the picture. The legend lists the number and the
    share of each class. `pairs` comes from `pair_statistics` and is not empty, and `found` comes from `suspicious`.
    """
    palette, (*of_classes, void) = pairs[0].data.palette, map(percent, shares(pairs))
    names = tuple(f"{k}  {class_name(palette, k)}, {share}" for k, share in enumerate(of_classes))
    legend = legend_strip(replace(palette, names=names), _WIDTH - 2 * _MARGIN + 14)  # the strip has a 7-pixel margin
    rows = [*_heading(title, f"{len(pairs)} pairs, {void} not labelled"), Image.fromarray(legend)]
    others = [pair for pair in pairs if pair not in found]
    count = min(_MOST, len(others))
    typical = [others[(2 * i + 1) * len(others) // (2 * count)] for i in range(count)]
    for heading, shown, number in (
        ("Suspicious pairs", [*found][:_MOST], len(found)), ("Typical pairs", typical, len(others)),
    ):  # fmt: skip
        if shown:
            cards = [_card(pair, found.get(pair, "")) for pair in shown]
            rows += [*_heading(heading, f"{len(shown)} of {number}"), tiled(cards, 2, _MARGIN)]
    return stacked([*rows, text_row([], _WIDTH, _GAP)], _WIDTH)


def _heading(text: str, note: str) -> list[Image.Image]:
    name = fitted(text, 20, _WIDTH - 2 * _MARGIN - text_width(f"  {note}", load_font(20)))
    texts = [(_MARGIN, name, LIGHT.ink, "lm"), (_WIDTH - _MARGIN, note, LIGHT.muted, "rm")]
    return [text_row([], _WIDTH, 10), text_row(texts, _WIDTH, 20)]


def _card(pair: PairStatistics, reason: str) -> Image.Image:
    """Draw a picture and its painted label map, with the name and the reason above them."""
    sample = pair.data[pair.index]
    size = fitted_size(sample.labels.shape, *_PANEL)
    image = scaled_image(as_uint8(sample.image), size)
    painted = truth_panel(image, resized(sample.labels, size), pair.data.palette)
    name = fitted(sample.name, 13, _CARD - text_width(f"  {reason}", load_font(13)))
    texts = text_row([(0, name, LIGHT.ink, "lm"), (_CARD, reason, ERROR_RED, "rm")], _CARD, 13)
    panels = [ImageOps.pad(Image.fromarray(array), _PANEL, color=LIGHT.paper) for array in (image, painted)]
    return stacked([texts, tiled(panels, 2, _GAP)], _CARD)
