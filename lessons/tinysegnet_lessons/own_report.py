"""Tables, the badge and the report of the learner's own network in lesson 15."""

from __future__ import annotations

import html
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinysegnet.data import Dataset
from tinysegnet.files import write_atomically
from tinysegnet.metrics import Scores
from tinysegnet.models import Network
from tinysegnet.report.run_report import write_run_page
from tinysegnet.training.run_folder import RunFolder

from .figures.samples import worst

__all__ = ["Badge", "Table", "save_report"]

BLUE, GREY, DARK = "#1f62d0", "#8a8a93", "#3a3a42"


@dataclass(frozen=True)
class Table:
    """A table: text in a terminal, HTML in a notebook. Cells that say "mine" are blue; numbers are on the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        texts = [list(self.head), *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        right = [bool(self.rows) and isinstance(cell, int | float) for cell in (self.rows or [()])[0]]
        lines = ("   ".join(cell.rjust(width) if number else cell.ljust(width)
                            for cell, width, number in zip(row, widths, right, strict=True))
                 for row in texts)  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def cell(kind: str, value: Any) -> str:
            mark = f"color:#fff;background:{BLUE};border-radius:.7em;padding:.05em .7em" if value == "mine" else ""
            side = "right" if isinstance(value, int | float) else "left"
            style = f"text-align:{side};padding:.2em 1em;white-space:nowrap"
            return f'<{kind} style="{style}"><span style="{mark}">{html.escape(_text(value))}</span></{kind}>'

        numbers = [isinstance(value, int | float) for value in self.rows[0]] if self.rows else []
        head = "".join(
            cell("th", name).replace("text-align:left", f"text-align:{'right' if number else 'left'}")
            for name, number in zip(self.head, numbers or [False] * len(self.head), strict=True)
        )
        rows = "".join(f"<tr>{''.join(cell('td', value) for value in row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"


@dataclass(frozen=True)
class Badge:
    """The badge "n of m ops are mine": a bar with one segment per op. A notebook displays it as SVG."""

    mine: Sequence[bool]

    def __str__(self) -> str:
        return f"{sum(self.mine)} of {len(self.mine)} ops are mine"

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        segments = "".join(
            f'<rect x="{12 + 26 * k}" y="46" width="22" height="12" rx="3" fill="{BLUE if own else "#d5d5da"}"/>'
            for k, own in enumerate(sorted(self.mine, reverse=True))
        )
        width = 26 * len(self.mine) + 20
        font = 'font-family="sans-serif" fill'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="72" viewBox="0 0 {width} 72" role="img">'
            f'<title>{self}</title><rect width="{width}" height="72" rx="8" fill="#fff" stroke="{GREY}"/>'
            f'<text x="12" y="32" font-size="19" font-weight="bold" {font}="{DARK}">My SegNet</text>'
            f'<text x="{width - 12}" y="32" font-size="15" text-anchor="end" {font}="{BLUE}">{self}</text>'
            f"{segments}</svg>"
        )

    def save(self, path: str | Path = "badge.svg") -> None:
        """Write the badge as an SVG file."""
        write_atomically(Path(path), self._repr_svg_().encode())


def save_report(
    path: str | Path, model: Network, train: Dataset, val: Dataset, history: Sequence[Mapping[str, Any]], *,
    scores: Scores, baselines: Mapping[str, Scores], settings: Mapping[str, Any], size: tuple[int, int],
) -> Path:  # fmt: skip
    """Write the library's report of a network that was trained without `fit`, with its worst pictures, as one file.

    Args:
        path: The HTML file to write.
        model: The trained network, as a network of the library.
        history: Rows with the columns of metrics.csv.
        scores: The scores on `val`.
        baselines: Scores of methods without a network by name.
        settings: What the report lists as the settings of the run; "model" is the network's name.
        size: (H, W) of the training pictures.
    """
    with tempfile.TemporaryDirectory() as name:
        config = {**settings, "size": list(size), "environment": {"command": ""}}
        run = RunFolder(Path(name) / "my_segnet", config, val.palette)
        run.path.mkdir()
        samples = worst(model, val, count=4, size=size)
        page = write_run_page(run, train, val, history, scores=scores, baselines=baselines, samples=samples,
                              parameters=model.num_parameters)  # fmt: skip
        text = page.read_text(encoding="utf-8")
    bounds = [f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in (scores.intervals or {}).items()]
    known = f" 95 % confidence intervals: {', '.join(bounds)}." if bounds else ""
    text = text.replace(" (last.safetensors)", "").replace("higher is better.", f"higher is better.{known}", 1)
    write_atomically(Path(path), text.encode())
    return Path(path)
