"""A headless chromium for tests of pages, which collects the errors of a page.

Without chromium or playwright, tests are skipped with a reason; with TINYSEGNET_BROWSER=required they fail.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

__all__ = ["DESKTOP", "PHONE", "Watched", "chromium", "demand", "launched", "missing", "opened"]

DESKTOP, PHONE = (1280, 800), (390, 844)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]


def chromium() -> str | None:
    """Find the program, whose name depends on the system."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing() -> str | None:
    """Return the reason why tests have no browser, or None if they have one."""
    if chromium() is None:
        return "needs chromium (on Debian: apt-get install chromium)"
    if importlib.util.find_spec("playwright") is None:
        return 'needs playwright (pip install -e ".[dev]")'
    return None


def demand(why: str | None) -> None:
    """Skip the test if there is a reason; fail if browsers are required."""
    if why and os.environ.get("TINYSEGNET_BROWSER") == "required":
        pytest.fail(why)
    if why:
        pytest.skip(why)


@dataclass
class Watched:
    """A page of the browser with its errors and requests."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, anchor: str = "") -> None:
        self.page.goto(path.resolve().as_uri() + anchor, wait_until="load")

    @property
    def away(self) -> list[str]:
        """The requests for anything but files and data inside the page."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]

    def take(self) -> list[str]:
        """Return the errors since the last call."""
        found, self.errors[:] = list(self.errors), []
        return found


@contextmanager
def launched(*flags: str) -> Iterator[Any]:
    """Start a browser with more flags; without one, skip the test, or fail if a browser is required."""
    demand(missing())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(size: tuple[int, int] = DESKTOP, *, dark: bool = False, scale: float = 1) -> Iterator[Watched]:
    """Start a browser with one page, whose open(path) shows a file."""
    with launched() as browser:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, device_scale_factor=scale,
                                      color_scheme="dark" if dark else "light")  # fmt: skip
        watched = Watched(context.new_page())
        watched.page.on("pageerror", lambda error: watched.errors.append(f"error: {error}"))
        watched.page.on("console", lambda message: message.type in ("error", "warning")
                        and watched.errors.append(f"console {message.type}: {message.text}"))  # fmt: skip
        watched.page.on("request", lambda request: watched.requests.append(request.url))
        # Chromium asks for a page's icon after the load, and aborts this request when the next page opens.
        watched.page.on("requestfailed", lambda request: request.failure != "net::ERR_ABORTED"
                        and watched.errors.append(f"failed: {request.url}"))  # fmt: skip
        yield watched
