"""The report page: complete, self-contained, escaped, and correct without optional parts."""

from __future__ import annotations

import base64
import dataclasses
import math
import os
import re
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from backends import numpy_in_the_short_form  # noqa: F401
from forms import amount
from report_pages import Page

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.palette import Palette
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import Scores, confusion_matrix
from tinysegnet.report.page_parts import _duration
from tinysegnet.report.run_report import _predicted, chosen_pictures, write_run_page
from tinysegnet.training import RunFolder

PALETTE = Palette(
    ("<script>x</script>", 'a & "b"', "ghost", "c'est"),
    ((0, 200, 0), (200, 0, 100), (1, 2, 3), (9, 9, 9)),
    ignore_label=255,
)


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
    row = {"train_loss": 0.5, "val_G": 0.8, "val_C": 0.7, "val_mIoU": 0.6, "seconds": 107.4, "learning_rate": 0.1,
           "IoU ghost": math.nan, 'IoU a & "b"': 0.5}  # fmt: skip
    return [{"epoch": i + 1, **row} for i in range(epochs)]


HERE = {"numpy": "2<3", "processor": "A & B", "threads": 2, "command": 'tinysegnet train --data "<mine>"'}


class Data(list):
    """A data set of which the report needs only the name and the number of pictures."""

    name = "bold</b> train"


def written(folder, history=(), config=None, environment=HERE, **parts) -> str:
    """Write the report of a run in this folder, with these parts."""
    folder.mkdir(exist_ok=True)
    clock = SimpleNamespace(strftime=lambda form: "2026-01-02 03:04")
    run = RunFolder(folder, {} if config is None else config, PALETTE)
    module = "tinysegnet.report.run_report"
    with patch(f"{module}.environment", lambda: environment), patch(f"{module}.time", clock):
        return write_run_page(run, Data("abc"), Data("a"), history, **parts).read_text(encoding="utf-8")


