"""What came of a run, for people: curves, overlays and bars as pictures, and one HTML page that holds everything.

The page is a single file: pictures and style are inside it, it asks no server for anything and runs no script, so it
can be mailed, archived and opened offline. It follows the reader's light or dark setting and fits a phone.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..data.palette import Palette
from ..files import write_atomically
from ..metrics import Scores
from ..viz import DARK, LIGHT, curves_figure, overlays_picture, per_class_figure, save_figure
from ..viz.curves import column
from ..viz.figures import figure_bytes
from ..viz.legend import class_name, percent
from ..viz.panels import HEADINGS, Compared, caption, compared_panels

__all__ = ["Baseline", "write_report"]

History = Sequence[Mapping[str, Any]]


class Baseline(Protocol):
    """What a baseline must tell: `Scores` do. If it has an IoU per class too, the bars show it."""

    @property
    def G(self) -> float: ...
    @property
    def C(self) -> float: ...
    @property
    def mIoU(self) -> float: ...


MEANINGS = {
    "mIoU": "mean intersection over union: overlap of truth and prediction, averaged over the classes",
    "G": "global accuracy: the share of all labelled pixels that are right",
    "C": "class average: the accuracy of each class by itself, averaged",
}
CONFUSION_HEADS = (
    ("this class", ""),
    ("is taken for", ""),
    ("share of<br>the class", ' class="number"'),
    ("share of<br>all errors", ' class="number"'),
)


def write_report(
    run_folder: str | Path,
    *,
    title: str,
    config: Mapping[str, Any],
    history: History,
    scores: Scores | None,
    palette: Palette,
    baselines: Mapping[str, Baseline] | None = None,
    samples: Sequence[Compared] = (),
    environment: Mapping[str, Any] | None = None,
    seconds: float = math.nan,
    command: str = "",
    data: str = "",
) -> Path:
    """Write curves.png, overlays.png, per_class.png and report.html into run_folder, and return the page's path.

    history: the rows of metrics.csv. scores: on the validation pictures; None if nothing was validated. baselines:
    what needs no net reaches there, by name. samples: tuples (image, labels, prediction, name) to show. seconds:
    training time. command: what to type to get this again. data: the data in words. Whatever is missing (no baselines,
    no samples, an absent class) is left out of the page.
    """
    folder, baselines, environment = Path(run_folder), dict(baselines or {}), dict(environment or {})
    save_figure(
        curves_figure(history, {name: baseline.mIoU for name, baseline in baselines.items()}), folder / "curves.png"
    )
    if samples:
        write_atomically(folder / "overlays.png", _encoded(overlays_picture(samples, palette), "PNG"))
    if scores is not None:
        save_figure(per_class_figure(scores, palette), folder / "per_class.png")
    sections = [
        _headline(title, scores, baselines),
        '<div class="summary">\n',
        _baseline_table(scores, baselines),
        _facts(data or str(config.get("data", "")), history, samples, environment, seconds),
        "</div>\n",
        _curves(history, baselines),
        _overlays(samples, palette),
        _per_class(scores, palette, baselines),
        _confusions(scores, palette),
        _reproduce(command, config, environment),
    ]
    page = folder / "report.html"
    write_atomically(page, _page(title, sections).encode(errors="backslashreplace"))
    return page


def _page(title: str, sections: Sequence[str]) -> str:
    style = files(__package__).joinpath("run_page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · tinysegnet</title>
<style>
{style}</style>
</head>
<body>
<main>
{"".join(sections)}</main>
<footer>Written by tinysegnet. This page is one file and needs no network.</footer>
</body>
</html>
"""


def _headline(title: str, scores: Scores | None, baselines: Mapping[str, Baseline]) -> str:
    """The title, and the three numbers with the best baseline beside each."""
    head = f"<header>\n<h1>{escape(title)}</h1>\n"
    if scores is None:
        return head + '<p class="quiet">This run was not validated: there are no scores.</p>\n</header>\n'
    count = f"{int(scores.pixels.sum()):,}"
    head += (
        f'<p class="quiet">Scores on {count} labelled validation pixels, from 0 to 1; more is better.</p>\n</header>\n'
    )
    cards = "".join(
        f'<li><span class="name">{name}</span> <span class="value">{_number(getattr(scores, name))}</span>'
        f"<small>{meaning}{_best_baseline(name, baselines)}</small></li>\n"
        for name, meaning in MEANINGS.items()
    )
    return f'{head}<ul class="scores">\n{cards}</ul>\n'


def _best_baseline(name: str, baselines: Mapping[str, Baseline]) -> str:
    values = [value for value in (getattr(baseline, name) for baseline in baselines.values()) if math.isfinite(value)]
    return f"; best baseline <b>{max(values):.3f}</b>" if values else ""


