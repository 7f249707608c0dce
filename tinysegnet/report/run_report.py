"""The report of a training run, computed from the run folder, the network and the data."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from ..data import Dataset, labelled_images
from ..metrics import Scores
from ..metrics import baselines as compute_baselines
from ..models import Network
from ..prediction.predict import predict
from ..runtime.progress import track
from ..training.loop import TrainingResult
from ..training.run_folder import RunFolder, environment
from ..viz.panels import Compared
from ..weights.checkpoint import Checkpoint
from .run_page import RunSummary, write_run_page

REFRESH = '<meta http-equiv="refresh" content="60">'  # in the page of an unfinished run
SHOWN = 6  # maximum number of validation pictures on the page


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
        if val:
            fitted = labelled_images(train, progress=track("computing the baselines"))
            pictures = fitted, labelled_images(val, progress=track("scoring the baselines"))
            baselines = compute_baselines(*pictures, palette.names, palette.ignore_label)
        _compare_with_baselines(result.scores, baselines)
        here = environment()
        title = f"{run.config.get('model', 'network')} on {_without_split(train)}"
        return write_run_page(run.path, RunSummary(
            title, run.config, result.history, result.scores, run.palette, baselines,
            samples=_predicted(run, model, val) if val else (), environment=here,
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
        command=here["command"], data=_described(train, val), status=status,
    ))  # fmt: skip


def _described(train: Dataset, val: Dataset | None) -> str:
    """Describe the data, for example as "my streets: 10 training pictures, 2 validation pictures"."""
    counts = {"training": len(train), "validation": len(val) if val else 0}
    parts = [f"{count} {split} picture{'s' * (count != 1)}" for split, count in counts.items() if count]
    return f"{_without_split(train)}: {', '.join(parts)}"


def _without_split(train: Dataset) -> str:
    """Return the name of the training data without the name of its split."""
    return re.sub(" train(?=:|$)", "", train.name)  # with --one-class, ": CLASS or not" follows


def _predicted(run: RunFolder, model: Network, val: Dataset) -> list[Compared]:
    """Predict pictures spread evenly over the data set, with the same settings as in validation."""
    count = min(SHOWN, len(val))
    options = Checkpoint(model, training=run.config).prediction
    samples = (val[i * len(val) // count] for i in track("predicting for the report")(range(count)))
    return [(s.image, s.labels, predict(model, s.image, **options), s.name) for s in samples]


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
