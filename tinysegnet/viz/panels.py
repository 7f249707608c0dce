"""Whole pictures to look at: a prediction with its legend, and rows of image, truth, prediction and errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from ..data.palette import Palette
from ..data.sample import Sample
from .figures import figure_of
from .legend import INK, MUTED, PAPER, legend_strip, load_font, percent, text_width
from .overlay import as_uint8, colour_map, error_picture, is_class, overlay

__all__ = ["Compared", "compared_panels", "labelled_picture", "overlays_figure", "overlays_picture", "pixel_accuracy"]

Compared = tuple[np.ndarray, np.ndarray, np.ndarray, str]  # image, labels, prediction, name
HEADINGS = ("Image", "Truth", "Prediction", "Errors (red)")
MAX_SIDE = 2400  # a picture is not enlarged beyond this many pixels: a 1 x 600 strip would become a wall


def labelled_picture(
    image: np.ndarray,
    labels: np.ndarray,
    palette: Palette,
    *,
    alpha: float = 0.5,
    scale: int | None = None,
    narrowest: int = 640,
) -> Image.Image:
    """The picture with class colours over it, and below it the classes that occur with their share of the pixels.

    scale: enlarge by this whole number (nearest neighbour, so pixels stay exact); None: as much as it takes to be
    640 pixels wide. The lettering grows with the picture; the canvas is never narrower than `narrowest`.
    """
    image, labels = as_uint8(image), np.asarray(labels)
    H, W = labels.shape[:2]
    if scale is None:
        scale = max(1, min(-(-640 // W), MAX_SIDE // max(H, W)))
    painted = Image.fromarray(overlay(enlarge(image, scale), enlarge(labels, scale), palette, alpha))
    width = max(painted.width, narrowest)
    legend = legend_strip(palette, width, labels, font_size=max(15, round(width / 56)))
    return stacked([painted, Image.fromarray(legend)], width)


def overlays_picture(samples: Sequence[Compared], palette: Palette, *, panel_width: int = 400) -> Image.Image:
    """Rows of image | truth | prediction | errors, each with its name and pixel accuracy, and a legend of all classes.

    samples: tuples (image, labels, prediction, name). Every panel is scaled to panel_width pixels (narrower if the
    picture is very tall).
    """
    size, gap = max(12, panel_width // 25), max(6, panel_width // 40)
    width = 4 * panel_width + 5 * gap
    rows = [_headings(width, panel_width, gap, size)]
    rows += [_compared_row(sample, palette, width, panel_width, gap, size) for sample in samples]
    rows += [Image.fromarray(legend_strip(palette, width, font_size=size))]
    return stacked(rows, width)


def overlays_figure(samples: Sequence[Compared], palette: Palette) -> Figure:
    """`overlays_picture` as a matplotlib figure."""
    return figure_of(overlays_picture(samples, palette))


def show_labels(labels: np.ndarray, palette: Palette) -> Figure:
    """A label map in colours, unlabelled pixels hatched, with the classes in it and their shares."""
    labels = np.asarray(labels)
    panel = Image.fromarray(colour_map(enlarge(labels, _fitting_scale(labels, 480)), palette))
    width = max(panel.width, 480)
    return figure_of(stacked([panel, Image.fromarray(legend_strip(palette, width, labels))], width))


def show_sample(sample: Sample, palette: Palette) -> Figure:
    """A sample's picture and its label map side by side, with name and legend."""
    scale = _fitting_scale(sample.labels, 400)
    image = Image.fromarray(enlarge(as_uint8(sample.image), scale))
    labels = Image.fromarray(colour_map(enlarge(sample.labels, scale), palette))
    width = max(2 * image.width + 8, 480)
    H, W = sample.labels.shape
    title = _text_row([(0, fitted(sample.name, 14, width - 120), INK), (width, f"{H} x {W}", MUTED)], width, 14)
    legend = Image.fromarray(legend_strip(palette, width, sample.labels))
    return figure_of(stacked([title, _side_by_side([image, labels], 8), legend], width))


def compared_panels(sample: Compared, palette: Palette, width: int, height: int) -> list[Image.Image]:
    """Image, truth, prediction and errors as four pictures of one size, as large as fits into width x height.

    Scaled first and painted then, so that hatching and class boundaries are as fine as the panel allows. Labels are
    scaled by nearest neighbour: between classes 2 and 4 there is no class 3.
    """
    image, labels, prediction = as_uint8(sample[0]), np.asarray(sample[1]), np.asarray(sample[2])
    H, W = labels.shape
    size = fitted_size((H, W), width, height)
    image = np.asarray(Image.fromarray(image).resize(size, _nearest if size[0] > 2 * W else Image.Resampling.LANCZOS))
    labels, prediction = resized(labels, size), resized(prediction, size)
    arrays = (
        image,
        truth_panel(image, labels, palette),
        overlay(image, prediction, palette, 0.7),
        error_picture(image, labels, prediction, palette),
    )
    return [Image.fromarray(array) for array in arrays]


