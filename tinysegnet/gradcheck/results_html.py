"""A report for a notebook: the verdict, a line for each argument, what is wrong and where; all cases folded below.

Colours are borders and words, never a background: it reads on a white page and on a dark one.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .results import Report, TensorReport

__all__ = ["report_html"]

GREEN, RED = "#2a7f3e", "#c5291c"
PLAIN = "font-family:monospace;font-size:90%"  # a notebook's own style may set <pre> in another font
CELL = 'style="text-align:left;padding:.1em 1em .1em 0"'
MOST_NAMED = 8  # arguments with a line of their own: a network has a hundred


def report_html(report: Report) -> str:
    """The report as HTML that needs no style sheet."""
    color = GREEN if report.ok else RED
    frame = f"border-left:5px solid {color};padding:.2em 0 .2em 1em;line-height:1.4"
    verdict = "ok" if report.ok else "FAIL"
    parts = [f'<b style="color:{color}">{verdict}</b> <b>{_safe(report.title)}</b> {_summary(report)}']
    parts += [_line(f"promise broken: {problem}") for problem in _problems(report)]
    parts += [_arguments(report)]
    parts += [_explained(report, tensor) for tensor in _refused(report)]
    parts += [f'<details><summary>every case</summary><pre style="{PLAIN}">{_safe(str(report))}</pre></details>']
    return f'<div style="{frame}">{"".join(parts)}</div>'


def _summary(report: Report) -> str:
    cases = f"{len(report.parts)} cases, " if report.parts else ""
    failed = sum(not part.ok for part in report.parts)
    refused = f"{failed} of them refused, " if failed else ""
    return f"&mdash; {cases}{refused}{report.checked:,} entries compared with differences"


def _problems(report: Report) -> list[str]:
    """Each broken promise once, however many cases broke it."""
    lines = [*report.problems, *(problem for part in report.parts for problem in part.problems)]
    return list(dict.fromkeys(lines))


def _arguments(report: Report) -> str:
    """One row an argument: over all cases, how many entries were compared, how many refused, the largest error."""
    names = list(dict.fromkeys(t.name for t in report.all_tensors()))
    shown = sorted(names, key=lambda name: all(t.ok for t in _named(report, name)))[:MOST_NAMED]
    head = "".join(f"<th {CELL}>{text}</th>" for text in ("gradient", "entries", "refused", "largest error"))
    rows = "".join(_row(report, name) for name in names if name in shown)
    rest = f"<tr><td {CELL}>and {len(names) - len(shown)} more</td></tr>" if len(shown) < len(names) else ""
    return f'<table style="margin:.3em 0"><tr>{head}</tr>{rows}{rest}</table>'


def _named(report: Report, name: str) -> list[TensorReport]:
    return [t for t in report.all_tensors() if t.name == name]


def _row(report: Report, name: str) -> str:
    tensors = _named(report, name)
    wrong, ok = sum(t.count("wrong") for t in tensors), all(t.ok for t in tensors)
    crossed = sum(t.count("crossed") for t in tensors)
    excess = max((t.excess for t in tensors), default=0.0)
    verdict = f'<b style="color:{GREEN if ok else RED}">{"ok" if ok else "FAIL"}</b> d{_safe(name)}'
    refused = f"{wrong:,}" + (f" (+ {crossed} at a kink)" if crossed else "")
    allowed = f"{excess:.2g} x allowed"
    texts = (verdict, f"{sum(len(t.probes) for t in tensors):,}", refused, allowed)
    return "<tr>" + "".join(f"<td {CELL}>{text}</td>" for text in texts) + "</tr>"


def _refused(report: Report) -> Iterator[TensorReport]:
    """For each refused argument the first case with a hint: its words are enough to find the mistake."""
    for name in list(dict.fromkeys(t.name for t in report.all_tensors() if not t.ok))[:3]:
        yield min((t for t in _named(report, name) if not t.ok), key=lambda t: t.hint is None)


def _explained(report: Report, tensor: TensorReport) -> str:
    case = report.case_of(tensor)
    head = f"d{tensor.name}" + (f", case &ldquo;{_safe(case)}&rdquo;" if case else "")
    lines = "\n".join(f"  {line}" for line in tensor.details())
    return f'<div><b>{head}</b><pre style="{PLAIN};margin:.1em 0 .5em">{_safe(lines)}</pre></div>'


def _line(text: str) -> str:
    return f'<div style="color:{RED}">{_safe(text)}</div>'


def _safe(text: str) -> str:
    return html.escape(text)
