"""A picture of a network's uncertainty at each pixel, with a colour scale."""

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from ..errors import ShapeError
from .canvas import EDGE, enlarge, fitting_scale, load_font, stacked, text_width
from .themes import LIGHT

MEANING = "uncertainty: variance of the class probabilities, averaged over the classes"


def uncertainty_picture(uncertainty: np.ndarray, *, narrowest: int = 480) -> Image.Image:
    """Draw a network's uncertainty at each pixel, from dark (certain) to bright (uncertain), with a scale below.

    Args:
        uncertainty: (H, W), for example the variance of sampled probabilities. Colours saturate at the 99.5th
            percentile, or at the maximum if that percentile is 0.
        narrowest: the minimum width of the canvas in pixels.

    Raises ShapeError if the array is empty or not (H, W).
    """
    uncertainty = np.asarray(uncertainty, np.float32)
    if uncertainty.ndim != 2 or not uncertainty.size:
        raise ShapeError(f"an uncertainty map must be a non-empty array (H, W), not {uncertainty.shape}")
    uncertainty = np.nan_to_num(uncertainty)
    most = float(np.percentile(uncertainty, 99.5)) or float(uncertainty.max()) or 1.0
    scale = fitting_scale(uncertainty.shape, narrowest, at_least=True)
    painted = Image.fromarray(enlarge(_colored(uncertainty / most), scale))
    width = max(painted.width, narrowest)
    return stacked([painted, _scale_strip(most, width)], width)


def _colored(values: np.ndarray) -> np.ndarray:
    """Convert values 0..1, (H, W), to colours, (H, W, 3) uint8."""
    return matplotlib.colormaps["inferno"](values, bytes=True)[..., :3]


def _scale_strip(most: float, width: int) -> Image.Image:
    """Draw a colour bar from 0 to `most`, with its meaning below."""
    size = max(15, round(width / 56))
    font, gap = load_font(size), round(0.6 * size)
    strip = Image.new("RGB", (width, round(2.6 * size) + 3 * gap), LIGHT.paper)
    draw = ImageDraw.Draw(strip)
    least, largest = "0", f"≥ {most:.2g}"
    left, right, height = gap + 2 * size, width - 2 * gap - round(font.getlength(largest)), round(1.3 * size)
    bar = _colored(np.linspace(0, 1, right - left)[None])
    strip.paste(Image.fromarray(bar.repeat(height, axis=0)), (left, gap))
    draw.rectangle((left - 1, gap - 1, right, gap + height), outline=EDGE)
    middle = gap + height / 2
    draw.text((left - gap, middle), least, LIGHT.ink, font, anchor="rm")
    draw.text((right + gap, middle), largest, LIGHT.ink, font, anchor="lm")
    while text_width(MEANING, font) > width - 2 * gap:
        size -= 1
        font = load_font(size)
    draw.text((width / 2, 2 * gap + height + 0.6 * size), MEANING, LIGHT.ink, font, anchor="mm")
    return strip
