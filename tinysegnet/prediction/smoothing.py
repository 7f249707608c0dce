"""Prediction of the frames of a video, with probabilities that are averaged over time."""

from typing import Any

import numpy as np

from ..models import Network
from ..ops import softmax_forward
from .predict import _largest, _sample, _working_logits


class SmoothedPrediction:
    """Predicts one frame after the other, with p(t) = weight p(t - 1) + (1 - weight) p(frame t).

    Here p(frame t) are the probabilities of the classes, at the resolution of the network's output. The average starts
    with the first frame, and again if the size of the frames changes. It continues over cuts.

    Args:
        weight: 0 <= weight < 1. With weight 0, the labels are those of `predict`.
        samples: as for `predict_samples`; None uses one pass without dropout.
        size, averaging: as for `predict`.
    """

    def __init__(
        self, model: Network, weight: float, *, samples: int | None, size: tuple[int, int], **averaging: Any
    ) -> None:
        self.model, self.weight, self.samples, self.size, self.averaging = model, weight, samples, size, averaging
        self._mean = np.empty(0)

    def labels(self, image: np.ndarray) -> np.ndarray:
        """Return the label map (H, W) uint8 of the next frame (H, W, 3) uint8: the class with the largest average."""
        if self.samples is None:
            planes = _working_logits(self.model, image, self.size, **self.averaging)
        else:
            planes = _sample(self.model, image, self.samples, 0, self.size)[0]
        if self.weight:
            now = planes if self.samples else softmax_forward(planes)[0]
            past = self._mean if self._mean.shape == now.shape else now
            planes = self._mean = self.weight * past + (1 - self.weight) * now
        return _largest(planes, image.shape[:2])
