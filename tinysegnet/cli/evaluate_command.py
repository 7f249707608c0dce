"""tinysegnet evaluate."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts.types import PositiveInt

from ..errors import DataError, SettingError
from ..files import as_csv, write_atomically
from ..runtime.progress import track
from .data_options import DataPath, LabelOptions, Labels, count_pictures, data_name, load_splits
from .distributed_job import Distributed, ranks_of_command
from .options import CheckpointPath, Json, OutFolder, Quiet
from .prediction_options import Options, PredictionOptions, UnfamiliarPictures

if TYPE_CHECKING:
    from ..data import Dataset, Sample
    from ..metrics import Scores
    from ..weights.checkpoint import Checkpoint


def run(
    checkpoint: CheckpointPath, /, *, data: DataPath | None = None, labels: Labels = LabelOptions(),
    split: str = "val", limit: PositiveInt | None = None, out: OutFolder | None = None,
    options: Options = PredictionOptions(), no_baseline: bool = False, no_boundary: bool = False,
    distributed: Distributed = False, as_json: Json = False, quiet: Quiet = False,
) -> int:  # fmt: skip
    """Score a trained network on labelled pictures, as a whole and for every class, at the resolution of the labels.

    G is the share of correct pixels, C is the mean share per class, and mIoU is the mean intersection over union. BF is
    the F1 score of outline pixels that have a partner within 0.75 % of the picture's diagonal, matched one to one as in
    the SegNet paper or, "by distance", one to many. Brackets contain 95 % confidence intervals, with Student's t and
    1000 resamples of blocks of 10 consecutive pictures. They need at least 41 pictures.

    The position prior is the simplest baseline without a network: it predicts the most frequent class at each position
    of the training pictures of the same data. The report of a run also has baselines that use colour.

    Args:
        data: "toy" for drawn street scenes, or a folder with pictures and label maps. Default: the data of the
            training, which config.json beside the checkpoint names. Without --ignore, --classes and --one-class, label
            maps are read as in training.
        split: The split to score, such as train or val.
        limit: Use at most this many pictures per split, including the training pictures for the baseline.
        out: A folder for scores.csv, confusion.csv, confusion.png and per_class.png. It is created if it is missing.
        no_baseline: Leave out the position prior, so that the training pictures are not read.
        no_boundary: Leave out BF, which takes about 0.1 s per picture of 360x480 pixels.
    """
    import numpy as np

    from ..metrics.intervals import BLOCK, MIN_BLOCKS
    from ..prediction import evaluate

    loaded = options.open(checkpoint)
    data, config = _data_of_training(checkpoint) if data is None else (data, {})
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    labels = _label_options(checkpoint, config | loaded.training, data, labels)
    ranks = ranks_of_command()
    (pictures,) = load_splits(data, (split,), limit, labels)
    _check_classes(loaded, pictures)
    unfamiliar = UnfamiliarPictures(loaded)

    def watched(samples: Iterable[Sample | None]) -> Iterator[Sample | None]:
        for sample in track("evaluating", -(-len(pictures) // ranks.size))(samples):
            if sample:
                unfamiliar.add(sample.name, sample.image)
            yield sample

    scores = evaluate(
        loaded.model, pictures, **options.resolved_for(loaded), boundary=not no_boundary, samples=options.samples,
        rng=np.random.default_rng(0), progress=watched, communicator=ranks,
    )  # fmt: skip
    unfamiliar.gather(ranks)
    unfamiliar.warn()
    if scores.intervals is None:
        least = BLOCK * (MIN_BLOCKS - 1) + 1
        print(f"no confidence intervals: they need {least} pictures, and there are {len(pictures)}", file=sys.stderr)
    baseline = None if no_baseline else _baseline(data, limit, labels, pictures)
    if ranks.rank > 0:
        return 0
    if as_json:
        baselines = {"position prior": baseline.as_dict()} if baseline else {}
        facts = {"data": data, "split": split, "images": len(pictures), "baselines": baselines}
        facts["floors"] = baselines  # the name in version 0.1
        matrix = {"classes": scores.names, "confusion": scores.confusion.tolist()}
        print(json.dumps({"intervals": None, **scores.as_dict(), **matrix, **facts}))
    else:
        print(f"{data_name(data)}, split {split}: {count_pictures(pictures)}")
        print(scores.table(baseline, "position prior"))
    for path in [] if out is None else _write(out, scores, pictures):
        print(path, file=sys.stderr if as_json else sys.stdout)
    return 0


def _write(out: Path, scores: Scores, pictures: Dataset) -> Iterator[Path]:
    """Write the tables and the figures, and yield the path of each."""
    from .. import viz

    confusion = [("true class", *scores.names), *zip(scores.names, *scores.confusion.T.tolist(), strict=True)]
    for name, rows in (("scores.csv", _score_rows(scores)), ("confusion.csv", confusion)):
        write_atomically(out / name, as_csv(rows))
        yield out / name
    for name, draw in (("confusion.png", viz.confusion_figure), ("per_class.png", viz.per_class_figure)):
        viz.save_figure(draw(scores, pictures.palette), out / name)
        yield out / name


def _score_rows(scores: Scores) -> Iterator[tuple[Any, ...]]:
    """Yield a header, one row per class, and one row per average with its interval."""
    values = scores.as_dict()
    yield "name", "pixels", "accuracy", "IoU", "average", "low", "high"
    for name in scores.names:
        yield name, values["pixels"][name], values["accuracy"][name], values["IoU"][name], None, None, None
    for name in ("G", "C", "mIoU", "BF", "BF_by_distance", "uncertainty_AUROC", "MSP_AUROC"):
        if name in values:
            yield name, None, None, None, values[name], *values.get("intervals", {}).get(name, (None, None))


def _data_of_training(checkpoint: Path) -> tuple[str, dict[str, Any]]:
    """Return the data on which a checkpoint was trained, and the config.json of its run."""
    from ..training.run_folder import read_config

    if not checkpoint.exists():  # but it was opened, so it is a bundled network
        return "toy", {}
    try:
        config = read_config(checkpoint.parent)
    except DataError:  # no config.json, or that of another program
        config = {}
    data = config.get("data")
    if not isinstance(data, str) or not data:
        raise SettingError(f"--data is missing, because no config.json beside {checkpoint} names the data of its "
                           "training. Give --data")  # fmt: skip
    if data != "toy" and not os.path.isdir(data):
        file = checkpoint.parent / "config.json"
        raise SettingError(f"{file}: the data of this run is {data}, but there is no such folder. Give --data")
    return data, config


def _label_options(path: Path, training: dict[str, Any], data: str, given: LabelOptions) -> LabelOptions:
    """Return the given label options, and the options of the training where none is given."""
    default = LabelOptions()
    chosen = {name: value for name, value in asdict(given).items() if value != getattr(default, name)}
    try:
        labels = LabelOptions.of(training | chosen)
    except SettingError as error:
        raise DataError(f"{path}: its label options are invalid: {error}. Give --ignore or --classes") from error
    if data == "toy":  # the label maps of toy scenes are drawn, so other options have no effect
        labels = LabelOptions(one_class=labels.one_class, palette=labels.palette)
    if labels != given:
        print(f"label maps are read as in training:{labels.written()}", file=sys.stderr)
    return labels


def _check_classes(loaded: Checkpoint, data: Dataset) -> None:
    """Raise DataError unless data and network have equally many classes. Warn if the classes have other names."""
    found, num_classes = data.palette.num_classes, loaded.model.num_classes
    if found != num_classes:
        raise DataError(f"{data.name} has {found} classes, but the network predicts {num_classes}. "
                        "Choose other data, or give --classes, --ignore and --one-class as in training")  # fmt: skip
    pairs = zip(loaded.palette.names, data.palette.names, strict=False)
    if differ := [f"{there!r} in the checkpoint and {here!r} in the data" for there, here in pairs if there != here]:
        print(f"warning: {data.name}: the names of the classes differ ({differ[0]})", file=sys.stderr)


def _baseline(data: str, limit: int | None, labels: LabelOptions, pictures: Dataset) -> Scores | None:
    from ..metrics import position_prior
    from ..prediction.evaluate import evaluate_baselines

    try:
        (train,) = load_splits(data, ("train",), limit, labels)
        if ranks_of_command().rank > 0:
            return None
        return evaluate_baselines(train, pictures, position_prior)
    except DataError as error:  # a missing split or a bad file in it does not prevent the evaluation
        print(f"no position prior, because it needs training pictures: {error}", file=sys.stderr)
        return None
