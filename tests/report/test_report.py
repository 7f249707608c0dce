"""The report page: whole, self-contained, escaped, and content with little."""

from __future__ import annotations

import base64
import dataclasses
import math
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

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
    """Collects tags, attributes and text, and refuses what is not nested properly."""

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


def test_writes_all_files_and_leaves_no_other(tmp_path):
    full(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["curves.png", "overlays.png", "per_class.png", "report.html"]
    for name in ("curves.png", "overlays.png", "per_class.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_says_what_matters(tmp_path):
    text = full(tmp_path).text
    for part in ("mIoU", "1 min 47 s", "3 epochs", "A & B, 2 threads", "12 x 16", "toy", "96, 128"):
        assert part in text, part
    assert f"{scores().mIoU:.3f}" in text
    assert f"{scores().G:.3f}" in text
    assert "0.200" in text, "the baseline"
    assert "absent" in text, "ghost is in no label"
    assert 'tinysegnet train --data "<mine>"' in text
    assert "recipe.<epochs>" in text


def test_confusions_are_ranked_by_share_of_the_class(tmp_path):
    page = full(tmp_path)
    # 32 of the 88 pixels of class 1 are predicted as class 0, and nothing else is wrong
    assert re.search(r'a & "b"\s*<script>x</script>\s*36\.4 %\s*100\.0 %', page.text)


def test_needs_no_network_and_runs_no_script(tmp_path):
    page = full(tmp_path)
    assert page.all("script") == []
    assert page.all("link") == []
    links = [a.get(name) for _, a in page.tags for name in ("src", "srcset", "href", "action", "data") if a.get(name)]
    assert len(links) >= 8 + 4
    assert all(link.startswith("data:image/") for link in links)
    style = (tmp_path / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert not any(name.startswith("on") for _, a in page.tags for name in a)


def test_embedded_pictures_are_whole(tmp_path):
    page = full(tmp_path)
    for attributes in page.all("img"):
        kind, data = attributes["src"].removeprefix("data:image/").split(";base64,")
        start = {"png": b"\x89PNG", "jpeg": b"\xff\xd8", "svg+xml": b"<?xml"}[kind]
        assert base64.b64decode(data, validate=True).startswith(start)
        assert attributes["alt"]
    for attributes in page.all("source"):
        assert "prefers-color-scheme: dark" in attributes["media"]


def test_drawings_inside_ask_for_nothing_either(tmp_path):
    for attributes in full(tmp_path).all("img"):
        kind, data = attributes["src"].split(";base64,")
        if kind.endswith("svg+xml"):
            svg = base64.b64decode(data).decode()
            assert not re.search(r'(href|src)="(?!#|data:)', svg)


def test_everything_is_escaped(tmp_path):
    page = full(tmp_path)
    raw = (tmp_path / "report.html").read_text()
    for tag in ("<script", "<b>& bold", "<i>prior", "<img src=x", "<mine>", "<epochs>", "2<3"):
        assert tag not in raw
    for text in ("<script>x</script>", "Tiny <b>& bold</b>", "<i>prior</i>", "onerror=alert(1)>", "2<3"):
        assert text in page.text


def test_phone_dark_and_language_are_cared_for(tmp_path):
    page = full(tmp_path)
    raw = (tmp_path / "report.html").read_text()
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert page.all("html") == [{"lang": "en"}]
    assert "prefers-color-scheme: dark" in raw
    assert "max-width: 44rem" in raw
    headings = [tag for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}


@pytest.mark.parametrize(
    "missing",
    [
        {"baselines": {}},
        {"samples": []},
        {"scores": None},
        {"history": history(1)},
        {"history": []},
        {"environment": {}, "command": "", "config": {}, "seconds": math.nan},
        {"history": [{"epoch": 1, "train_loss": math.nan, "val_mIoU": None}]},
        {"scores": Scores.from_confusion(np.zeros((4, 4), int), PALETTE.names)},
        {"baselines": {"none": Scores.from_confusion(np.zeros((4, 4), int), PALETTE.names)}},
    ],
    ids=lambda m: "+".join(m),
)
def test_missing_pieces_are_left_out(tmp_path, missing):
    page = full(tmp_path, **missing)
    assert "nan" not in re.sub(r"[^a-z]", " ", page.text.lower()).split()
    assert "None" not in page.text


def test_nothing_but_a_title(tmp_path):
    path = write_run_page(tmp_path, RunSummary("t", config={}, history=[], scores=None, palette=PALETTE))
    page = Page(path.read_text())
    assert "not validated" in page.text
    assert page.all("img") == []
    assert sorted(os.listdir(tmp_path)) == ["curves.png", "report.html"]


def test_names_of_files_that_are_no_text(tmp_path):
    run = RunSummary("\udcff", config={"data": "\udcff"}, history=[], scores=None, palette=PALETTE)
    path = write_run_page(tmp_path, run)
    assert "<h1>\\udcff</h1>" in path.read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_page(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    full(tmp_path / "a"), full(tmp_path / "b")
    for name in os.listdir(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (59.6, "1 min 00 s"), (107.4, "1 min 47 s"), (4000, "1 h 06 min"), (math.nan, "")],
)
def test_durations(seconds, text):
    assert _duration(seconds) == text
