"""The page of a run: scores beside baselines, curves, overlays, classes, confusions, and how to reproduce the run.

The page is a single file that can be mailed, archived and opened offline. It contains its pictures and style, makes no
requests and runs no scripts. It follows the reader's light or dark setting and fits on a phone. Its template is
`run_page.html.jinja`, its style `page.css`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from ..data.palette import Palette
from ..files import write_atomically
from ..metrics import Scores
from ..runtime.progress import doing
from ..viz import DARK, LIGHT, Theme, curves_figure, overlays_picture, per_class_figure, picture_bytes, save_figure
from ..viz.curves import column
from ..viz.figures import figure_bytes
from ..viz.image_bytes import data_uri
from ..viz.legend import class_name, percent
from ..viz.panels import HEADINGS, Compared, caption, compared_panels

MAX_CONFUSIONS, MIN_CONFUSED = 8, 0.02  # rows of the table, and the smallest share of a class that is listed
PANEL_SIZE = 400, 480  # maximum width and height in pixels
DRAWING_SIZE = 4.8, 3.6  # inches
THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class RunSummary:
    """The content of a run's page, which leaves out empty parts."""

    title: str
    config: Mapping[str, Any]  # the content of config.json
    history: Sequence[Mapping[str, Any]]  # the rows of metrics.csv
    scores: Scores | None  # on the validation data; None if nothing was validated
    palette: Palette
    baselines: Mapping[str, Scores] = field(default_factory=dict)  # by name
    samples: Sequence[Compared] = ()  # the pictures to show
    environment: Mapping[str, Any] = field(default_factory=dict)  # the versions and the machine
    name: str = ""  # the name of the run
    date: str = ""  # the day and time at which the page was written
    parameters: int = 0  # the number of the network's parameters, 0 if unknown
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
    write_atomically(folder / "report.html", _render(run))
    return folder / "report.html"


def render(template: str, **values: Any) -> bytes:
    """Render a page of this folder."""
    templates = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                            trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    templates.filters |= {"duration": _duration, "percent": percent}
    return templates.get_template(template).render(values).encode(errors="backslashreplace")


def classes_of(palette: Palette) -> list[dict[str, str]]:
    """Return name and CSS colour of each class."""
    colors = ("rgb({} {} {})".format(*map(int, color)) for color in palette.colors)
    return [{"name": class_name(palette, k), "color": color} for k, color in enumerate(colors)]


def _render(run: RunSummary) -> bytes:
    names = list(dict.fromkeys(name for row in run.history for name in row))
    environment = {name: value for name, value in run.environment.items() if name != "command"}
    columns = {name: column(run.history, name) for name in names}
    known = [name for name, values in columns.items() if np.isfinite(values).any()]
    panels = ["loss", "scores", *(["rate"] if "learning_rate" in known else []),
              *(["classes"] if any(name.startswith("IoU ") for name in known) else [])]  # fmt: skip
    return render(
        "run_page.html.jinja",
        run=run,
        classes=classes_of(run.palette),
        sizes=sorted({np.shape(labels) for _, labels, _, _ in run.samples}),
        drawings=[_drawing(run, panel) for panel in panels] if run.history else [],
        columns=columns,
        samples=[_sample(sample, run.palette) for sample in run.samples],
        best={score: _best(run.baselines, score) for score in ("mIoU", "G", "C")},
        confusions=_confusions(run.scores) if run.scores else [],
        config=flattened(run.config),
        environment=flattened(environment),
    )


def _lines(run: RunSummary) -> dict[str, float]:
    """Return the mIoU of the best baseline; the table lists all of them."""
    return {name: run.baselines[name].mIoU for name in [_best(run.baselines, "mIoU")] if name}


def _best(baselines: Mapping[str, Scores], score: str) -> str:
    """Return the name of the baseline with the highest value of this score, or "" if none has a value."""
    values = {name: getattr(baseline, score) for name, baseline in baselines.items()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return max(finite, key=finite.__getitem__, default="")


def _drawing(run: RunSummary, panel: str) -> dict[str, str]:
    return in_both_themes(
        panel, lambda theme: curves_figure(run.history, _lines(run), panels=[panel], theme=theme, size=DRAWING_SIZE)
    )


def in_both_themes(shows: str, draw: Callable[[Theme], Figure]) -> dict[str, str]:
    """Return a drawing in light and in dark colours, as data URIs."""
    uris = {name: data_uri("svg+xml", figure_bytes(draw(theme), "svg")) for name, theme in THEMES.items()}
    return {"shows": shows, **uris}


def _sample(sample: Compared, palette: Palette) -> dict[str, Any]:
    return {"name": sample[3], "caption": caption(sample, palette), "panels": panels_of(sample, palette)}


def panels_of(sample: Compared, palette: Palette) -> list[dict[str, Any]]:
    """Return image, ground truth, prediction and errors for a template."""
    panels = compared_panels(sample, palette, *PANEL_SIZE)
    return [
        {"heading": heading, "uri": _picture_uri(panel), "width": panel.width, "height": panel.height}
        for heading, panel in zip(HEADINGS, panels, strict=True)
    ]


def _confusions(scores: Scores) -> list[tuple[int, int, float, float]]:
    """List (class, predicted class, share of the class, share of all errors), the largest share of a class first."""
    wrong = scores.confusion * (1 - np.eye(len(scores.confusion), dtype=int))
    shares = wrong / np.maximum(scores.pixels, 1)[:, None]
    order = np.argsort(-shares, axis=None, kind="stable")[:MAX_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, shares.shape), strict=True)
    return [(i, j, shares[i, j], wrong[i, j] / wrong.sum()) for i, j in pairs if shares[i, j] >= MIN_CONFUSED]


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings: {"recipe": {"epochs": 3}} becomes {"recipe.epochs": "3"}."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
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
