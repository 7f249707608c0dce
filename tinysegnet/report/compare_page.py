"""The page that compares runs: curves together, scores per class, the same pictures side by side, and settings.

Its template is `compare_page.html.jinja`. Like the page of a run, it is a single file that works offline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset
from ..files import write_atomically
from ..metrics import Scores, difference_interval
from ..metrics.confusion import averages
from ..prediction import evaluate, predict
from ..runtime.progress import track
from ..viz.curves import Curve, Panel, column, lines_figure
from ..viz.figures import shortened
from ..weights.checkpoint import Checkpoint
from .page_parts import DRAWING_SIZE, classes_of, flattened, in_both_themes, render, sample_of
from .run_report import chosen_pictures

MARK = b"<!-- A comparison of runs by tinysegnet. -->"
CURVES = {"Validation mIoU": "val_mIoU", "Training loss": "train_loss", "Learning rate": "learning_rate"}
DIFFERENT = 3  # how many of the pictures are those on which the networks differ most


@dataclass(frozen=True)
class RunResult:
    """A run to compare."""

    name: str
    config: Mapping[str, Any]  # the content of config.json
    history: Sequence[Mapping[str, Any]]  # the rows of metrics.csv
    best: Checkpoint  # the network of best.safetensors

    @property
    def progress(self) -> str:
        """The epochs so far, if there are fewer than planned, such as "84 of 610 epochs"."""
        planned = self.config.get("epochs") if self.config.get("iterations") is None else None
        return f"{len(self.history)} of {planned} epochs" if planned and len(self.history) < planned else ""


def is_comparison(path: Path) -> bool:
    """Return whether this file is a page of `write_comparison`. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return file.read(len(MARK)) == MARK


def write_comparison(path: Path, runs: Sequence[RunResult], val: Dataset | None, missing: str = "") -> None:
    """Write the page.

    Args:
        path: the file, whose folder must exist.
        runs: the runs; differences of scores are relative to the first one.
        val: the validation pictures of all runs, on which their best networks are scored and drawn. None leaves this
            part out.
        missing: the reason why `val` is None.
    """
    scores = [_scores(run, val) for run in runs] if val is not None else []
    page = render(
        "compare_page.html.jinja",
        mark=MARK.decode(),
        runs=runs,
        drawings=[_drawing(title, name, runs) for title, name in CURVES.items()],
        missing=missing,
        scores=scores,
        differences=[_difference(score, scores[0]) for score in scores[1:]],
        classes=classes_of(val.palette) if val is not None else [],
        samples=_samples(runs, val, scores) if val is not None else [],
        settings=_different_settings(runs),
    )
    write_atomically(path, page)


def _scores(run: RunResult, val: Dataset) -> Scores:
    progress = track(f"predicting with {run.name}", len(val))
    return evaluate(run.best.model, val, **run.best.prediction, rng=np.random.default_rng(0), progress=progress)


def _drawing(title: str, name: str, runs: Sequence[RunResult]) -> dict[str, str]:
    curves = [Curve(shortened(run.name, 22), column(run.history, "epoch"), column(run.history, name))
              for run in runs]  # fmt: skip
    panel = Panel(title, "", curves, 1.005 if name == "val_mIoU" else None)
    return in_both_themes(title, lambda theme: lines_figure(panel, theme=theme, size=DRAWING_SIZE))


def _difference(scores: Scores, first: Scores) -> dict[str, Any]:
    """Return the difference of mIoU, and its interval by the same resamples for both networks."""
    interval = difference_interval(np.asarray(scores.counts), np.asarray(first.counts), rng=np.random.default_rng(0))
    return {"mIoU": scores.mIoU - first.mIoU, "interval": interval}


def _samples(runs: Sequence[RunResult], val: Dataset, scores: Sequence[Scores]) -> list[dict[str, Any]]:
    """Predict the pictures on which the networks' shares of correct pixels differ most, and others."""
    accuracy = np.stack([averages(np.asarray(score.counts))[:, 0] for score in scores])  # NaN without labelled pixels
    order = np.argsort(np.ptp(accuracy, axis=0), kind="stable")[: np.isfinite(accuracy[0]).sum()]
    found = []
    for index in chosen_pictures(order[::-1][:DIFFERENT].tolist(), len(val)):
        sample = val[index]
        of_runs = []
        for run in runs:
            prediction = predict(run.best.model, sample.image, **run.best.prediction)
            compared = sample.image, sample.labels, prediction, sample.name
            of_runs.append({**sample_of(compared, val.palette), "name": run.name})
        found.append({"name": sample.name, "runs": of_runs})
    return found


def _different_settings(runs: Sequence[RunResult]) -> dict[str, list[str]]:
    """Return, by name, the settings whose values are not the same in all runs, one value per run."""
    configs = [flattened(run.config) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config if name not in ("environment.command", "plans"))
    rows = {name: [config.get(name, "") for config in configs] for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}