def full(folder, **changes) -> Page:
    """Write the report with all its parts, or with the given changes."""
    arguments = {
        "config": {"model": "Tiny <b>&", "data": "toy", "size": (96, 128), "recipe": {"<epochs>": 3}},
        "history": history(3),
        "scores": scores(),
        "baselines": {"<i>prior</i>": dataclasses.replace(scores(), G=0.4, C=0.3, mIoU=0.2), "whole": scores()},
        "samples": [scene(), scene()],
        "parameters": 1234567,
        **changes,
    }
    return Page(written(folder, **arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a complete report."""
    path = tmp_path_factory.mktemp("report") / "my <run>"
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


def test_the_matrix_shows_each_row_in_per_cent_of_the_true_class(page):
    table = next(table for table in page.tables if "ghost" in table[0])
    names = ["<script>x</script>", 'a & "b"', "ghost", "c'est"]
    assert table == [["", *names], [names[0], "100", "", "", ""], [names[1], "36", "64", "", ""],
                     ["ghost", "absent"], [names[3], "", "", "", "100"]]  # fmt: skip


def test_configuration_and_versions_are_folded(page):
    folded = [attributes for tag, attributes in page.tags if tag == "details"]
    assert folded == [{}, {}, {}], "every epoch, configuration, versions"


@pytest.mark.parametrize(("mIoU", "below"), [(0.99, True), (0.2, False)])
def test_a_network_below_its_best_baseline_is_marked_and_told_what_to_try(tmp_path, mIoU, below):
    baselines = {"colour": dataclasses.replace(scores(), mIoU=0.1), "best": dataclasses.replace(scores(), mIoU=mIoU)}
    page = Page(written(tmp_path, scores=scores(), baselines=baselines))
    marked = [attributes.get("class") for attributes in page.all("li")][:3]
    assert marked == ["below" if below else "", "", ""], "G and C equal those of the baseline"
    assert ("--epochs" in page.text) == below
    assert ([attributes.get("role") for attributes in page.all("p")].count("alert")) == below
    assert (f"“best” reaches {mIoU:.3f}" in page.text) == below


def test_the_report_names_run_date_and_parameters(page):
    assert "my <run>, 2026-01-02 03:04" in page.text
    assert "1,234,567 parameters" in page.text


def test_rate_and_classes_have_curves(page):
    drawn = [attributes["alt"] for attributes in page.all("img") if "over epochs" in attributes["alt"]]
    assert drawn == ["loss over epochs", "scores over epochs", "rate over epochs", "classes over epochs"]


def test_the_report_shows_the_worst_pictures_the_best_and_others(tmp_path):
    network, scenes = ts.load_bundled("toy"), InMemory(ToyScenes(count=9, size=(16, 24)))
    accuracy = {}
    for sample in scenes:
        counted = sample.labels != CAMVID.ignore_label
        accuracy[sample.name] = (ts.predict(network, sample.image, size=(16, 24)) == sample.labels)[counted].mean()
    run = RunFolder(tmp_path / "run", {"size": (16, 24)}, CAMVID)
    shown = _predicted(run, network, scenes, ts.evaluate(network, scenes, size=(16, 24)))
    ranked = sorted(accuracy, key=accuracy.get)
    others = [sample.name for sample in scenes if sample.name not in (*ranked[:3], ranked[-1])]
    marked = [*(f"Worst: {name}" for name in ranked[:3]), f"Best: {ranked[-1]}", others[0], others[2]]
    assert [name for _, _, _, name in shown] == marked


def test_without_a_labelled_validation_pixel_there_is_a_report_without_baselines(tmp_path, monkeypatch):
    written, size = [], (16, 24)
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda *run, **parts: written.append(parts))
    data, void = InMemory(ToyScenes(1, size=size)), InMemory(ToyScenes(1, size=size))
    void[0].labels[...] = CAMVID.ignore_label
    run, network = RunFolder(tmp_path / "run", {"size": size}, CAMVID), ts.build("tiny", width=1 / 16)
    result = ts.fit(
        network, data, void, recipe=ts.Recipe(epochs=1, size=size, class_weights="none"), run=run, progress=False
    )
    ts.write_report(run, network, data, void, result)
    assert math.isnan(written[0]["scores"].mIoU)
    assert written[0]["baselines"] == {}


def test_all_pictures_are_shown_if_there_are_few():
    assert chosen_pictures([], 4) == [0, 1, 2, 3]
    assert chosen_pictures([2, 0], 4) == [2, 0, 1, 3]
    assert chosen_pictures([5], 11) == [5, 0, 2, 4, 7, 9]


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
    for tag in ("<script", "Tiny <b>", "bold</b>", "<i>prior", "<img src=x", "<mine>", "<epochs>", "2<3"):
        assert tag not in raw
    for text in ("<script>x</script>", "Tiny <b>& on bold</b>", "<i>prior</i>", "onerror=alert(1)>", "2<3"):
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
            {"baselines": {}, "history": history(1), "environment": {"command": ""}, "config": {}},
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
            {"environment": {"command": ""}, "config": {}},
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
    known = {name for row in missing.get("history", history(3)) for name in row}
    assert ("rate over epochs" in [attributes["alt"] for attributes in page.all("img")]) == ("learning_rate" in known)


def test_report_can_consist_of_a_title(tmp_path):
    page = Page(written(tmp_path))
    assert "network on bold</b>" in page.text
    assert "not validated" in page.text
    assert page.all("img") == []
    assert sorted(os.listdir(tmp_path)) == ["curves.png", "report.html"]


def test_report_escapes_names_that_are_not_unicode(tmp_path):
    config = {"model": "\udcff", "data": "\udcff"}
    assert "<h1>\\udcff on bold&lt;/b&gt;</h1>" in written(tmp_path, config=config)


def test_equal_runs_give_equal_reports(folder, tmp_path):
    full(tmp_path / folder.name)
    for name in os.listdir(folder):
        assert (folder / name).read_bytes() == (tmp_path / folder.name / name).read_bytes()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (59.6, "1 min 00 s"), (107.4, "1 min 47 s"), (4000, "1 h 06 min"), (math.nan, "")],
)
def test_duration_is_written_in_suitable_units(seconds, text):
    assert _duration(seconds) == text
