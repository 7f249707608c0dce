"""Layout with Pillow: lines of text, and pictures that are stacked, tiled or enlarged."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .themes import LIGHT

EDGE = 150, 150, 150  # the colour of thin outlines
MAX_SIDE = 2400  # pixels; without this limit an enlarged strip of 1 x 600 pixels would become huge


@lru_cache(maxsize=16)
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which is part of matplotlib, so that text looks the same on every machine."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def text_width(text: str, font: ImageFont.FreeTypeFont) -> int:
    """Return the width of `text` on one line in pixels, rounded up."""
    return int(np.ceil(font.getlength(text)))


def fitted(text: str, size: int, room: int) -> str:
    """Return the text on one line. If it is wider than `room`, omit its middle, as the end of a path matters more."""
    text = shown = " ".join(text.split())
    keep = len(text)
    while keep and text_width(shown, load_font(size)) > room:
        keep -= 1
        shown = f"{text[: keep // 3]}…{text[len(text) - (keep - keep // 3) :]}"
    return shown


def text_row(
    texts: Sequence[tuple[float, str, Any, str]], width: int, size: int, paper: str = LIGHT.paper
) -> Image.Image:
    """Draw one line of texts, each (x, text, colour, Pillow's anchor: "lm" starts at x, "rm" ends there)."""
    row = Image.new("RGB", (width, round(1.9 * size)), paper)
    for x, text, color, anchor in texts:
        ImageDraw.Draw(row).text((x, 1.05 * size), text, color, load_font(size), anchor=anchor)
    return row


def stacked(pictures: Sequence[Image.Image], width: int, paper: str = LIGHT.paper) -> Image.Image:
    """Stack pictures from top to bottom, each centred."""
    canvas = Image.new("RGB", (width, sum(p.height for p in pictures)), paper)
    y = 0
    for picture in pictures:
        canvas.paste(picture, ((width - picture.width) // 2, y))
        y += picture.height
    return canvas


def tiled(tiles: Sequence[Image.Image], columns: int, gap: int, paper: str = LIGHT.paper) -> Image.Image:
    """Arrange pictures of one size in rows, `gap` pixels apart; the last row may be shorter."""
    W, H = tiles[0].size
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGB", (columns * (W + gap) - gap, rows * (H + gap) - gap), paper)
    for i, tile in enumerate(tiles):
        canvas.paste(tile, (i % columns * (W + gap), i // columns * (H + gap)))
    return canvas


def enlarge(array: np.ndarray, scale: int) -> np.ndarray:
    """Repeat every pixel `scale` times along both axes: (H, W, ...) becomes (scale H, scale W, ...)."""
    return array.repeat(scale, axis=0).repeat(scale, axis=1)


def fitting_scale(shape: tuple[int, ...], width: int, *, at_least: bool = False) -> int:
    """Return the integer factor that enlarges (H, W) to a width of at most (or `at_least`) `width` pixels."""
    H, W = shape[:2]
    return max(1, min(-(-width // W) if at_least else width // W, MAX_SIDE // max(H, W)))


def fitted_size(shape: tuple[int, ...], width: int, height: int) -> tuple[int, int]:
    """Return the (W, H) of a picture of shape (H, W) after scaling it to fit into width x height."""
    factor = min(width / shape[1], height / shape[0])
    return max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor))


def resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize labels of any integer dtype to `size` = (W, H): each new pixel gets the class at its centre."""
    return np.asarray(Image.fromarray(labels.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
