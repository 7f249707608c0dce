"""Scoring a network on a labelled data set."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..data import Dataset, Sample, check_dataset, labelled_images, read_sample
from ..errors import DataError
from ..metrics import Collector, Scores, baselines
from ..models import Network, check_network
from ..runtime.distributed import Communicator
from ..runtime.progress import track
from .predict import Scales, Size, one_minus_msp, predict, predict_with_uncertainty


def evaluate(
    model: Network,
    data: Dataset,
    *,
    size: Size | None = None,
    mirror: bool = False,
    scales: Scales = (1.0,),
    boundary: bool = False,
    samples: int | None = None,
    rng: np.random.Generator | None = None,
    progress: Any = iter,
    communicator: Communicator | None = None,
) -> Scores:
    """Predict every picture of a data set and compare the result with its labels, at the resolution of the labels.

    Args:
        size, mirror, scales: as for `predict`. If `samples` is given, mirror and scales are ignored.
        boundary: also compute the boundary score BF, which takes about 0.1 s per picture of 360x480.
        samples: for a network with dropout, average this many samples, and measure how well their variance
            distinguishes wrong predictions from correct ones, compared with the maximum softmax probability of one pass
            (Hendrycks and Gimpel 2017).
        rng: the random generator for confidence intervals, see `metrics.bootstrap_intervals`; None skips them.
        progress: a function that wraps the loop, such as tqdm.
        communicator: connects the processes that share the pictures. All of them get the same scores.

    Raises:
        DataError: data and network have different numbers of classes, or a sample is malformed.
        SettingError: a setting is out of range, or `samples` is given for a network without dropout.
    """
    palette = check_dataset(data).palette
    if check_network(model).num_classes != palette.num_classes:
        wrong = f"{data.name} has {palette.num_classes} classes, but the network predicts {model.num_classes}"
        raise DataError(f"{wrong}. Choose data and a checkpoint that belong together.")
    collector = Collector(palette.num_classes, palette.ignore_label, boundary=boundary)
    ranks = communicator or Communicator()
    for sample in progress(_own_samples(data, ranks)):
        if sample is None:
            continue
        if samples is None:
            collector.add(sample.labels, predict(model, sample.image, size=size, mirror=mirror, scales=scales))
        else:
            labels, uncertainty = predict_with_uncertainty(model, sample.image, samples=samples, size=size)
            msp = one_minus_msp(model, sample.image, size)
            collector.add(sample.labels, labels, uncertainty=uncertainty, MSP=msp)
    return Collector.interleaved(ranks.allgather(collector)).scores(palette.names, rng=rng)


def _own_samples(data: Dataset, ranks: Communicator) -> Iterator[Sample | None]:
    """Yield each `size`-th sample, and None if only other ranks have one, so that all have equally many passes."""
    for first in range(0, len(data), ranks.size):
        index = first + ranks.rank
        yield read_sample(data, index) if index < len(data) else None


def evaluate_baselines(train: Dataset, val: Dataset, method: Callable[..., Any] = baselines) -> Any:
    """Score `metrics.baselines`, or one of them, on `val` after fitting on `train`, and show the progress."""
    fitted = labelled_images(train, progress=track("computing the baselines"))
    scored = labelled_images(val, progress=track("scoring the baselines"))
    return method(fitted, scored, val.palette.names, val.palette.ignore_label)
