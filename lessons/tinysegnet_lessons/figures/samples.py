"""Pictures of data and of a network's mistakes, such as a batch or the worst predictions."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from tinysegnet.data.palette import Palette
from tinysegnet.data.sample import Dataset, Sample
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.prediction.predict import predict
from tinysegnet.viz.canvas import (
    enlarge,
    fitted,
    fitted_size,
    fitting_scale,
    load_font,
    resized,
    stacked,
    text_row,
    text_width,
    tiled,
)
from tinysegnet.viz.figures import LIGHT, NotebookFigure, Theme, both_themes
from tinysegnet.viz.legend import class_name, legend_strip, listed
from tinysegnet.viz.overlay import as_uint8, class_boundaries, colour_map
from tinysegnet.viz.panels import Compared, caption, overlays_picture, pixel_accuracy, scaled_image, truth_panel
from tinysegnet.viz.themes import readable

__all__ = ["overlays_figure", "show_batch", "show_labels", "show_picture", "show_sample", "show_worst"]


def show_picture(picture: Image.Image, alt: str, *, width: int = 512) -> Figure:
    """Show a picture enlarged to at most `width` pixels; `alt` says what it shows, for readers who do not see it."""
    figure = _figure_of(Image.fromarray(enlarge(np.asarray(picture.convert("RGB")), max(1, width // picture.width))))
    figure.alt = alt
    return figure


@both_themes
def show_labels(labels: np.ndarray, palette: Palette, *, rest: str = "not labelled", theme: Theme = LIGHT) -> Figure:
    """Draw a label map (H, W) in colours, with outlines, the names of large areas, and the classes with their shares.

    The rest, pixels without a class, is hatched; `rest` is its name in the legend.
    """
    labels = np.asarray(labels)
    panel = named_map(enlarge(labels, fitting_scale(labels.shape, 480)), palette)
    return _with_legend(panel, labels, palette, "Label map", theme, rest)


def named_map(labels: np.ndarray, palette: Palette) -> Image.Image:
    """Paint labels (H, W) with dark outlines between areas, and write the names of classes where they fit.

    Some class colours look alike to colour-blind readers.
    """
    panel = colour_map(labels, palette)
    edges = class_boundaries(labels)
    panel[edges] = panel[edges] * 0.45
    from scipy.ndimage import distance_transform_cdt, minimum_filter  # imported here because it is slow to import

    picture, font = Image.fromarray(panel), load_font(12)
    for k in range(palette.num_classes):
        name, inside = class_name(palette, k), labels == k
        free = minimum_filter(inside, (18, text_width(name, font) + 6), mode="constant")  # centres of fitting boxes
        if free.any():
            depth = distance_transform_cdt(np.pad(inside, 1))[1:-1, 1:-1]
            y, x = np.unravel_index(int(np.where(free, depth, -1).argmax()), depth.shape)
            ink = readable(np.array(palette.colors[k]) / 255, LIGHT)
            ImageDraw.Draw(picture).text((int(x), int(y)), name, ink, font, anchor="mm")
    return picture


@both_themes
def show_sample(sample: Sample, palette: Palette, *, theme: Theme = LIGHT) -> Figure:
    """Draw a sample's picture and its label map as in `show_labels` side by side, with name and legend."""
    ink, muted, paper = theme.ink, theme.muted, theme.paper
    scale = fitting_scale(sample.labels.shape, 400)
    panels = Image.fromarray(enlarge(as_uint8(sample.image), scale)), named_map(enlarge(sample.labels, scale), palette)
    pair = tiled(panels, 2, 8, paper)
    width = max(pair.width, 480)
    H, W = sample.labels.shape
    texts = [(0, fitted(sample.name, 14, width - 120), ink, "lm"), (width, f"{H} x {W}", muted, "rm")]
    picture = stacked([text_row(texts, width, 14, paper), pair], width, paper)
    return _with_legend(picture, sample.labels, palette, f"Picture {sample.name} and its label map", theme)


