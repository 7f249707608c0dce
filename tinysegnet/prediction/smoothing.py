"""Prediction of the frames of a video, with probabilities that are averaged over time."""

from pathlib import Path

import numpy as np

from ..ops import softmax_forward
from .predict import _largest, _sample, _working_logits, predict
from .segment_files import Segmenter


class SmoothedPrediction:
    """Predicts one frame after the other, with p(t) = weight p(t - 1) + (1 - weight) p(frame t).

    Here p(frame t) are the probabilities of the classes, at the resolution of the network's output. The average starts
    with the first frame, and again if the size of the frames changes. It continues over cuts.

    Args:
        path: the video, for errors.
        weight: 0 <= weight < 1. With weight 0, the labels are those of `predict`.
    """

    def __init__(self, segmenter: Segmenter, path: Path, weight: float) -> None:
        self.segmenter, self.path, self.weight = segmenter, path, weight
        self._mean = np.empty(0)

    def labels(self, image: np.ndarray) -> np.ndarray:
        """Return the label map (H, W) uint8 of the next frame (H, W, 3) uint8: the class with the largest average.

        Raises SettingError if the network would need too much memory.
        """
        model, settings = self.segmenter.checkpoint.model, self.segmenter.settings
        size, tile = self.segmenter.input_size(self.path, image.shape[:2])
        if settings.samples is not None:
            now = _sample(model, image, settings.samples, 0, size)[0]
        elif self.weight:
            now = softmax_forward(_working_logits(model, image, size, tile=tile, **settings.averaging))[0]
        else:
            return predict(model, image, size=size, tile=tile, **settings.averaging)
        past = self._mean if self._mean.shape == now.shape else now
        self._mean = self.weight * past + (1 - self.weight) * now
        return _largest(self._mean, image.shape[:2])
