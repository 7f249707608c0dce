"""`tinysegnet compare` writes one page about several runs, and refuses what cannot be compared."""

import re
import shutil

import numpy as np
import pytest
from backends import numpy_in_the_short_form  # noqa: F401
from report_pages import Page
from run_samples import OLD_COLUMNS, history, write_run

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import difference_interval
from tinysegnet.report import compare_page
from tinysegnet.report.compare_page import RunResult, write_comparison
from tinysegnet.weights.checkpoint import Checkpoint

SIZE = (20, 28)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "first <b>", size=SIZE)
    write_run(folder / "second", size=SIZE, seed=1, learning_rate=0.25, epochs=5)
    write_run(folder / "old", size=SIZE, columns=OLD_COLUMNS)
    write_run(folder / "more", size=SIZE, limit=3)
    write_run(folder / "gone", size=SIZE, data="no/such/folder")
    write_run(folder / "gone too", size=SIZE, data="no/such/folder", seed=2)
    write_run(folder / "damaged")
    (folder / "damaged" / "metrics.csv").write_text("epoch\n" + 200_000 * "1")
    write_run(folder / "empty")
    (folder / "empty" / "metrics.csv").write_text("epoch,train_loss\n")
    (folder / "unfinished").mkdir()
    shutil.copy(folder / "old" / "config.json", folder / "unfinished")
    return folder


@pytest.fixture
def compared(runs, tmp_path, monkeypatch, capsys):
    """Compare runs, and return the page and the output."""
    monkeypatch.chdir(tmp_path)

    def compare(*names):
        assert main(["compare", *(str(runs / name) for name in names)]) == 0
        return Page((tmp_path / "compare.html").read_text()), capsys.readouterr().out

    return compare


@pytest.fixture
def without_drawings(monkeypatch):
    """Write pages in a tenth of the time, for tests of their texts and files."""
    monkeypatch.setattr(compare_page, "_drawing", lambda *arguments: {"shows": "", "light": "data:,", "dark": "data:,"})


@pytest.mark.parametrize(("config", "said"), [
    ({"epochs": 3}, ""), ({"epochs": 10}, "3 of 10 epochs"), ({"epochs": 10, "iterations": 9}, ""), ({}, ""),
])  # fmt: skip
def test_the_progress_of_an_unfinished_run_is_known(config, said):
    assert RunResult("half", config, history(3), Checkpoint(ts.build("tiny", width=1 / 16))).progress == said


@pytest.mark.parametrize("epochs", [3, 10])
def test_the_page_says_how_far_an_unfinished_run_is(epochs, tmp_path, without_drawings):
    run = RunResult("half", {"epochs": epochs}, history(3), Checkpoint(ts.build("tiny", width=1 / 16)))
    write_comparison(tmp_path / "page.html", [run, run], None, "no data")
    page = Page((tmp_path / "page.html").read_text())
    assert ("half (3 of 10 epochs), half (3 of 10 epochs)" in page.text) == (epochs == 10)


def test_a_comparison_is_one_page_with_scores_pictures_and_settings(compared, runs):
    page, out = compared("first <b>", "second")
    assert out == "compare.html\n"
    assert "first <b>" in page.text
    assert page.all("b") != []
    for name in CAMVID.names:
        assert name in page.text
    (val,) = [InMemory(ToyScenes(seed=1, count=2))]
    for name in ("first <b>", "second"):
        network = ts.load(runs / name / "best.safetensors")
        assert f"{ts.evaluate(network, val, size=SIZE).mIoU:.3f}" in page.text
    assert re.search(r"learning_rate\s*0.005\s*0.25", page.text)
    assert "too few pictures for confidence intervals" in page.text
    shown = [attributes["src"] for attributes in page.all("img")]
    assert len(shown) == 3 + 2 * (2 + 2 * 2)  # curves; for two pictures: image and truth, and two of each run
    assert page.all("script") == page.all("link") == []
    assert all(source.startswith("data:image/") for source in shown)


def test_runs_on_different_data_are_compared_by_curves_and_settings(compared):
    page, out = compared("first <b>", "more", "old")
    assert "more were trained on different data" in out
    assert "trained on different data" in page.text
    assert "mean IoU" not in page.text
    assert len(page.all("img")) == 3
    assert re.search(r"limit\s*2\s*3\s*2", page.text)


def test_runs_whose_data_is_missing_are_compared_by_curves_and_settings(compared):
    page, out = compared("gone", "gone too")
    assert "no/such/folder, is not a folder here" in out
    assert len(page.all("img")) == 3


@pytest.mark.parametrize(("names", "told"), [
    (("second",), "2 to 8 runs, got 1"), (["second"] * 9, "got 9"), (("second", "../{}/second"), "given twice"),
    (("second", "none"), "no such file"), (("second", "damaged"), "metrics.csv: is not a table"),
    (("second", "empty"), "metrics.csv: is not a table of metrics (it has no epochs)"),
    (("second", "unfinished"), "has not finished an epoch"),
])  # fmt: skip
def test_what_is_not_several_runs_is_refused(runs, tmp_path, monkeypatch, capsys, names, told):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *(str(runs / name.format(runs.name)) for name in names)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
    assert list(tmp_path.iterdir()) == []


def test_only_an_older_comparison_is_overwritten(runs, tmp_path, capsys, without_drawings):
    names, page = [str(runs / name) for name in ("gone", "gone too")], tmp_path / "new" / "page.html"
    for _ in range(2):
        assert main(["compare", *names, "--out", str(page)]) == 0
    page.write_text("<!doctype html>")
    assert main(["compare", *names, "--out", str(page)]) == 2
    assert main(["compare", *names, "--out", str(tmp_path / "page.txt")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "is not a comparison" in errors[0]
    assert "must end in .html" in errors[1]
    assert page.read_text() == "<!doctype html>"


def test_differences_have_intervals_from_shared_resamples(tmp_path, without_drawings):
    scenes = InMemory(ToyScenes(seed=1, count=41, size=(16, 24)))
    networks = {name: ts.build("tiny", width=1 / 16, seed=seed) for seed, name in enumerate(("one", "two"))}
    runs = [RunResult(name, {}, history(2), Checkpoint(network)) for name, network in networks.items()]
    write_comparison(tmp_path / "page.html", runs, scenes)
    text = Page((tmp_path / "page.html").read_text()).text.replace("\N{MINUS SIGN}", "-")
    row = re.search(r"difference from the first run\s*([+-]0\.\d{3})([+-]0\.\d{3}) to ([+-]0\.\d{3})", text)
    difference, low, high = map(float, row.groups())
    assert low < difference < high
    first, second = (ts.evaluate(network, scenes) for network in networks.values())
    assert difference == pytest.approx(second.mIoU - first.mIoU, abs=0.0006)
    expected = difference_interval(second.counts, first.counts, rng=np.random.default_rng(0))
    assert (low, high) == pytest.approx(expected, abs=0.0006)
