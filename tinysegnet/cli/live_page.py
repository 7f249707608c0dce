"""report.html while a training run goes on, so that its curves can be watched in a browser."""

import sys
import time
import warnings
import webbrowser
from contextlib import suppress
from html import escape
from pathlib import Path

from ..data import Dataset
from ..files import write_atomically
from ..report.run_report import REFRESH, write_run_page
from ..training.run_folder import RunFolder

SHARE = 0.01  # of the time may be spent on the page
INTERVAL = 60  # seconds between two versions of the page
SHORTEST = 120  # seconds; a run that ends earlier gets its final page soon, so an unfinished one would only slow it


class LivePage:
    """Writes the page of an unfinished run of so many `epochs` when `fit` calls it after an epoch.

    If `browser` is true, the page is opened when it first exists. An error is only a warning, because the page must
    never stop the training.
    """

    def __init__(self, run: RunFolder, train: Dataset, val: Dataset | None, epochs: int, *, browser: bool) -> None:
        self.run, self.train, self.val, self.epochs, self.browser = run, train, val, epochs, browser
        self.status, self.began, self.next, self.failed = "", time.monotonic(), 0.0, False

    def __call__(self, history: list[dict[str, float]]) -> None:
        now, epoch = time.monotonic(), len(history)
        left = (now - self.began) * (self.epochs - epoch) / epoch  # an upper bound for a resumed run
        if now < self.next or epoch == self.epochs or (not self.browser and not self.status and left < SHORTEST):
            return
        self.status = f"Training: epoch {epoch} of {self.epochs}, refreshed at {time.strftime('%H:%M:%S')}"
        try:
            page = write_run_page(self.run, self.train, self.val, history, status=self.status)
        except Exception as error:
            if not self.failed:
                warnings.warn(f"report.html cannot be refreshed ({error}). The training goes on", stacklevel=2)
            self.failed = True
        else:
            self.open(page)
        ended = time.monotonic()
        self.next = ended + max(INTERVAL, (ended - now) / SHARE)

    def open(self, page: Path) -> None:
        """Open the page in the web browser if that was asked for and has not been done."""
        opened = not self.browser
        with suppress(webbrowser.Error, OSError):
            opened = opened or webbrowser.open(page.resolve().as_uri())
        if not opened:
            print(f"no web browser was found; open {page} yourself", file=sys.stderr)
        self.browser = False

    def stopped(self, reason: str) -> None:
        """State on an unfinished page that the training has stopped. The browser then no longer refreshes it."""
        page = self.run.path / "report.html"
        with suppress(OSError):  # the reason why the training stopped is more important than the page
            if self.status and not self.failed:
                text = page.read_text(encoding="utf-8").replace(REFRESH, "").replace(self.status, escape(reason))
                write_atomically(page, text.encode(errors="backslashreplace"))
