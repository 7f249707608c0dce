"""How sure a network is of each pixel, as a picture with its scale."""

from __future__ import annotations

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from ..errors import ShapeError
from .legend import EDGE, INK, PAPER, load_font, text_width
from .panels import MAX_SIDE, enlarge, stacked

__all__ = ["doubt_picture"]

COLORS = "inferno"


def doubt_picture(doubt: np.ndarray, *, narrowest: int = 480) -> Image.Image:
    """doubt (H, W), such as the variance of sampled probabilities: dark where the network is sure, bright where not.

    The scale below goes from 0 to the 99.5th percentile of this picture, with numbers; what lies above is as bright.
    Where that is 0, to the largest.
    """
    doubt = np.asarray(doubt, np.float32)
    if doubt.ndim != 2 or not doubt.size:
        raise ShapeError(f"a map of doubt is (H, W); this one is {doubt.shape}")
    H, W = doubt.shape
    doubt = np.nan_to_num(doubt)
    most = float(np.percentile(doubt, 99.5)) or float(doubt.max()) or 1.0
    shades = (255 * np.clip(doubt / most, 0, 1)).astype(np.uint8)
    scale = max(1, min(-(-narrowest // W), MAX_SIDE // max(H, W)))
    painted = Image.fromarray(enlarge(_table()[shades], scale))
    width = max(painted.width, narrowest)
    return stacked([painted, _scale_strip(most, width)], width)


def _table() -> np.ndarray:
    return (255 * matplotlib.colormaps[COLORS](np.arange(256))[:, :3] + 0.5).astype(np.uint8)


def _scale_strip(most: float, width: int) -> Image.Image:
    """A bar of the colours between 0 and `most`, and what they mean."""
    size = max(15, round(width / 56))
    font, gap = load_font(size), round(0.6 * size)
    strip = Image.new("RGB", (width, round(2.6 * size) + 3 * gap), PAPER)
    draw = ImageDraw.Draw(strip)
    ends = "0", f"≥ {most:.2g}"
    left, right = gap + 2 * size, width - gap - round(font.getlength(ends[1])) - gap
    bar = Image.fromarray(np.broadcast_to(_table()[None], (1, 256, 3)).copy()).resize((right - left, round(1.3 * size)))
    strip.paste(bar, (left, gap))
    draw.rectangle((left - 1, gap - 1, right, gap + bar.height), outline=EDGE)
    middle = gap + bar.height / 2
    draw.text((left - gap, middle), ends[0], INK, font, anchor="rm")
    draw.text((right + gap, middle), ends[1], INK, font, anchor="lm")
    meaning = "doubt: variance of the probabilities, mean over the classes"
    while text_width(meaning, font) > width - 2 * gap:
        size -= 1
        font = load_font(size)
    draw.text((width / 2, 2 * gap + bar.height + 0.6 * size), meaning, INK, font, anchor="mm")
    return strip
