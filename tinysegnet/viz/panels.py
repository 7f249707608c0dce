"""Complete pictures: a prediction with its legend, and rows of image, ground truth, prediction and errors."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..data.palette import Palette
from .canvas import enlarge, fitted, fitted_size, fitting_scale, resized, stacked, text_row, tiled
from .legend import legend_strip, percent
from .overlay import as_uint8, colour_map, error_picture, is_class, overlay
from .themes import LIGHT, Theme

Compared = tuple[np.ndarray, np.ndarray, np.ndarray, str]  # image, labels, prediction, name
HEADINGS = ("Image", "Ground truth", "Prediction", "Errors (red)")


def labelled_picture(
    image: np.ndarray, labels: np.ndarray, palette: Palette, *, enlargement: int | None = None, narrowest: int = 640
) -> Image.Image:
    """Draw class colours over the picture, and below it the classes that occur, with their shares of the pixels.

    Args:
        image: (H, W, 3), uint8 or float in 0..255.
        labels: (H, W) class numbers.
        enlargement: repeat each pixel this many times along both axes; None makes the picture about 640 pixels wide.
        narrowest: the minimum width of the canvas in pixels. The font size grows with the picture.
    """
    image, labels = as_uint8(image), np.asarray(labels)
    times = fitting_scale(labels.shape, 640, at_least=True) if enlargement is None else enlargement
    painted = Image.fromarray(overlay(enlarge(image, times), enlarge(labels, times), palette))
    width = max(painted.width, narrowest)
    return stacked([painted, Image.fromarray(scaled_legend(palette, width, labels))], width)


def scaled_legend(
    palette: Palette, width: int, labels: np.ndarray | None = None, *, counts: np.ndarray | None = None
) -> np.ndarray:
    """Draw the legend below a picture of this width, with a font that grows with it. See `legend_strip`."""
    return legend_strip(palette, width, labels, counts=counts, font_size=max(15, round(width / 56)))


def overlays_picture(samples: Sequence[Compared], palette: Palette, *, theme: Theme = LIGHT) -> Image.Image:
    """Draw one row of image, ground truth, prediction and errors per sample, and a legend of all classes.

    samples: tuples (image, labels, prediction, name). Each row has the name and the pixel accuracy above it.
    """
    panel, size, gap = 400, 16, 10  # panel width, font size, and gap between panels
    paper, width = theme.paper, 4 * panel + 5 * gap
    middles = [gap + i * (panel + gap) + panel / 2 for i in range(4)]
    headings = [(x, text, theme.ink, "mm") for x, text in zip(middles, HEADINGS, strict=True)]
    rows = [text_row(headings, width, size, paper)]
    for sample in samples:
        name = fitted(sample[3], size, width // 2)
        texts = [(gap, name, theme.ink, "lm"), (width - gap, caption(sample, palette), theme.muted, "rm")]
        panels = [stacked([picture], panel, paper) for picture in compared_panels(sample, palette, panel, 480)]
        rows += [text_row(texts, width, size, paper), tiled(panels, 4, gap, paper),
                 Image.new("RGB", (width, gap), paper)]  # fmt: skip
    return stacked([*rows, Image.fromarray(legend_strip(palette, width, font_size=size, theme=theme))], width, paper)


def compared_panels(sample: Compared, palette: Palette, width: int, height: int) -> list[Image.Image]:
    """Return image, ground truth, prediction and errors as four pictures of one size that fits into width x height.

    They are scaled before they are painted, so that hatching and class boundaries are as fine as the panel allows.
    Labels are scaled by nearest neighbour, since the mean of two class numbers has no meaning.
    """
    size = fitted_size(np.shape(sample[1]), width, height)
    image = scaled_image(as_uint8(sample[0]), size)
    labels, prediction = (resized(np.asarray(array), size) for array in sample[1:3])
    truth, errors = truth_panel(image, labels, palette), error_picture(image, labels, prediction, palette)
    return [Image.fromarray(array) for array in (image, truth, overlay(image, prediction, palette, 0.7), errors)]


def pixel_accuracy(labels: np.ndarray, prediction: np.ndarray, palette: Palette) -> float | None:
    """Return the share of the labelled pixels that are predicted correctly; None if no pixel is labelled."""
    counted = is_class(np.asarray(labels), palette)
    return float((labels == prediction)[counted].mean()) if counted.any() else None


def caption(sample: Compared, palette: Palette) -> str:
    """Return the text beside a sample's name: the share of its labelled pixels that are correctly predicted."""
    accuracy = pixel_accuracy(sample[1], sample[2], palette)
    return "no labelled pixels" if accuracy is None else f"{percent(accuracy)} of pixels correct"


def scaled_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a uint8 picture to `size` = (W, H); strongly enlarged pixels stay square."""
    method = Image.Resampling.NEAREST if size[0] > 2 * image.shape[1] else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize(size, method))


def truth_panel(image: np.ndarray, labels: np.ndarray, palette: Palette) -> np.ndarray:
    """Paint labels over the picture in the same way as a prediction, with unlabelled pixels hatched."""
    void = ~is_class(labels, palette)[..., None]
    return np.where(void, colour_map(labels, palette), overlay(image, labels, palette, 0.7))