def _baseline_table(scores: Scores | None, baselines: Mapping[str, Baseline]) -> str:
    """The network above what needs no network."""
    if scores is None or not baselines:
        return ""
    rows: list[tuple[str, Baseline, str]] = [("this network", scores, ' class="own"')]
    rows += [(name, baseline, "") for name, baseline in baselines.items()]
    body = "".join(
        f'<tr{own}><th scope="row">{escape(name)}</th>{_cell(row.mIoU)}{_cell(row.G)}{_cell(row.C)}</tr>\n'
        for name, row, own in rows
    )
    heads = "".join(f'<th scope="col" class="number">{score}</th>' for score in MEANINGS)
    return (
        f'<div>\n<table>\n<thead><tr><th scope="col">on the same pixels</th>{heads}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>\n"
        '<p class="quiet">A baseline does not look at shapes: a network is worth what it adds.</p>\n</div>\n'
    )


def _facts(
    data: str, history: History, samples: Sequence[Compared], environment: Mapping[str, Any], seconds: float
) -> str:
    """What was trained on, for how long, where."""
    sizes = sorted({np.shape(labels) for _, labels, _, _ in samples})
    size = f"{sizes[0][0]} x {sizes[0][1]} pixels" + ("" if len(sizes) == 1 else " and others") if sizes else ""
    epochs = f"{len(history)} epoch{'s' * (len(history) != 1)}" if history else ""
    machine = str(environment.get("machine") or environment.get("processor") or "")
    threads = f", {environment['threads']} threads" if machine and environment.get("threads") else ""
    facts = {
        "Data": data,
        "Pictures (height x width)": size,
        "Trained": " in ".join(filter(None, [epochs, _duration(seconds)])),
        "Machine": machine + threads,
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>\n" for name, text in facts.items() if text)
    return f'<dl class="facts">\n{items}</dl>\n' if items else ""


def _curves(history: History, baselines: Mapping[str, Baseline]) -> str:
    """Two drawings side by side that a phone stacks: loss with learning rate, and scores."""
    if not history:
        return ""
    lines = {name: baseline.mIoU for name, baseline in baselines.items()}
    drawings = _drawing(("loss", "rate"), "loss", history, {}) + _drawing(("scores",), "scores", history, lines)
    table = _history_table(history)
    return f'<section>\n<h2>Training</h2>\n<div class="curves">\n{drawings}</div>\n{table}</section>\n'


def _drawing(panels: Sequence[str], what: str, history: History, baselines: Mapping[str, float]) -> str:
    """One SVG drawing in a light and a dark version; the browser takes the one that suits the page."""
    light, dark = (
        _svg_uri(figure_bytes(curves_figure(history, baselines, panels=panels, theme=theme, size=(4.8, 4.5)), "svg"))
        for theme in (LIGHT, DARK)
    )
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{what} over epochs; the numbers are in the table below"></picture>\n'
    )


def _history_table(history: History) -> str:
    names = list(dict.fromkeys(name for row in history for name in row))
    heads = "".join(f'<th scope="col" class="number">{escape(str(name))}</th>' for name in names)
    columns = [[_compact(value) for value in column(history, name)] for name in names]
    rows = "".join(
        "<tr>" + "".join(f'<td class="number">{text}</td>' for text in row) + "</tr>\n"
        for row in zip(*columns, strict=True)
    )
    table = f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>'
    return f"<details>\n<summary>Every epoch in numbers</summary>\n{table}\n</details>\n"


def _overlays(samples: Sequence[Compared], palette: Palette) -> str:
    if not samples:
        return ""
    swatches = [f"<li>{_swatch(palette, k)}</li>" for k in range(palette.num_classes)]
    if palette.ignore_label is not None:
        swatches.append(
            '<li><span class="class"><span class="swatch void"></span><span>not labelled</span></span></li>'
        )
    rows = "".join(_compared(sample, palette, first=i == 0) for i, sample in enumerate(samples))
    return (
        "<section>\n<h2>Predictions</h2>\n"
        '<p class="quiet">Errors are red, what is right stays dim. Classes have these colours:</p>\n'
        f'<ul class="legend">\n{chr(10).join(swatches)}\n</ul>\n{rows}</section>\n'
    )


def _compared(sample: Compared, palette: Palette, *, first: bool) -> str:
    images = "".join(
        f'<div><small>{heading}</small><img src="{_picture_uri(panel)}" width="{panel.width}" '
        f'height="{panel.height}" alt="{heading} of {escape(sample[3])}"></div>\n'
        for heading, panel in zip(HEADINGS, compared_panels(sample, palette, 400, 480), strict=True)
    )
    return (
        f'<figure class="compared{" first" * first}">\n'
        f"<figcaption><b>{escape(sample[3])}</b><span>{escape(caption(sample, palette))}</span></figcaption>\n"
        f'<div class="panels">\n{images}</div>\n</figure>\n'
    )


