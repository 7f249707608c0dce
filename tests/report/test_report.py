"""The report page: complete, self-contained, escaped, and correct without optional parts."""

from __future__ import annotations

import base64
import dataclasses
import math
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from forms import amount

from tinysegnet.data.palette import Palette
from tinysegnet.metrics import Scores, confusion_matrix
from tinysegnet.report.run_page import RunSummary, _duration, write_run_page

PALETTE = Palette(
    ("<script>x</script>", 'a & "b"', "ghost", "c'est"),
    ((0, 200, 0), (200, 0, 100), (1, 2, 3), (9, 9, 9)),
    ignore_label=255,
)
VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A parser that collects tags, attributes and text, and fails if tags are not nested properly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    labels = np.zeros((12, 16), np.uint8)
    labels[:, 8:], labels[9:, :4], labels[0] = 1, 3, 255
    prediction = np.where(labels == 255, 0, labels)
    prediction[4:8, 8:] = 0
    return np.full((12, 16, 3), 90, np.uint8), labels, prediction, '<img src=x onerror=alert(1)> & "n".png'


def scores() -> Scores:
    _, labels, prediction, _ = scene()
    return Scores.from_confusion(confusion_matrix(labels, prediction, 4, 255), PALETTE.names)


def history(epochs: int) -> list[dict[str, float]]:
    row = {"train_loss": 0.5, "val_G": 0.8, "val_C": 0.7, "val_mIoU": 0.6, "seconds": 1.0}
    return [{"epoch": i + 1, **row} for i in range(epochs)]


