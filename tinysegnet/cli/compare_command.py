"""tinysegnet compare."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import DataError, SettingError, TinySegNetError
from ..runtime.settings import convert
from .data_options import LabelOptions, load_splits
from .options import FilePath, Quiet, RunFolderPath

if TYPE_CHECKING:
    from ..data import Dataset
    from ..report.compare_page import RunResult

FEWEST, MOST = 2, 8


def run(
    runs: Annotated[tuple[RunFolderPath, ...], Parameter(name="RUN")], /, *, out: FilePath = Path("compare.html"),
    quiet: Quiet = False,
) -> int:  # fmt: skip
    """Write an HTML page that compares training runs: curves, scores per class, pictures, and different settings.

    The network of each run's best.safetensors is scored on the validation pictures that config.json names, and draws
    the same pictures. Differences of mean IoU from the first run have 95 % confidence intervals from resamples that all
    runs share. Runs on different data are compared by their curves and settings only. The page works offline.

    Args:
        runs: Two to eight folders of runs, such as runs/NAME.
        out: The page. Only an older comparison is overwritten.
    """
    from ..report.compare_page import is_comparison, write_comparison

    if not FEWEST <= len(runs) <= MOST:
        raise SettingError(f"compare needs {FEWEST} to {MOST} runs, got {len(runs)}. Give folders such as runs/NAME")
    resolved = [path.resolve() for path in runs]
    if len(set(resolved)) < len(runs):
        raise SettingError("compare: a run was given twice. Give each run once")
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{out}: the output file must end in .html. Give another --out, such as compare.html")
    if out.exists() and not is_comparison(out):
        raise SettingError(f"{out}: this file exists and is not a comparison. Choose another --out, or remove it")
    names = [path.name for path in resolved]
    results = [
        _read(path, name if names.count(name) == 1 else str(path)) for path, name in zip(runs, names, strict=True)
    ]
    val, missing = _validation_pictures(results)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_comparison(out, results, val, missing)
    print(out)
    if missing:
        print(f"without scores and pictures: {missing}")
    return 0


def _read(path: Path, name: str) -> RunResult:
    from ..report.compare_page import RunResult
    from ..training.run_folder import read_config
    from ..weights import checkpoint

    config, file = read_config(path), path / "metrics.csv"
    if not file.is_file():
        raise DataError(f"{path}: the run has not finished an epoch, so there is nothing to compare. Leave it out")
    with open(file, newline="", encoding="utf-8", errors="replace") as lines:
        try:
            history = list(csv.DictReader(lines))
            if not any("epoch" in row for row in history):
                raise csv.Error("it has no epochs")
        except csv.Error as error:
            raise DataError(f"{file}: is not a table of metrics ({error}). Leave this run out") from error
    return RunResult(name, config, history, checkpoint.read(path / "best.safetensors"))


def _validation_pictures(runs: list[RunResult]) -> tuple[Dataset | None, str]:
    """Return the validation pictures that all runs share, or None and the reason why there are none."""
    first = runs[0]
    data, labels = first.config.get("data"), LabelOptions.of(first.config)
    for other in runs[1:]:
        if _source(other) != _source(first):
            return None, (f"{first.name} and {other.name} were trained on different data (--data, --limit or label "
                          "options), so their scores cannot be compared")  # fmt: skip
    if not isinstance(data, str) or (data != "toy" and not os.path.isdir(data)):
        return None, f"the data of the runs, {data}, is not a folder here"
    try:
        limit = convert("limit", first.config.get("limit"), int | None)
        (val,) = load_splits(data, ("val",), limit, labels)
    except TinySegNetError as error:
        return None, str(error)
    if val.palette.names != first.best.palette.names:
        return None, f"the classes of {data} have changed since the training"
    return val, ""


def _source(run: RunResult) -> tuple[Any, ...]:
    """Return what determines the validation pictures and their labels."""
    labels, names = LabelOptions.of(run.config), run.best.palette.names
    path = os.path.realpath(str(run.config.get("data")))
    return path, run.config.get("limit"), labels.ignore, labels.classes, labels.one_class, names
