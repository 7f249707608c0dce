"""The loss that a recipe chooses, with the class weights of the training data."""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

from ..data import Dataset
from ..data.class_weights import count_pixels, median_frequency_weights, sqrt_median_frequency_weights
from ..errors import SettingError
from ..models import Network
from ..ops import DICE_LOSS, FOCAL_LOSS, SIGMOID_CROSS_ENTROPY, SOFTMAX_CROSS_ENTROPY, dice_of_parts, dice_parts
from ..runtime.distributed import Communicator, SplitBatch
from ..runtime.progress import track
from .recipes import Recipe

_WEIGHTS = {"median_frequency": median_frequency_weights, "sqrt_median_frequency": sqrt_median_frequency_weights}


def check_loss_fits(model: Network, recipe: Recipe) -> None:
    """Raise SettingError if the network cannot use the recipe's loss or its class weights."""
    if isinstance(recipe.class_weights, tuple) and len(recipe.class_weights) != model.num_classes:
        raise SettingError(f"class_weights: {len(recipe.class_weights)} given for {model.num_classes} classes. Give "
                           "one number per class.")  # fmt: skip
    if model.config["num_classes"] == 1 and (recipe.loss != "cross_entropy" or recipe.label_smoothing):
        setting = "label_smoothing" if recipe.loss == "cross_entropy" else f"loss {recipe.loss}"
        raise SettingError(f"{setting}: {model.config['name']} has a single logit for two classes, which allows only "
                           "the cross-entropy without smoothing. Choose another network.")  # fmt: skip


class TrainingLoss:
    """The loss of a recipe, one op or the sum of two. `guess` is its value for equal probabilities of all classes."""

    def __init__(self, model: Network, data: Dataset, recipe: Recipe, communicator: Communicator | None = None) -> None:
        K, e, loss = max(2, data.palette.num_classes), recipe.label_smoothing, recipe.loss
        self._num_classes = K
        self.class_weights: np.ndarray | None = None
        entropy, self.guess, self._terms = math.log(K), 0.0, list[tuple[Callable, Callable]]()
        if recipe.class_weights != "none":
            given, progress = recipe.class_weights, track("computing class weights")
            counts = count_pixels(data, progress=progress, communicator=communicator)
            weights = np.array(given) if isinstance(given, tuple) else _WEIGHTS[given](counts)
            if not weights[counts.pixels > 0].any():
                raise SettingError(f"class_weights: {data.name} shows only classes of weight 0, so nothing would be "
                                   "learned. Give one of them a weight above 0.")  # fmt: skip
            self.class_weights = weights
            entropy *= (1 - e) * float(np.average(weights, weights=counts.pixels)) + e * float(weights.mean())
        settings: dict[str, Any] = {"class_weights": self.class_weights}
        if loss == "focal":
            self._terms.append((partial(FOCAL_LOSS.forward, gamma=recipe.focal_gamma, **settings), FOCAL_LOSS.backward))
            self.guess += entropy * (1 - 1 / K) ** recipe.focal_gamma
        if loss.startswith("cross_entropy"):
            op = SIGMOID_CROSS_ENTROPY if model.config["num_classes"] == 1 else SOFTMAX_CROSS_ENTROPY
            smoothing = {"label_smoothing": e} if e else {}  # the sigmoid's cross-entropy has no such setting
            self._terms.append((partial(op.forward, **settings, **smoothing), op.backward))
            self.guess += entropy
        if loss.endswith("dice"):
            self._terms.append((DICE_LOSS.forward, DICE_LOSS.backward))
            self.guess += 1  # the largest value, a little more than that of guessing

    def forward(self, logits: np.ndarray, labels: np.ndarray, ignore_label: int | None) -> tuple[float, list[Any]]:
        """Return the loss and, for `backward`, a cache for each term."""
        losses, caches = zip(*(forward(logits, labels, ignore_label=ignore_label) for forward, _ in self._terms),
                             strict=True)  # fmt: skip
        return float(sum(losses)), list(caches)

    def backward(self, caches: list[Any]) -> np.ndarray:
        """Return the gradient of the loss with respect to the logits."""
        gradients = (backward(1.0, cache) for (_, backward), cache in zip(self._terms, caches, strict=True))
        return reduce(np.add, gradients)

    def of_pictures(self, logits: list[np.ndarray], labels: np.ndarray, ignore_label: int | None,
                    batch: SplitBatch) -> tuple[float, list[np.ndarray]]:  # fmt: skip
        """Return the loss of the whole batch, and the gradients of the logits of each picture of this rank.

        A mean over labelled pixels is the sum of the pictures' means, weighted with their shares of these pixels.
        """
        counts = [np.array([np.count_nonzero(own != ignore_label)]) for own in labels]
        divisor = max(1, batch.total(counts, np.empty(1, np.int64))[0])
        loss, gradients = 0.0, []
        for forward, backward in self._terms:
            losses, caches = [], list[Any]()
            for x, y in zip(logits, labels, strict=True):
                own, cache = forward(x, y[None], ignore_label=ignore_label)
                losses.append(own)
                caches.append(cache)
            shares = [float(count[0] / divisor) for count in counts]
            if forward is DICE_LOSS.forward:  # a ratio of sums over the batch
                total = batch.total([dice_parts(cache) for cache in caches], np.empty((3, self._num_classes)))
                value, fields = dice_of_parts(total)
                shares, caches = [1.0] * len(caches), [cache._replace(**fields) for cache in caches]
            else:
                weighted = [np.array([share * float(own)]) for share, own in zip(shares, losses, strict=True)]
                value = batch.total(weighted, np.empty(1))[0]
            loss += float(value)
            gradients.append([backward(share, cache) for share, cache in zip(shares, caches, strict=True)])
        return loss, [reduce(np.add, terms) for terms in zip(*gradients, strict=True)]
