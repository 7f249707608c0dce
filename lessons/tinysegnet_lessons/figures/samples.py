"""Pictures of data and of a network's mistakes, such as a batch or the worst predictions."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tinysegnet.data.palette import Palette
from tinysegnet.data.sample import Dataset, Sample
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.prediction.predict import predict
from tinysegnet.viz.canvas import (
    INK,
    MUTED,
    enlarge,
    fitted,
    fitted_size,
    fitting_scale,
    resized,
    stacked,
    text_row,
    tiled,
)
from tinysegnet.viz.figures import NotebookFigure
from tinysegnet.viz.legend import legend_strip
from tinysegnet.viz.overlay import as_uint8, colour_map
from tinysegnet.viz.panels import Compared, overlays_picture, pixel_accuracy, scaled_image, truth_panel

__all__ = ["overlays_figure", "show_batch", "show_labels", "show_sample", "show_worst"]


def show_labels(labels: np.ndarray, palette: Palette) -> Figure:
    """Draw a label map (H, W) in colours, with its classes and their shares; unlabelled pixels are hatched."""
    labels = np.asarray(labels)
    panel = colour_map(enlarge(labels, fitting_scale(labels.shape, 480)), palette)
    return _with_legend(Image.fromarray(panel), labels, palette)


def show_sample(sample: Sample, palette: Palette) -> Figure:
    """Draw a sample's picture and its label map side by side, with name and legend."""
    scale = fitting_scale(sample.labels.shape, 400)
    panels = enlarge(as_uint8(sample.image), scale), colour_map(enlarge(sample.labels, scale), palette)
    pair = tiled([Image.fromarray(panel) for panel in panels], 2, gap=8)
    width = max(pair.width, 480)
    H, W = sample.labels.shape
    texts = [(0, fitted(sample.name, 14, width - 120), INK, "lm"), (width, f"{H} x {W}", MUTED, "rm")]
    return _with_legend(stacked([text_row(texts, width, 14), pair], width), sample.labels, palette)


def overlays_figure(samples: Sequence[Compared], palette: Palette) -> Figure:
    """Return `overlays_picture` as a matplotlib figure."""
    return _figure_of(overlays_picture(samples, palette))


def show_batch(images: np.ndarray, labels: np.ndarray, palette: Palette, *, columns: int = 4) -> Figure:
    """Draw a batch as the network gets it: each picture, and below it the same picture with a label overlay.

    Unlabelled pixels are hatched. The classes that occur are listed below, with their shares of the batch.

    Args:
        images: (N, H, W, 3), uint8 or float in 0..255.
        labels: (N, H, W) class numbers.
        columns: largest number of pictures side by side.

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
    return _with_legend(tiled(tiles, columns, gap=8), labels.reshape(-1, labels.shape[2]), palette)


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


def _with_legend(picture: Image.Image, labels: np.ndarray, palette: Palette) -> Figure:
    """Return the picture as a figure, above the classes that occur in labels (H, W), with their shares."""
    width = max(picture.width, 480)
    return _figure_of(stacked([picture, Image.fromarray(legend_strip(palette, width, labels))], width))


def _figure_of(picture: Image.Image) -> NotebookFigure:
    """Create a figure that shows this picture pixel for pixel, without margins."""
    figure = NotebookFigure(figsize=(picture.width / 100, picture.height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.asarray(picture), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return figure