@both_themes
def overlays_figure(samples: Sequence[Compared], palette: Palette, *, theme: Theme = LIGHT) -> Figure:
    """Return `overlays_picture` as a matplotlib figure."""
    figure = _figure_of(overlays_picture(samples, palette, theme=theme))
    told = (f"{' '.join(sample[3].split())}, {caption(sample, palette)}" for sample in samples)
    figure.alt = f"Image, ground truth, prediction and errors, in rows: {'; '.join(told)}"
    return figure


@both_themes
def show_batch(
    images: np.ndarray, labels: np.ndarray, palette: Palette, *, columns: int = 4, theme: Theme = LIGHT
) -> Figure:
    """Draw a batch as the network gets it: each picture, and below it the same picture with a label overlay.

    Unlabelled pixels are hatched. The classes that occur are listed below, with their shares of the batch.

    Args:
        images: (N, H, W, 3), uint8 or float in 0..255.
        labels: (N, H, W) class numbers.
        columns: largest number of pictures side by side.
        theme: colours.

    Raises:
        ShapeError: If the shapes differ, or the batch is empty.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or labels.shape != images.shape[:3] or len(images) == 0:
        raise ShapeError(f"a batch must be (N, H, W, 3) with labels (N, H, W), got {images.shape}, {labels.shape}")
    columns = max(1, min(columns, len(images)))
    size = fitted_size(images.shape[1:3], max(240, 960 // columns), 480)
    tiles = []
    for image, map_ in zip(images, labels, strict=True):
        shown = scaled_image(as_uint8(image), size)
        painted = truth_panel(shown, resized(map_, size), palette)
        tiles.append(stacked([Image.fromarray(shown), Image.fromarray(painted)], size[0]))
    picture, told = tiled(tiles, columns, 8, theme.paper), f"Batch of {len(images)} pictures with their labels"
    return _with_legend(picture, labels.reshape(-1, labels.shape[2]), palette, told, theme)


def show_worst(model: Any, data: Dataset, *, count: int = 4, progress: Any = iter, **prediction: Any) -> Figure:
    """Draw the pictures with the smallest share of right pixels, worst first: image, truth, prediction, errors.

    Args:
        progress: wraps the loop over the data, such as tqdm.
        prediction: size, mirror and scales, as for `predict`; a checkpoint has them in its `prediction`.

    Raises:
        SettingError: If count is below 1.
    """
    return overlays_figure(worst(model, data, count=count, progress=progress, **prediction), data.palette)


def worst(model: Any, data: Dataset, *, count: int = 4, progress: Any = iter, **prediction: Any) -> list[Compared]:
    """Return (image, labels, prediction, name) of the worst labelled pictures, worst first."""
    if count < 1:
        raise SettingError(f"count: {count} must be at least 1")

    def graded() -> Iterator[tuple[float, Compared]]:
        for index in progress(range(len(data))):
            sample = data[index]
            predicted = predict(model, sample.image, **prediction)
            accuracy = pixel_accuracy(sample.labels, predicted, data.palette)
            if accuracy is not None:
                yield accuracy, (sample.image, sample.labels, predicted, sample.name)

    # nsmallest keeps no more pictures in memory than requested.
    return [compared for _, compared in heapq.nsmallest(count, graded(), key=lambda pair: pair[0])]


def _with_legend(picture: Image.Image, labels: np.ndarray, palette: Palette, told: str, theme: Theme,
                 rest: str = "not labelled") -> NotebookFigure:  # fmt: skip
    """Return the picture as a figure, above the classes that occur in labels (H, W), with their shares."""
    width, paper = max(picture.width, 480), theme.paper
    legend = Image.fromarray(legend_strip(palette, width, labels, rest=rest, theme=theme))
    figure = _figure_of(stacked([picture, legend], width, paper))
    classes = (f"{name} {share}" for name, share, _ in listed(palette, labels, rest=rest))
    figure.alt = f"{told}. Shares of the pixels: {', '.join(classes)}"
    return figure


def _figure_of(picture: Image.Image) -> NotebookFigure:
    """Create a figure that shows this picture pixel for pixel, without margins."""
    figure = NotebookFigure(figsize=(picture.width / 100, picture.height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.asarray(picture), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return figure
