"""The page of a run: scores beside baselines, curves, overlays, classes, confusions, and how to reproduce the run.

The page is a single file that can be mailed, archived and opened offline. It contains its pictures and style, makes no
requests and runs no scripts. It follows the reader's light or dark setting and fits on a phone. Its template is
`run_page.html.jinja`, its style `page.css`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from ..data.palette import Palette
from ..files import write_atomically
from ..metrics import Scores
from ..runtime.progress import doing
from ..viz import DARK, LIGHT, curves_figure, overlays_picture, per_class_figure, picture_bytes, save_figure
from ..viz.curves import column
from ..viz.figures import figure_bytes
from ..viz.image_bytes import data_uri
from ..viz.legend import class_name, percent
from ..viz.panels import HEADINGS, Compared, caption, compared_panels

MAX_CONFUSIONS, MIN_CONFUSED = 8, 0.02  # rows of the table, and the smallest share of a class that is listed
PANEL_SIZE = 400, 480  # maximum width and height in pixels


@dataclass(frozen=True)
class RunSummary:
    """The content of a run's page, which leaves out empty parts."""

    title: str
    config: Mapping[str, Any]  # the content of config.json
    history: Sequence[Mapping[str, Any]]  # the rows of metrics.csv, optionally with learning_rate
    scores: Scores | None  # on the validation data; None if nothing was validated
    palette: Palette
    baselines: Mapping[str, Scores] = field(default_factory=dict)  # by name
    samples: Sequence[Compared] = ()  # the pictures to show
    environment: Mapping[str, Any] = field(default_factory=dict)  # the versions and the machine
    seconds: float = math.nan  # the duration of the training
    command: str = ""  # the command that reproduces the run
    data: str = ""  # a description of the data
    warning: str = ""  # what is wrong with the run
    status: str = ""  # what a run that is not finished does; the page then reloads itself every minute


@doing("writing the report")
def write_run_page(folder: Path, run: RunSummary) -> Path:
    """Write curves.png, overlays.png, per_class.png and report.html into the folder; return the path of report.html."""
    save_figure(curves_figure(run.history, _lines(run)), folder / "curves.png")
    if run.samples:
        write_atomically(folder / "overlays.png", picture_bytes(overlays_picture(run.samples, run.palette)))
    if run.scores is not None:
        save_figure(per_class_figure(run.scores, run.palette), folder / "per_class.png")
    write_atomically(folder / "report.html", _render(run).encode(errors="backslashreplace"))
    return folder / "report.html"


def _render(run: RunSummary) -> str:
    templates = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                            trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    templates.filters |= {"duration": _duration, "percent": percent}
    names = list(dict.fromkeys(name for row in run.history for name in row))
    environment = {name: value for name, value in run.environment.items() if name != "command"}
    return templates.get_template("run_page.html.jinja").render(
        run=run,
        classes=[
            {"name": class_name(run.palette, k), "color": "rgb({} {} {})".format(*map(int, color))}
            for k, color in enumerate(run.palette.colors)
        ],
        sizes=sorted({np.shape(labels) for _, labels, _, _ in run.samples}),
        drawings=[_drawing(run, "loss", "rate"), _drawing(run, "scores")] if run.history else [],
        columns={name: column(run.history, name) for name in names},
        samples=[_sample(sample, run.palette) for sample in run.samples],
        best={score: _best(run.baselines, score) for score in ("mIoU", "G", "C")},
        confusions=_confusions(run.scores) if run.scores else [],
        config=_flattened(run.config),
        environment=_flattened(environment),
    )


def _lines(run: RunSummary) -> dict[str, float]:
    return {name: baseline.mIoU for name, baseline in run.baselines.items()}


def _best(baselines: Mapping[str, Scores], score: str) -> str:
    """Return the name of the baseline with the highest value of this score, or "" if none has a value."""
    values = {name: getattr(baseline, score) for name, baseline in baselines.items()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return max(finite, key=finite.__getitem__, default="")


def _drawing(run: RunSummary, *panels: str) -> dict[str, str]:
    """Draw panels in one figure, in light and in dark colours."""
    drawing = {"shows": panels[0]}
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        figure = curves_figure(run.history, _lines(run), panels=panels, theme=theme, size=(4.8, 4.5))
        drawing[name] = data_uri("svg+xml", figure_bytes(figure, "svg"))
    return drawing


def _sample(sample: Compared, palette: Palette) -> dict[str, Any]:
    panels = compared_panels(sample, palette, *PANEL_SIZE)
    return {
        "name": sample[3],
        "caption": caption(sample, palette),
        "panels": [
            {"heading": heading, "uri": _picture_uri(panel), "width": panel.width, "height": panel.height}
            for heading, panel in zip(HEADINGS, panels, strict=True)
        ],
    }


def _confusions(scores: Scores) -> list[tuple[int, int, float, float]]:
    """List (class, predicted class, share of the class, share of all errors), the largest share of a class first."""
    wrong = scores.confusion * (1 - np.eye(len(scores.confusion), dtype=int))
    shares = wrong / np.maximum(scores.pixels, 1)[:, None]
    order = np.argsort(-shares, axis=None, kind="stable")[:MAX_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, shares.shape), strict=True)
    return [(i, j, shares[i, j], wrong[i, j] / wrong.sum()) for i, j in pairs if shares[i, j] >= MIN_CONFUSED]


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings: {"recipe": {"epochs": 3}} becomes {"recipe.epochs": "3"}."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return flat


def _duration(seconds: float) -> str:
    """Format 107.4 as "1 min 47 s", and an unknown duration (NaN) as ""."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _picture_uri(picture: Image.Image) -> str:
    """Encode a picture as PNG if that is small (drawings), otherwise as JPEG (photographs)."""
    png, jpeg = picture_bytes(picture), picture_bytes(picture, "JPEG", quality=90, subsampling=0)
    return data_uri("png", png) if len(png) <= 1.5 * len(jpeg) else data_uri("jpeg", jpeg)
