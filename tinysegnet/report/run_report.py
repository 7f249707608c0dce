"""The report of a training run, computed from the run folder, the network and the data."""

import re
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..data import Dataset, labelled_images
from ..metrics import Scores
from ..metrics import baselines as compute_baselines
from ..metrics.confusion import averages
from ..models import Network
from ..prediction.predict import predict
from ..runtime.progress import track
from ..training.loop import TrainingResult
from ..training.run_folder import RunFolder, environment
from ..viz.panels import Compared
from ..weights.checkpoint import Checkpoint
from .run_page import RunSummary, write_run_page

REFRESH = '<meta http-equiv="refresh" content="60">'  # in the page of an unfinished run
SHOWN, WORST = 6, 3  # maximum number of validation pictures on the page, and how many of them are the worst


def write_report(run: RunFolder, model: Network, train: Dataset, val: Dataset | None, result: TrainingResult) -> Path:
    """Write curves.png, overlays.png, per_class.png and report.html into the folder of a run, after `fit`.

        run = RunFolder("runs/mine", config, train.palette)
        result = ts.fit(model, train, val, run=run)
        ts.write_report(run, model, train, val, result)

    Warns if a baseline that needs no network has a higher mIoU on `val`.

    Args:
        run: the folder that `fit` has written to; it stays locked while the report is written.
        model: the trained network, which predicts the pictures to show.
        train: the training data, on which the baselines are fitted.
        val: the validation data; None leaves out scores and pictures.
        result: what `fit` returned.

    Returns:
        The path of report.html.

    Raises:
        DataError: if another training run is writing to the folder.
    """
    with run.held(), run.finishing():
        palette = train.palette
        baselines = {}
        if val and (result.scores is None or result.scores.pixels.any()):
            fitted = labelled_images(train, progress=track("computing the baselines"))
            pictures = fitted, labelled_images(val, progress=track("scoring the baselines"))
            baselines = compute_baselines(*pictures, palette.names, palette.ignore_label)
        _compare_with_baselines(result.scores, baselines)
        here = environment()
        title = f"{run.config.get('model', 'network')} on {_without_split(train)}"
        return write_run_page(run.path, RunSummary(
            title, run.config, result.history, result.scores, run.palette, baselines,
            samples=_predicted(run, model, val, result.scores) if val else (), environment=here,
            name=run.path.resolve().name, date=time.strftime("%Y-%m-%d %H:%M"), parameters=model.num_parameters,
            seconds=result.seconds, command=here["command"], data=_described(train, val),
            warning=result.diverged,
        ))  # fmt: skip


def write_unfinished_report(
    run: RunFolder, train: Dataset, val: Dataset | None, history: list[dict[str, float]], status: str
) -> Path:
    """Write curves.png and report.html of a run that goes on, with its `status` in one line. `fit` holds the folder."""
    here = environment()
    title = f"{run.config.get('model', 'network')} on {_without_split(train)}"
    return write_run_page(run.path, RunSummary(
        title, run.config, history, None, run.palette, environment=here, seconds=history[-1]["seconds"],
        command=here["command"], data=_described(train, val), status=status, name=run.path.resolve().name,
    ))  # fmt: skip


def _described(train: Dataset, val: Dataset | None) -> str:
    """Describe the data, for example as "my streets: 10 training pictures, 2 validation pictures"."""
    counts = {"training": len(train), "validation": len(val) if val else 0}
    parts = [f"{count} {split} picture{'s' * (count != 1)}" for split, count in counts.items() if count]
    return f"{_without_split(train)}: {', '.join(parts)}"


def _without_split(train: Dataset) -> str:
    """Return the name of the training data without the name of its split."""
    return re.sub(" train(?=:|$)", "", train.name)  # with --one-class, ": CLASS or not" follows


def _predicted(run: RunFolder, model: Network, val: Dataset, scores: Scores | None) -> list[Compared]:
    """Predict pictures with the same settings as in validation: the worst, the best, and others.

    The worst picture is that with the smallest share of correct pixels, which is also the caption of each picture.
    """
    marks: dict[int, str] = {}
    if len(val) > SHOWN and scores is not None and scores.counts is not None:
        accuracy = averages(scores.counts)[:, 0]  # NaN for a picture without labelled pixels
        order = [int(i) for i in np.argsort(accuracy) if np.isfinite(accuracy[i])]
        marks = dict.fromkeys(order[:WORST], "Worst: ") | dict.fromkeys(order[WORST:][-1:], "Best: ")
    chosen = chosen_pictures([*marks], len(val))
    options = Checkpoint(model, training=run.config).prediction
    samples = ((marks.get(i, ""), val[i]) for i in track("predicting for the report")(chosen))
    return [(s.image, s.labels, predict(model, s.image, **options), mark + s.name) for mark, s in samples]


def chosen_pictures(first: list[int], total: int) -> list[int]:
    """Return the pictures in `first`, and others that are spread evenly over the data: SHOWN in all, if there are."""
    others = [i for i in range(total) if i not in first]
    count = min(SHOWN - len(first), len(others))
    return first + [others[i * len(others) // count] for i in range(count)]


def _compare_with_baselines(scores: Scores | None, baselines: Mapping[str, Scores]) -> None:
    if scores is None or not baselines:
        return
    name, best = max(baselines.items(), key=lambda pair: pair[1].mIoU)
    if scores.mIoU < best.mIoU:
        warnings.warn(
            f"mIoU {scores.mIoU:.3f} is below the no-network baseline ({name}, {best.mIoU:.3f}). Train longer, or see "
            "'If the network does not learn' in lessons/site/pages/own_pictures.md",
            stacklevel=3,
        )
