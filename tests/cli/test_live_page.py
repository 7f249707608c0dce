"""report.html while a run goes on: when it is written and opened, and what it says."""

import signal
import types
import warnings

import numpy as np
import pytest
from forms import LONG

from tinysegnet.cli import live_page
from tinysegnet.cli.live_page import LivePage
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import TrainingStep

TINY = ["train", "--limit", "2", "--size", "16x24", "--width", "0.0625", "--epochs", "3", "--batch-size", "1",
        "--name", "run", "--runs"]  # fmt: skip


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now, strftime=lambda form: f"{clock.now:g}")
    monkeypatch.setattr(live_page, "time", clock)
    return clock


@pytest.fixture
def written(monkeypatch, clock):
    """The status of each page that would be written, in `clock.cost` seconds."""
    written, clock.cost = [], 1.0

    def write(run, train, val, history, status):
        written.append(status)
        clock.now += clock.cost
        return run.path / "report.html"

    monkeypatch.setattr(live_page, "write_run_page", write)
    return written


@pytest.fixture
def opened(monkeypatch):
    opened = []
    monkeypatch.setattr(live_page.webbrowser, "open", lambda address: opened.append(address) or True)
    return opened


def page_of(path, *, epochs=1000, browser=False):
    data = ToyScenes(2, size=(16, 24))
    return LivePage(RunFolder(path, {"size": (16, 24)}, CAMVID), data, data, epochs, browser=browser)


def history(epochs):
    return [{"epoch": epoch, "train_loss": 0.5, "seconds": 1.0, "val_mIoU": np.nan, "val_G": np.nan, "val_C": np.nan}
            for epoch in range(1, epochs + 1)]  # fmt: skip


def test_the_page_is_written_after_the_first_epoch_and_then_once_a_minute(tmp_path, clock, written):
    page, clock.cost = page_of(tmp_path), 0.5
    for epoch in range(1, 14):
        clock.now = 10.0 * epoch
        page(history(epoch))
    assert written == [f"Training: epoch {epoch} of 1000, refreshed at {10 * epoch}" for epoch in (1, 8)]  # at 10, 80 s


def test_the_page_takes_at_most_one_percent_of_the_time(tmp_path, clock, written):
    page, clock.cost = page_of(tmp_path), 5.0
    for epoch in range(1, 120):
        clock.now = 10.0 * epoch
        page(history(epoch))
    assert [status.split(",")[0] for status in written] == [
        f"Training: epoch {epoch} of 1000" for epoch in (1, 52, 103)
    ]


@pytest.mark.parametrize(("epochs", "browser", "pages"), [(13, False, 1), (12, False, 0), (12, True, 1), (1, True, 0)])
def test_a_run_of_less_than_two_minutes_has_an_unfinished_page_only_for_the_browser(
    tmp_path, clock, written, opened, epochs, browser, pages
):
    page, clock.now = page_of(tmp_path, epochs=epochs, browser=browser), 10.0
    page(history(1))
    assert len(written) == pages
    assert len(opened) == (pages and browser)


def test_an_error_is_one_warning_and_never_stops_the_training(tmp_path, clock, monkeypatch):
    def full(*arguments, **parts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live_page, "write_run_page", full)
    page = page_of(tmp_path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for epoch in (1, 2, 3):
            clock.now = 100.0 * epoch
            page(history(epoch))
    assert [str(warning.message) for warning in warned] == [
        "report.html cannot be refreshed ([Errno 28] No space left on device). The training goes on"
    ]
    page.stopped("stopped")  # there is no page to change


def test_the_reason_of_a_stop_is_written_as_text_and_a_lost_page_is_no_error(tmp_path, clock, written):
    page, file, clock.now = page_of(tmp_path), tmp_path / "report.html", 10.0
    page(history(1))
    page.stopped("stopped")
    file.write_text(f"<p>{page.status}</p>")
    page.stopped("continue 'a<b>&c'")
    assert file.read_text() == "<p>continue &#x27;a&lt;b&gt;&amp;c&#x27;</p>"


def no_browser(address):
    raise live_page.webbrowser.Error("could not locate runnable browser")


@pytest.mark.parametrize("opens", [lambda address: False, no_browser], ids=["False", "error"])
def test_without_a_browser_the_page_is_named(tmp_path, monkeypatch, capsys, opens):
    monkeypatch.setattr(live_page.webbrowser, "open", opens)
    page = page_of(tmp_path, browser=True)
    for _ in range(2):
        page.open(tmp_path / "report.html")
    assert capsys.readouterr().err == f"no web browser was found; open {tmp_path / 'report.html'} yourself\n"


def test_the_page_shows_a_run_that_goes_on_then_one_that_has_stopped_and_then_the_report(tmp_path, monkeypatch, capsys):
    run_step, seen, page = TrainingStep.run, [], tmp_path / "run" / "report.html"
    monkeypatch.setattr(live_page.webbrowser, "open", lambda address: seen.append((address, page.read_text())) or True)

    def stopping(self, images, labels, step):
        if step == 4:
            signal.raise_signal(signal.SIGTERM)
        return run_step(self, images, labels, step)

    monkeypatch.setattr(TrainingStep, "run", stopping)
    assert main([*TINY, str(tmp_path), "--open"]) == 130
    ((address, text),) = seen
    assert address == page.as_uri()
    assert "Training: epoch 1 of 3, refreshed at" in text
    assert live_page.REFRESH in text
    assert "not validated" not in text
    text = page.read_text()
    assert "Training has stopped. To continue it: tinysegnet train --resume" in text
    assert live_page.REFRESH not in text
    assert "refreshed at" not in text
    assert "Saved at step 5." in capsys.readouterr().err
    if LONG:  # in the short form, other tests write the report
        assert main(["train", "--resume", str(tmp_path / "run")]) == 0
        assert "Training has stopped" not in page.read_text()
        assert len(seen) == 1