def _per_class(scores: Scores | None, palette: Palette, baselines: Mapping[str, Baseline]) -> str:
    if scores is None:
        return ""
    baseline, marks = _best_marks(scores, baselines)
    note = f"The upright line in a bar is the baseline “{escape(baseline)}”. " if baseline else ""
    heads = "".join(f'<th scope="col" class="number">{name}</th>' for name in ("pixels", "accuracy", "IoU"))
    rows = "".join(_class_row(scores, palette, k, marks[k]) for k in range(len(scores.IoU)))
    return (
        f'<section>\n<h2>Classes</h2>\n<p class="quiet">{note}Accuracy is the share of a class\'s pixels that were '
        "found; IoU also counts what was wrongly taken for it.</p>\n"
        f'<table class="classes">\n<thead><tr><th scope="col">class</th>{heads}'
        f'<th class="bar-cell" aria-hidden="true"></th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n'
    )


def _best_marks(scores: Scores, baselines: Mapping[str, Baseline]) -> tuple[str, np.ndarray]:
    """Name and IoU per class of the best baseline that knows them; "" and NaN if none does."""
    best, name, marks = -math.inf, "", np.full(len(scores.IoU), np.nan)
    for candidate, baseline in baselines.items():
        IoU = np.asarray(getattr(baseline, "IoU", ()), np.float64)
        if baseline.mIoU > best and IoU.shape == marks.shape:
            best, name, marks = baseline.mIoU, candidate, IoU
    return name, marks


def _class_row(scores: Scores, palette: Palette, k: int, mark: float) -> str:
    head = f'<tr><th scope="row">{_swatch(palette, k)}</th>'
    IoU, pixels = scores.IoU[k], scores.pixels[k]
    if pixels == 0:
        text = "absent" if math.isnan(IoU) else "absent, but predicted: IoU 0"
        return f'{head}<td colspan="4" class="absent">{text}</td></tr>\n'
    bar = f'<span style="width:{100 * IoU:.2f}%;background:{_rgb(palette, k)}"></span>'
    bar += f'<i style="left:{100 * mark:.2f}%"></i>' if math.isfinite(mark) else ""
    return (
        f"{head}{_share(pixels / scores.pixels.sum())}{_cell(scores.accuracy[k])}{_cell(IoU)}"
        f'<td class="bar-cell" aria-hidden="true"><span class="bar">{bar}</span></td></tr>\n'
    )


def _confusions(scores: Scores | None, palette: Palette, most: int = 8) -> str:
    """Which class is taken for which, the largest shares first; below 2 % of a class it is noise."""
    if scores is None or scores.pixels.sum() == 0:
        return ""
    wrong = scores.confusion * (1 - np.eye(len(scores.confusion), dtype=int))
    shares = wrong / np.maximum(scores.pixels, 1)[:, None]
    order = np.dstack(np.unravel_index(np.argsort(-shares, axis=None, kind="stable"), shares.shape))[0][:most]
    rows = "".join(
        f"<tr><td>{_swatch(palette, i)}</td><td>{_swatch(palette, j)}</td>"
        f"{_share(shares[i, j])}{_share(wrong[i, j] / wrong.sum())}</tr>\n"
        for i, j in order
        if shares[i, j] >= 0.02
    )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col"{style}>{text}</th>' for text, style in CONFUSION_HEADS)
    return (
        '<section>\n<h2>Most frequent confusions</h2>\n<div class="wide"><table>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )


def _reproduce(command: str, config: Mapping[str, Any], environment: Mapping[str, Any]) -> str:
    shown = f"<pre><code>{escape(command)}</code></pre>\n" if command else ""
    where = {name: value for name, value in environment.items() if name != "command"}
    lists = _pairs("Configuration", config) + _pairs("Versions and machine", where)
    return f"<section>\n<h2>To get this again</h2>\n{shown}{lists}</section>\n" if shown or lists else ""


def _pairs(heading: str, values: Mapping[str, Any]) -> str:
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>\n" for name, text in _flattened(values).items()
    )
    return (
        f'<details open>\n<summary>{heading}</summary>\n<dl class="pairs">\n{items}</dl>\n</details>\n' if items else ""
    )


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"recipe": {"epochs": 3}} -> {"recipe.epochs": "3"}."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return flat


def _swatch(palette: Palette, k: int) -> str:
    name = escape(class_name(palette, k))
    square = f'<span class="swatch" style="background:{_rgb(palette, k)}"></span>'
    return f'<span class="class">{square}<span>{name}</span></span>'


def _rgb(palette: Palette, k: int) -> str:
    return "rgb({} {} {})".format(*map(int, palette.colors[k]))


def _cell(value: float) -> str:
    return f'<td class="number">{_number(value)}</td>'


def _share(fraction: float) -> str:
    return f'<td class="number">{escape(percent(fraction))}</td>'


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _compact(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}" if abs(value) < 10000 else f"{value:.0f}"


def _duration(seconds: float) -> str:
    """107.4 -> "1 min 47 s"; "" if it is not known."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _svg_uri(data: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(data).decode()


def _picture_uri(picture: Image.Image) -> str:
    """PNG where that is small (drawn pictures), JPEG where it is not (photographs), as text inside the page."""
    png, jpeg = _encoded(picture, "PNG"), _encoded(picture, "JPEG", quality=90, subsampling=0)
    kind, data = ("png", png) if len(png) <= 1.5 * len(jpeg) else ("jpeg", jpeg)
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()