def full(folder, **changes) -> Page:
    """Write the report with all its parts, or with the given changes."""
    arguments = {
        "title": "Tiny <b>& bold</b>",
        "config": {"data": "toy", "size": (96, 128), "recipe": {"<epochs>": 3}},
        "history": history(3),
        "scores": scores(),
        "palette": PALETTE,
        "baselines": {"<i>prior</i>": dataclasses.replace(scores(), G=0.4, C=0.3, mIoU=0.2), "whole": scores()},
        "samples": [scene(), scene()],
        "environment": {"numpy": "2<3", "processor": "A & B", "threads": 2},
        "seconds": 107.4,
        "command": 'tinysegnet train --data "<mine>"',
        **changes,
    }
    return Page(write_run_page(folder, RunSummary(**arguments)).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a complete report."""
    path = tmp_path_factory.mktemp("report")
    full(path)
    return path


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_report_consists_of_one_page_and_three_pictures(folder):
    assert sorted(os.listdir(folder)) == ["curves.png", "overlays.png", "per_class.png", "report.html"]
    for name in ("curves.png", "overlays.png", "per_class.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_report_contains_scores_settings_and_command(page):
    text = page.text
    for part in ("mIoU", "1 min 47 s", "3 epochs", "A & B, 2 threads", "12 x 16", "toy", "96, 128"):
        assert part in text, part
    assert f"{scores().mIoU:.3f}" in text
    assert f"{scores().G:.3f}" in text
    assert "0.200" in text, "the baseline"
    assert "absent" in text, "no label is a ghost"
    assert 'tinysegnet train --data "<mine>"' in text
    assert "recipe.<epochs>" in text


def test_confusions_are_ranked_by_share_of_the_class(page):
    # 32 of the 88 pixels of class 1 are predicted as class 0; all others are correct
    assert re.search(r'a & "b"\s*<script>x</script>\s*36\.4 %\s*100\.0 %', page.text)


def test_report_makes_no_requests_and_runs_no_scripts(folder, page):
    assert page.all("script") == []
    assert page.all("link") == []
    links = [a.get(name) for _, a in page.tags for name in ("src", "srcset", "href", "action", "data") if a.get(name)]
    assert len(links) >= 8 + 4
    assert all(link.startswith("data:image/") for link in links)
    style = (folder / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert not any(name.startswith("on") for _, a in page.tags for name in a)


def test_embedded_pictures_are_complete_and_described(page):
    for attributes in page.all("img"):
        kind, data = attributes["src"].removeprefix("data:image/").split(";base64,")
        start = {"png": b"\x89PNG", "jpeg": b"\xff\xd8", "svg+xml": b"<?xml"}[kind]
        assert base64.b64decode(data, validate=True).startswith(start)
        assert attributes["alt"]
    for attributes in page.all("source"):
        assert "prefers-color-scheme: dark" in attributes["media"]


def test_embedded_drawings_make_no_requests(page):
    for attributes in page.all("img"):
        kind, data = attributes["src"].split(";base64,")
        if kind.endswith("svg+xml"):
            svg = base64.b64decode(data).decode()
            assert not re.search(r'(href|src)="(?!#|data:)', svg)


def test_report_escapes_all_texts(folder, page):
    raw = (folder / "report.html").read_text()
    for tag in ("<script", "<b>& bold", "<i>prior", "<img src=x", "<mine>", "<epochs>", "2<3"):
        assert tag not in raw
    for text in ("<script>x</script>", "Tiny <b>& bold</b>", "<i>prior</i>", "onerror=alert(1)>", "2<3"):
        assert text in page.text


def test_report_supports_phones_dark_theme_and_screen_readers(folder, page):
    raw = (folder / "report.html").read_text()
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert page.all("html") == [{"lang": "en"}]
    assert "prefers-color-scheme: dark" in raw
    assert "max-width: 44rem" in raw
    headings = [tag for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}


NO_PIXELS = Scores.from_confusion(np.zeros((4, 4), int), PALETTE.names)


@pytest.mark.parametrize(
    "missing",
    amount(
        [
            {
                "baselines": {},
                "history": history(1),
                "environment": {},
                "command": "",
                "config": {},
                "seconds": math.nan,
            },
            {"samples": [], "scores": None, "history": []},
            {"history": [{"epoch": 1, "train_loss": math.nan, "val_mIoU": None}], "scores": NO_PIXELS, "samples": []},
            {"baselines": {"none": NO_PIXELS}, "history": []},
        ],
        [
            {"baselines": {}},
            {"samples": []},
            {"scores": None},
            {"history": history(1)},
            {"history": []},
            {"environment": {}, "command": "", "config": {}, "seconds": math.nan},
            {"history": [{"epoch": 1, "train_loss": math.nan, "val_mIoU": None}]},
            {"scores": NO_PIXELS},
            {"baselines": {"none": NO_PIXELS}},
        ],
    ),
    ids=lambda m: "+".join(m),
)
def test_report_leaves_out_missing_parts(tmp_path, missing):
    page = full(tmp_path, **missing)
    assert "nan" not in re.sub(r"[^a-z]", " ", page.text.lower()).split()
    assert "None" not in page.text


def test_report_can_consist_of_a_title(tmp_path):
    path = write_run_page(tmp_path, RunSummary("t", config={}, history=[], scores=None, palette=PALETTE))
    page = Page(path.read_text())
    assert "not validated" in page.text
    assert page.all("img") == []
    assert sorted(os.listdir(tmp_path)) == ["curves.png", "report.html"]


def test_report_escapes_names_that_are_not_unicode(tmp_path):
    run = RunSummary("\udcff", config={"data": "\udcff"}, history=[], scores=None, palette=PALETTE)
    path = write_run_page(tmp_path, run)
    assert "<h1>\\udcff</h1>" in path.read_text(encoding="utf-8")


def test_equal_runs_give_equal_reports(folder, tmp_path):
    full(tmp_path)
    for name in os.listdir(folder):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (59.6, "1 min 00 s"), (107.4, "1 min 47 s"), (4000, "1 h 06 min"), (math.nan, "")],
)
def test_duration_is_written_in_suitable_units(seconds, text):
    assert _duration(seconds) == text
