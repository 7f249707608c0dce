"""Looking into data and at the mistakes of a network: what is in a batch, which pictures go worst."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..data.palette import Palette
from ..data.sample import Dataset
from ..errors import SettingError, ShapeError
from ..prediction.predict import predict
from .figures import figure_of
from .legend import PAPER, legend_strip
from .overlay import as_uint8
from .panels import Compared, fitted_size, overlays_figure, pixel_accuracy, resized, stacked, truth_panel

__all__ = ["show_batch", "show_worst"]


def show_batch(images: np.ndarray, labels: np.ndarray, palette: Palette, *, columns: int = 4) -> Figure:
    """A batch as the network gets it: every picture with its labels painted over it below, unlabelled pixels hatched.

    images: (N, H, W, 3), uint8 or float in 0..255. labels: (N, H, W). columns: at most so many side by side.
    Below stand the classes that occur, with their shares of the batch. Raises ShapeError.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or labels.shape != images.shape[:3] or len(images) == 0:
        raise ShapeError(f"a batch to show is (N, H, W, 3) with labels (N, H, W), got {images.shape}, {labels.shape}")
    columns = max(1, min(columns, len(images)))
    size = fitted_size(images.shape[1:3], max(240, 960 // columns), 480)
    tiles = [_tile(*pair, palette, size) for pair in zip(images, labels, strict=True)]
    grid = _grid(tiles, columns, gap=8)
    width = max(grid.width, 480)
    legend = legend_strip(palette, width, labels.reshape(-1, labels.shape[2]))
    return figure_of(stacked([grid, Image.fromarray(legend)], width))


def show_worst(model: Any, data: Dataset, *, count: int = 4, progress: Any = iter, **prediction: Any) -> Figure:
    """The pictures with the smallest share of labelled pixels right, worst first: image, truth, prediction, errors.

    model: a network. count: how many pictures. progress: wraps the loop over the data, such as tqdm. prediction: size,
    mirror and scales, as for `predict`; those of a checkpoint are its `prediction`. Raises SettingError if count is
    below 1.
    """
    return overlays_figure(worst(model, data, count=count, progress=progress, **prediction), data.palette)


def worst(model: Any, data: Dataset, *, count: int = 4, progress: Any = iter, **prediction: Any) -> list[Compared]:
    """What `show_worst` shows: (image, labels, prediction, name), worst first; unlabelled pictures are left out."""
    if count < 1:
        raise SettingError(f"count {count} (expected at least 1 picture). Ask for one or more")
    scored = (_scored(model, data, i, prediction) for i in range(len(data)))
    kept: list[tuple[float, int, Compared]] = []  # never more pictures in memory than are asked for
    for accuracy, index, compared in _only_labelled(progress(scored)):
        heapq.heappush(kept, (-accuracy, -index, compared))
        if len(kept) > count:
            heapq.heappop(kept)
    return [compared for _, _, compared in sorted(kept, key=lambda entry: entry[:2], reverse=True)]


def _scored(model: Any, data: Dataset, index: int, how: dict[str, Any]) -> tuple[float | None, int, Compared]:
    sample = data[index]
    predicted = predict(model, sample.image, **how)
    accuracy = pixel_accuracy(sample.labels, predicted, data.palette)
    return accuracy, index, (sample.image, sample.labels, predicted, sample.name)


def _only_labelled(scored: Iterable[tuple[float | None, int, Compared]]) -> Iterable[tuple[float, int, Compared]]:
    return ((accuracy, index, compared) for accuracy, index, compared in scored if accuracy is not None)


def _tile(image: np.ndarray, labels: np.ndarray, palette: Palette, size: tuple[int, int]) -> Image.Image:
    """A picture above its labels, both (W, H) = size; few large pixels stay pixels."""
    whole = Image.fromarray(as_uint8(image))
    method = Image.Resampling.NEAREST if size[0] > 2 * whole.width else Image.Resampling.LANCZOS
    shown = whole.resize(size, method)
    painted = truth_panel(np.asarray(shown), resized(labels, size), palette)
    return stacked([shown, Image.fromarray(painted)], size[0])


def _grid(tiles: list[Image.Image], columns: int, gap: int) -> Image.Image:
    """Tiles of one size in rows, with a gap between them; the last row may be shorter."""
    W, H = tiles[0].size
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGB", (columns * (W + gap) - gap, rows * (H + gap)), PAPER)
    for i, tile in enumerate(tiles):
        canvas.paste(tile, (i % columns * (W + gap), i // columns * (H + gap)))
    return canvas
