"""A gradient check as HTML for a notebook: verdict, one row per gradient, what is wrong and where; all cases folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

__all__ = ["GradientRow", "Refusal", "ResultsData", "results_html"]


class GradientRow(TypedDict):
    """One gradient over all cases: entries compared, wrong and crossed (at a kink); excess: largest error / allowed."""

    name: str
    ok: bool
    entries: int
    wrong: int
    crossed: int
    excess: float


class Refusal(TypedDict):
    """A refused gradient: the case, "" if there is only one, and lines that say what is wrong."""

    name: str
    case: str
    details: Sequence[str]


class ResultsData(TypedDict):
    """All that is shown. cases: how many; 0 if the check has no parts. more_rows: how many gradients have no row."""

    title: str
    ok: bool
    cases: int
    cases_failed: int
    checked: int
    problems: Sequence[str]
    rows: Sequence[GradientRow]
    more_rows: int
    refusals: Sequence[Refusal]
    text: str


def results_html(data: ResultsData) -> str:
    """The HTML of a gradient check; it needs no style sheet."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # a tenth of a second that most programs never need

    templates = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                            trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    return templates.get_template("results.html.jinja").render(data)