def pixel_accuracy(labels: np.ndarray, prediction: np.ndarray, palette: Palette) -> float | None:
    """Share of the labelled pixels that are predicted right; None if no pixel is labelled."""
    counted = is_class(np.asarray(labels), palette)
    return float((labels == prediction)[counted].mean()) if counted.any() else None


def fitted_size(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """(W, H) of a picture of `size` = (H, W) that is made as large as fits into width x height."""
    factor = min(width / size[1], height / size[0])
    return max(1, round(size[1] * factor)), max(1, round(size[0] * factor))


def caption(sample: Compared, palette: Palette) -> str:
    """What stands beside a sample's name: how many of its labelled pixels are right."""
    accuracy = pixel_accuracy(sample[1], sample[2], palette)
    return "no labelled pixels" if accuracy is None else f"{percent(accuracy)} of pixels right"


def enlarge(array: np.ndarray, scale: int) -> np.ndarray:
    """Every pixel scale x scale times: (H, W, ...) -> (scale H, scale W, ...)."""
    return array.repeat(scale, axis=0).repeat(scale, axis=1)


_nearest = Image.Resampling.NEAREST


def truth_panel(image: np.ndarray, labels: np.ndarray, palette: Palette) -> np.ndarray:
    """The labels over the picture as strongly as the prediction's, and hatching where there are none."""
    void = ~is_class(labels, palette)[..., None]
    return np.where(void, colour_map(labels, palette), overlay(image, labels, palette, 0.7))


def resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest neighbour to `size` = (W, H), for class numbers of any integer dtype: that at each new pixel's centre."""
    (W, H), (h, w) = size, labels.shape
    rows, columns = (2 * np.arange(H) + 1) * h // (2 * H), (2 * np.arange(W) + 1) * w // (2 * W)
    return labels[rows[:, None], columns]


def _fitting_scale(labels: np.ndarray, width: int) -> int:
    return max(1, min(width // labels.shape[1], MAX_SIDE // max(labels.shape)))


def _compared_row(sample: Compared, palette: Palette, width: int, panel_width: int, gap: int, size: int) -> Image.Image:
    """The four panels with a line above them: the name on the left, the accuracy over the last panel."""
    panels = compared_panels(sample, palette, panel_width, round(1.2 * panel_width))
    right = width - gap
    note = caption(sample, palette)
    name = fitted(sample[3], size, width // 2)
    text = _text_row([(gap, name, INK), (right, note, MUTED)], width, size)
    row = Image.new("RGB", (width, text.height + panels[0].height + gap), PAPER)
    row.paste(text, (0, 0))
    for i, panel in enumerate(panels):
        row.paste(panel, (gap + i * (panel_width + gap) + (panel_width - panel.width) // 2, text.height))
    return row


def _headings(width: int, panel_width: int, gap: int, size: int) -> Image.Image:
    font = load_font(size)
    row = Image.new("RGB", (width, 2 * size), PAPER)
    for i, heading in enumerate(HEADINGS):
        x = gap + i * (panel_width + gap) + panel_width / 2
        ImageDraw.Draw(row).text((x, 1.2 * size), heading, INK, font, anchor="mm")
    return row


def _text_row(texts: list[tuple[int, str, tuple[int, int, int]]], width: int, size: int) -> Image.Image:
    """One line of text: (x, text, colour); a text in the right half ends at its x, others start there."""
    row = Image.new("RGB", (width, round(1.9 * size)), PAPER)
    for x, text, color in texts:
        anchor = "rm" if x > width / 2 else "lm"
        ImageDraw.Draw(row).text((x, 1.05 * size), text, color, load_font(size), anchor=anchor)
    return row


def fitted(text: str, size: int, room: int) -> str:
    """The text on one line, its middle left out if it is wider than `room`: the end of a path says more."""
    font, text = load_font(size), " ".join(text.split())
    if text_width(text, font) <= room:
        return text
    for keep in range(len(text) - 1, 0, -1):
        shortened = f"{text[: keep // 3]}…{text[len(text) - (keep - keep // 3) :]}"
        if text_width(shortened, font) <= room:
            return shortened
    return "…"


def stacked(pictures: Sequence[Image.Image], width: int) -> Image.Image:
    """One below the other, each centred."""
    canvas = Image.new("RGB", (width, sum(p.height for p in pictures)), PAPER)
    y = 0
    for picture in pictures:
        canvas.paste(picture, ((width - picture.width) // 2, y))
        y += picture.height
    return canvas


def _side_by_side(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    width = sum(p.width for p in pictures) + gap * (len(pictures) - 1)
    canvas = Image.new("RGB", (width, max(p.height for p in pictures)), PAPER)
    x = 0
    for picture in pictures:
        canvas.paste(picture, (x, 0))
        x += picture.width + gap
    return canvas
