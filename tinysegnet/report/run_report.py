"""The report of a training run: scores beside baselines, curves, overlays, classes, confusions, how to reproduce it.

report.html is a single file, which makes no requests and runs no scripts. It follows the reader's light or dark setting
and fits on a phone. Its template is `run_page.html.jinja`, its style `page.css`.
"""

import math
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset
from ..files import write_atomically
from ..metrics import Scores
from ..metrics.confusion import averages
from ..models import Network
from ..prediction.evaluate import evaluate_baselines
from ..prediction.predict import predict
from ..runtime.progress import doing, track
from ..training.loop import TrainingResult
from ..training.run_folder import RunFolder, environment
from ..viz import curves_figure, overlays_picture, per_class_figure, picture_bytes, save_figure
from ..viz.curves import column
from ..viz.panels import Compared
from ..weights.checkpoint import Checkpoint
from .page_parts import DRAWING_SIZE, classes_of, flattened, in_both_themes, render, sample_of

REFRESH = '<meta http-equiv="refresh" content="60">'  # in the page of an unfinished run
SHOWN, WORST = 6, 3  # maximum number of validation pictures on the page, and how many of them are the worst
MAX_CONFUSIONS, MIN_CONFUSED = 8, 0.02  # rows of the table, and the smallest share of a class that is listed


def write_report(run: RunFolder, model: Network, train: Dataset, val: Dataset | None, result: TrainingResult) -> Path:
    """Write curves.png, overlays.png, per_class.png and report.html into the folder of a run, after `fit`.

        run = RunFolder("runs/mine", config, train.palette)
        result = ts.fit(model, train, val, run=run)
        ts.write_report(run, model, train, val, result)

    Returns the path of report.html. Warns if a baseline that needs no network has a higher mIoU on `val`.

    Args:
        run: the folder that `fit` has written to; it stays locked while the report is written.
        model: the trained network, which predicts the pictures to show.
        train: the training data, on which the baselines are fitted.
        val: the validation data; None leaves out scores and pictures.
        result: what `fit` returned.

    Raises DataError if another training run is writing to the folder.
    """
    with run.held(), run.finishing():
        baselines = (
            evaluate_baselines(train, val) if val and (result.scores is None or result.scores.pixels.any()) else {}
        )
        _compare_with_baselines(result.scores, baselines)
        samples = _predicted(run, model, val, result.scores) if val else []
        return write_run_page(run, train, val, result.history, scores=result.scores, baselines=baselines,
                              samples=samples, parameters=model.num_parameters, warning=result.diverged)  # fmt: skip


@doing("writing the report")
def write_run_page(
    run: RunFolder, train: Dataset, val: Dataset | None, history: Sequence[Mapping[str, Any]], *,
    scores: Scores | None = None, baselines: Mapping[str, Scores] | None = None, samples: Sequence[Compared] = (),
    parameters: int = 0, warning: str = "", status: str = "",
) -> Path:  # fmt: skip
    """Write the page and its pictures, without the parts that are not given. `fit` or the caller holds the folder.

    Args:
        history: the rows of metrics.csv.
        samples: the pictures to show.
        parameters: the number of the network's parameters.
        warning: what is wrong with the run.
        status: what a run that is not finished does; the page then reloads itself every minute.
    """
    folder, baselines, here, palette = run.path, baselines or {}, environment(), run.palette
    best = {score: _best(baselines, score) for score in ("mIoU", "G", "C")}
    lines = {best["mIoU"]: baselines[best["mIoU"]].mIoU} if best["mIoU"] else {}  # the table lists all baselines
    save_figure(curves_figure(history, lines), folder / "curves.png")
    if samples:
        write_atomically(folder / "overlays.png", picture_bytes(overlays_picture(samples, palette)))
    if scores is not None:
        save_figure(per_class_figure(scores, palette), folder / "per_class.png")
    columns = {name: column(history, name) for name in dict.fromkeys(name for row in history for name in row)}
    known = [name for name, values in columns.items() if np.isfinite(values).any()]
    panels = ["loss", "scores"] if history else []
    panels += ["rate"] if "learning_rate" in known else []
    panels += ["classes"] if any(name.startswith("IoU ") for name in known) else []

    def drawing(panel: str) -> dict[str, str]:
        return in_both_themes(
            panel, lambda theme: curves_figure(history, lines, panels=[panel], theme=theme, size=DRAWING_SIZE)
        )

    page = render(
        "run_page.html.jinja",
        title=f"{run.config.get('model', 'network')} on {_without_split(train)}",
        name=folder.resolve().name,
        date="" if status else time.strftime("%Y-%m-%d %H:%M"),
        model=run.config.get("model", ""),
        data=_described(train, val),
        parameters=parameters,
        seconds=history[-1].get("seconds", math.nan) if history else math.nan,
        warning=warning,
        status=status,
        history=history,
        scores=scores,
        baselines=baselines,
        best=best,
        classes=classes_of(palette),
        ignore_label=palette.ignore_label,
        sizes=sorted({np.shape(labels) for _, labels, _, _ in samples}),
        drawings=[drawing(panel) for panel in panels],
        columns=columns,
        samples=[sample_of(sample, palette) for sample in samples],
        confusions=_confusions(scores) if scores else [],
        config=flattened(run.config),
        environment=flattened({name: value for name, value in here.items() if name != "command"}),
        command={**here, **run.config.get("environment", {})}["command"],
    )
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def _best(baselines: Mapping[str, Scores], score: str) -> str:
    """Return the name of the baseline with the highest value of this score, or "" if none has a value."""
    values = {name: getattr(baseline, score) for name, baseline in baselines.items()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return max(finite, key=finite.__getitem__, default="")


def _confusions(scores: Scores) -> list[tuple[int, int, float, float]]:
    """List (class, predicted class, share of the class, share of all errors), the largest share of a class first."""
    wrong = scores.confusion * (1 - np.eye(len(scores.confusion), dtype=int))
    shares = wrong / np.maximum(scores.pixels, 1)[:, None]
    order = np.argsort(-shares, axis=None, kind="stable")[:MAX_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, shares.shape), strict=True)
    return [(i, j, shares[i, j], wrong[i, j] / wrong.sum()) for i, j in pairs if shares[i, j] >= MIN_CONFUSED]


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
